"""Classes of image files: which files, in which form, and what happens to those that are no images."""

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from resnest_bench.errors import UserError
from resnest_bench.usage.predict import find_images, rank_classes


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_a_folder_becomes_a_csv(here, run):
    done = run("predict", "photos", "A", "images/test")
    rows = read(done.stdout)
    assert done.exit_code == 0
    assert len(rows) == 40
    assert list(rows[0]) == ["file", "class", "probability"]
    assert {row["class"] for row in rows} <= {"cat", "ship"}
    # Of two classes the predicted one has half or more.
    assert all(0.5 <= float(row["probability"]) <= 1 for row in rows)
    record = json.loads(
        (here / "results/photos/records/train/pets/quick/A/seed-0.json").read_text()
    )
    hits = sum(row["class"] in row["file"] for row in rows)
    assert hits / 40 == record["train"]["epochs"][-1]["test_accuracy"]


def test_json_has_every_class_and_its_rank(here, run):
    files = sorted((here / "images/test/cat").iterdir())[:2]
    done = run("predict", "photos", "B", *files, "--json", "--top-k", 2, "--probabilities")
    found = json.loads(done.stdout)
    assert (found["study"], found["variant"], found["seeds"]) == ("photos", "B", [0])
    for image in found["images"]:
        assert set(image["probabilities"]) == {"cat", "ship"}
        assert sum(image["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert image["top"][0]["class"] == image["class"]
        assert image["top"][0]["probability"] >= image["top"][1]["probability"]


def test_an_ensemble_is_the_mean_of_the_probabilities(here, run):
    file = next((here / "images/test/cat").iterdir())

    def probability(*more):
        text = run("predict", "photos", "A", file, "--json", "--probabilities", *more).stdout
        return json.loads(text)["images"][0]["probabilities"]["cat"]

    single = [probability("--seed", seed) for seed in range(3)]
    assert probability("--ensemble") == pytest.approx(np.mean(single), abs=1e-5)
    assert probability("--ensemble", "--seeds", "0,2") == pytest.approx(
        (single[0] + single[2]) / 2, abs=1e-5
    )
    refused = run("predict", "photos", "A", file, "--seeds", "0,1")
    assert "--ensemble" in str(refused.exception)


def test_wrong_files_are_named_and_the_others_go_on(here, run, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"<html>not found</html>")
    good = next((here / "images/test/ship").iterdir())
    output = tmp_path / "out.csv"
    done = run("predict", "photos", "A", tmp_path, "no.png", good, "--output", output)
    assert isinstance(done.exception, UserError)
    assert "of 3 2 were not" in str(done.exception)
    assert "broken.png: it is" in done.stderr
    assert "no.png: there is no such file" in done.stderr
    assert [row["file"] for row in read(output.read_text())] == [str(good)]


def test_sixteen_bits_have_the_white_that_they_show(here, run, tmp_path):
    pixels = np.linspace(0, 4095, 32 * 32).reshape(32, 32).astype(np.uint16)
    Image.fromarray(pixels).save(tmp_path / "deep.png")
    Image.fromarray((pixels / (4095 / 255)).round().astype(np.uint8)).save(tmp_path / "flat.png")
    deep, flat = read(run("predict", "photos", "A", tmp_path).stdout)
    assert float(deep["probability"]) == pytest.approx(float(flat["probability"]), abs=1e-3)


def test_names_are_files_folders_globs_and_lists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.jpg", "notes.txt", "inner/c.png", ".hidden/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "list.txt").write_text("b.jpg\n\ninner\n")

    def names(*given):
        found = find_images(given, 3, lambda: "a.png\n")
        return [path.as_posix() for path in found.paths], found.problems

    assert names(".") == (["a.png", "b.jpg", "inner/c.png"], {})
    assert names("*.png") == (["a.png"], {})
    assert names("**/*.png")[0] == ["a.png", "inner/c.png"]
    assert names("@list.txt") == (["b.jpg", "inner/c.png"], {})
    assert names("-", "a.png") == (["a.png"], {})
    (tmp_path / "empty").mkdir()
    assert set(names("empty", "z*", "z.png")[1]) == {"empty", "z*", "z.png"}
    with pytest.raises(UserError, match="one image per line"):
        names("@no.txt")


def test_equal_probabilities_keep_the_order_of_the_classes():
    assert rank_classes(np.array([0.2, 0.4, 0.4]), 2) == [1, 2]
    assert rank_classes(np.array([0.2, 0.4, 0.4]), 3) == [1, 2, 0]
