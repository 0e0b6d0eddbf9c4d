"""Test images that are also training images: named, counted, and refused where the dataset says so."""

import csv
import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from resnest_bench.data import check_leakage, open_prepared, prepare, report_file
from resnest_bench.errors import UserError
from resnest_bench.measure.identity import dataset_identity
from resnest_bench.specs import DigitsDataset, ImageFolderDataset
from support.pictures import picture


@pytest.fixture
def root(tmp_path):
    """Two classes; of each three images in train and two others in test."""
    for c, name in enumerate(("cat", "dog")):
        for part, count in (("train", 3), ("test", 2)):
            folder = tmp_path / "photos" / part / name
            folder.mkdir(parents=True)
            for k in range(count):
                seed = 100 * c + 10 * (part == "test") + k
                Image.fromarray(picture(seed)).save(folder / f"{k}.png")
    return tmp_path / "photos"


@pytest.fixture
def leaking(root):
    """With an equal copy, a recompressed one, and one image under two labels."""
    shutil.copy(root / "train/cat/0.png", root / "test/cat/same.png")
    with Image.open(root / "train/dog/1.png") as image:
        image.save(root / "test/dog/jpeg.jpg", quality=70)
    shutil.copy(root / "train/cat/2.png", root / "train/dog/no cat.png")
    return root


def build_spec(root, **more):
    return ImageFolderDataset(source="imagefolder", path=str(root), image_size=32, **more)


def prepare_at(root, tmp_path, **more):
    folder = tmp_path / "store" / "pets-0"
    return prepare(build_spec(root, **more), "pets", folder, tmp_path / "downloads"), folder


def list_rows(folder):
    with report_file(folder).open(newline="") as file:
        return list(csv.DictReader(file))


def test_clean_data_counts_nothing_and_lists_nothing(root, tmp_path, caplog):
    meta, folder = prepare_at(root, tmp_path)
    assert set(meta.duplicates.model_dump().values()) == {0}
    assert not report_file(folder).exists()
    assert not [r for r in caplog.records if r.levelname == "WARNING"]


def test_copies_are_named_by_their_files_and_counted(leaking, tmp_path, caplog):
    meta, folder = prepare_at(leaking, tmp_path)
    assert meta.duplicates.model_dump() == {
        "test_exact": 1,
        "test_near": 1,
        "train_repeated": 2,
        "test_repeated": 0,
        "two_labels": 2,
    }
    keys = ("file", "other_file", "copy", "in_both_parts", "two_labels")
    assert [tuple(row[key] for key in keys) for row in list_rows(folder)] == [
        ("test/cat/same.png", "train/cat/0.png", "exact", "yes", "no"),
        ("test/dog/jpeg.jpg", "train/dog/1.png", "near", "yes", "no"),
        ("train/dog/no cat.png", "train/cat/2.png", "exact", "no", "yes"),
    ]
    for file in ("test/cat/same.png", "test/dog/jpeg.jpg", "train/dog/no cat.png"):
        assert file in caplog.text
    assert str(report_file(folder)) in caplog.text
    assert open_prepared(folder).meta == meta


def test_every_test_image_can_be_a_training_image(root, tmp_path):
    """What was reported: a folder whose test images were all copies, and not a word."""
    shutil.rmtree(root / "test")
    shutil.copytree(root / "train", root / "test")
    meta, _ = prepare_at(root, tmp_path)
    assert (meta.duplicates.test_exact, sum(meta.counts_per_class["test"].values())) == (6, 6)


def test_error_refuses_and_leaves_nothing_but_the_list(leaking, tmp_path):
    with pytest.raises(UserError, match=r"leakage: error.*test/cat/same\.png") as caught:
        prepare_at(leaking, tmp_path, leakage="error")
    folder = tmp_path / "store" / "pets-0"
    assert str(report_file(folder)) in str(caught.value)
    assert len(list_rows(folder)) == 3
    left = {path.name for path in folder.parent.iterdir()}
    assert left == {".pets-0.lock", report_file(folder).name}
    for file in ("test/cat/same.png", "test/dog/jpeg.jpg", "train/dog/no cat.png"):
        (leaking / file).unlink()
    prepare_at(leaking, tmp_path, leakage="error")
    assert not report_file(folder).exists()


def test_one_image_under_two_labels_is_refused_too(root, tmp_path):
    shutil.copy(root / "train/cat/2.png", root / "train/dog/cat.png")
    with pytest.raises(UserError, match="another label"):
        prepare_at(root, tmp_path, leakage="error")


def test_allow_counts_without_a_word(leaking, tmp_path, caplog):
    meta, _ = prepare_at(leaking, tmp_path, leakage="allow")
    assert meta.duplicates.test_exact == 1
    assert not [r for r in caplog.records if r.levelname == "WARNING"]


def test_another_policy_prepares_nothing_anew(leaking, tmp_path, caplog):
    meta, folder = prepare_at(leaking, tmp_path, leakage="allow")
    times = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert "same.png" not in caplog.text
    assert prepare_at(leaking, tmp_path)[0] == meta
    assert "same.png" in caplog.text
    with pytest.raises(UserError, match="leakage: error"):
        prepare_at(leaking, tmp_path, leakage="error")
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == times


