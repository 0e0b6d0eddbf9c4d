"""Exported files, each run by its own runtime, and the model card."""

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import yaml
from PIL import Image

from resnest_bench.deploy import onnx
from resnest_bench.errors import UserError
from resnest_bench.usage import export_model

ONNX_AND_OTHERS = ("--format", "onnx", "--format", "safetensors", "--format", "pt2")


@pytest.fixture(scope="module")
def exported(trained_folder, run, tmp_path_factory):
    before = os.getcwd()
    os.chdir(trained_folder)
    try:
        folder = tmp_path_factory.mktemp("export") / "out"
        done = run("export-model", "photos", "A", *ONNX_AND_OTHERS, "--output", folder)
    finally:
        os.chdir(before)
    assert done.exit_code == 0, done.output
    return folder


def test_every_file_has_its_checksum(exported):
    lines = (exported / "SHA256SUMS").read_text().splitlines()
    sums = dict(reversed(line.split("  ")) for line in lines)
    files = {path.name for path in exported.iterdir()} - {"SHA256SUMS"}
    assert set(sums) == files
    assert files == {
        "README.md",
        "classes.json",
        "model.onnx",
        "model.pt2",
        "model.safetensors",
        "preprocessing.json",
    }
    for name, digest in sums.items():
        assert hashlib.sha256((exported / name).read_bytes()).hexdigest() == digest


def test_the_card_says_what_was_measured(exported, here):
    text = (exported / "README.md").read_text()
    _, front, body = text.split("---\n", 2)
    fields = yaml.safe_load(front)
    assert fields["license"] == "unknown"
    assert fields["pipeline_tag"] == "image-classification"
    record = json.loads(
        (here / "results/photos/records/train/pets/quick/A/seed-0.json").read_text()
    )
    accuracy = record["train"]["epochs"][-1]["test_accuracy"]
    (metric,) = fields["model-index"][0]["results"][0]["metrics"]
    assert metric["value"] == pytest.approx(accuracy)
    assert all(f"| seed {seed}" in body for seed in range(3))
    assert record["train"]["final_weights_sha256"] in body
    assert "not picked by its accuracy on test images" in body
    assert "100.00 %" in body


def test_the_code_in_the_card_gives_the_prediction(exported, here, run, tmp_path):
    """In a process of its own, with what the card says and nothing of this project."""
    code = (exported / "README.md").read_text().split("```python\n")[1].split("```")[0]
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (40, 60, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(exported / "image.png")
    try:
        said = subprocess.run(
            [sys.executable, "-c", code], cwd=exported, capture_output=True, text=True, check=True
        )
        done = run("predict", "photos", "A", exported / "image.png", "--json")
    finally:
        (exported / "image.png").unlink()
    (image,) = json.loads(done.stdout)["images"]
    name, probability = said.stdout.split()
    assert name == image["class"]
    assert float(probability) == pytest.approx(image["probability"], abs=1e-5)


def test_the_onnx_file_can_be_used_alone(exported):
    import onnx as onnx_package

    model = onnx_package.load(exported / "model.onnx")
    values = {one.key: one.value for one in model.metadata_props}
    assert json.loads(values["classes"]) == ["cat", "ship"]
    assert json.loads(values["preprocessing"])["crop"] == 16
    # Any number of images at a time.
    run = onnx.load(exported / "model.onnx", 1)
    for number in (1, 3):
        assert run(np.zeros((number, 3, 16, 16), dtype=np.float32)).shape == (number, 2)


def test_a_file_that_disagrees_is_not_left_behind(here, run, tmp_path, monkeypatch):
    def wrong(path):
        return lambda images_BCHW: np.zeros((len(images_BCHW), 2), dtype=np.float32)

    monkeypatch.setattr(export_model, "_load_program", wrong)
    folder, words = tmp_path / "out", ["export-model", "photos", "A", "--format", "pt2"]
    done = run(*words, "--format", "safetensors", "--output", folder)
    assert isinstance(done.exception, UserError)
    assert "pt2: its outputs" in done.stderr
    assert not (folder / "model.pt2").exists()
    assert (folder / "model.safetensors").exists()
    assert "Not exported as pt2" in (folder / "README.md").read_text()
    alone = run(*words, "--output", tmp_path / "alone")
    assert "nothing is written" in str(alone.exception)
    assert not (tmp_path / "alone").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_missing_package_is_one_line(here, run, tmp_path, monkeypatch):
    monkeypatch.setattr("resnest_bench.deploy.problems.find_spec", lambda name: None)
    done = run("export-model", "photos", "A", "--format", "openvino", "-o", tmp_path / "out")
    assert "openvino" in done.stderr
    assert "resnest-bench[openvino]" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--format", "torchscript"], "--format must be one of"),
        (["--fold-seeds", "median"], "must be mean"),
        (["--fold-seeds", "mean", "--seed", "0"], "only one of them"),
    ],
)
def test_what_cannot_be_exported_is_refused(here, run, tmp_path, words, problem):
    done = run("export-model", "photos", "A", "-o", tmp_path / "out", *words)
    assert problem in str(done.exception)


def test_a_folder_with_files_is_not_overwritten(here, run, tmp_path):
    (tmp_path / "mine.txt").touch()
    done = run("export-model", "photos", "A", "-o", tmp_path)
    assert "new or empty folder" in str(done.exception)


def test_the_mean_of_the_weights_is_shown_next_to_the_seeds(here, run, tmp_path):
    folder = tmp_path / "out"
    words = ["--fold-seeds", "mean", "--format", "safetensors", "-o", folder]
    done = run("export-model", "photos", "A", *words)
    assert done.exit_code == 0, done.output
    text = (folder / "README.md").read_text()
    assert "mean of the weights of seeds 0, 1, 2" in text
    assert "share no initial weights" in text
    assert all(f"| seed {seed}" in text for seed in range(3))