def forget_the_search(folder):
    """As an older version has left it."""
    raw = json.loads((folder / "meta.json").read_text())
    del raw["duplicates"]
    (folder / "meta.json").write_text(json.dumps(raw))
    os.utime(folder / "meta.json", ns=(10**18, 10**18))
    report_file(folder).unlink(missing_ok=True)


def test_data_prepared_before_is_searched_and_stays_as_it_is(leaking, tmp_path):
    meta, folder = prepare_at(leaking, tmp_path)
    rows = list_rows(folder)
    forget_the_search(folder)
    old = open_prepared(folder).meta
    assert (old.duplicates, old.fingerprint) == (None, meta.fingerprint)
    times = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert prepare_at(leaking, tmp_path)[0] == meta
    assert list_rows(folder) == rows
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == times


def test_images_without_their_files_are_named_by_number(leaking, tmp_path):
    _, folder = prepare_at(leaking, tmp_path)
    forget_the_search(folder)
    shutil.rmtree(leaking)
    prepare_at(leaking, tmp_path)
    # cat: 0, 1, 2 and dog: 0, 1, 2, 'no cat' in train; cat: 0, 1, same and dog: 0, 1, jpeg in test.
    assert [(row["file"], row["other_file"]) for row in list_rows(folder)] == [
        ("test[2]", "train[0]"),
        ("test[5]", "train[4]"),
        ("train[6]", "train[2]"),
    ]


def test_a_job_asks_before_it_trains(leaking, tmp_path):
    meta, folder = prepare_at(leaking, tmp_path)
    report = report_file(folder)
    check_leakage(build_spec(leaking), meta, report)
    strict = build_spec(leaking, leakage="error")
    with pytest.raises(UserError, match="another label"):
        check_leakage(strict, meta, report)
    report.unlink()
    with pytest.raises(UserError, match="another label"):
        check_leakage(strict, meta, report)
    with pytest.raises(UserError, match="resnest-bench data"):
        check_leakage(strict, meta.model_copy(update={"duplicates": None}), report)


def test_records_have_the_counts(leaking, tmp_path):
    meta, folder = prepare_at(leaking, tmp_path)
    assert dataset_identity(open_prepared(folder), 7, 0).duplicates == meta.duplicates


def test_handwriting_is_searched_for_equal_images_only(tmp_path):
    """At 8x8 pixels different people write alike."""
    meta = prepare(DigitsDataset(source="digits"), "digits", tmp_path / "digits", tmp_path)
    assert meta.duplicates.test_near is None
    assert meta.duplicates.test_exact == 0


@pytest.mark.skipif(os.name != "posix", reason="file names as bytes")
def test_a_name_that_is_no_text_is_listed_all_the_same(root, tmp_path):
    name = os.fsencode(root / "test" / "cat") + b"/caf\xe9\n.png"
    try:
        shutil.copy(os.fsencode(root / "train/cat/0.png"), name)
    except OSError:
        pytest.skip("this file system takes only UTF-8")
    _, folder = prepare_at(root, tmp_path)
    (row,) = list_rows(folder)
    assert row["file"] == r"test/cat/caf\udce9\n.png"


@pytest.mark.data
def test_the_hotdog_photos_have_copies_of_training_photos_in_their_test(test_data, tmp_path):
    """Seen by eye: they are the same photos, compressed anew."""
    import tarfile

    with tarfile.open(test_data / "hotdog-jpeg.tar") as tar:
        members = [
            m for m in tar.getmembers() if "/hotdog/00" in m.name or "/not-hotdog/00" in m.name
        ]
        wanted = [
            m
            for m in tar.getmembers()
            if m.name.endswith(("train/hotdog/0670.jpg", "train/hotdog/0463.jpg"))
        ]
        tar.extractall(tmp_path, members + wanted, filter="data")
    spec = ImageFolderDataset(source="imagefolder", path=str(tmp_path), image_size=64, resize=64)
    meta = prepare(spec, "hotdog", tmp_path / "store" / "hotdog", tmp_path)
    found = {
        (row["file"], row["other_file"])
        for row in list_rows(tmp_path / "store" / "hotdog")
        if row["in_both_parts"] == "yes"
    }
    assert {
        ("test/hotdog/0065.jpg", "train/hotdog/0670.jpg"),
        ("test/hotdog/0086.jpg", "train/hotdog/0463.jpg"),
    } <= found
    assert meta.duplicates.test_near >= 2


def test_sizes_may_differ(root, tmp_path):
    """Ragged data: a photo and its half."""
    large = Image.fromarray(picture(7, 120, 160))
    large.save(root / "train" / "cat" / "large.png")
    large.resize((80, 60)).save(root / "test" / "cat" / "small.png")
    meta, folder = prepare_at(root, tmp_path, resize=48)
    assert not meta.uniform
    assert [row["file"] for row in list_rows(folder)] == ["test/cat/small.png"]
    assert np.all(open_prepared(folder).test.shapes >= 48)
