"""Prepared folders: written whole or not at all, and checked when they are opened."""

import json
import logging
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from resnest_bench.data import open_prepared, prepare, source_fingerprint, verify
from resnest_bench.data.arrays import NpyAppender
from resnest_bench.errors import UserError
from resnest_bench.specs import Cifar10Dataset, DigitsDataset, ImageFolderDataset


@pytest.fixture
def photos(tmp_path):
    """Two classes, two images each, in two sizes; each of one gray."""
    for part in ("train", "test"):
        for shade, name in ((10, "cat"), (200, "dog")):
            folder = tmp_path / "photos" / part / name
            folder.mkdir(parents=True)
            Image.new("RGB", (12, 8), (shade,) * 3).save(folder / "0.png")
            Image.new("RGB", (8, 16), (shade + 1,) * 3).save(folder / "1.png")
    return tmp_path / "photos"


def build_spec(photos, **more):
    return ImageFolderDataset(source="imagefolder", path=str(photos), image_size=8, **more)


@pytest.fixture
def ragged(photos, tmp_path):
    folder = tmp_path / "store" / "photos-0"
    prepare(build_spec(photos), "photos", folder, tmp_path / "downloads")
    return folder


@pytest.fixture
def uniform(tmp_path):
    folder = tmp_path / "store" / "digits-0"
    prepare(DigitsDataset(source="digits", classes=(0, 1)), "digits", folder, tmp_path)
    return folder


def test_an_appended_array_is_what_numpy_saves(tmp_path):
    values = np.arange(2 * 3 * 100_000, dtype=np.int32).reshape(100_000, 2, 3)
    with NpyAppender(tmp_path / "a.npy", np.int32, (2, 3)) as file:
        for start in range(0, 100_000, 30_000):
            file.append(values[start : start + 30_000])
    assert np.array_equal(np.load(tmp_path / "a.npy"), values)


def test_ragged_images_are_found_by_their_offsets(ragged):
    data = open_prepared(ragged)
    assert not data.meta.uniform
    assert data.train.shapes.tolist() == [[8, 12], [16, 8]] * 2
    assert data.train.offsets.tolist() == [0, 288, 672, 960]
    assert [int(data.train.image(i).mean()) for i in range(4)] == [10, 11, 200, 201]
    assert data.train.image(1).shape == (16, 8, 3)


@pytest.mark.parametrize("kind", ["uniform", "ragged"])
def test_a_changed_pixel_shows_in_the_fingerprint(kind, request):
    folder = request.getfixturevalue(kind)
    verify(folder)
    images = np.load(folder / "test_images.npy", mmap_mode="r+")
    images.reshape(-1)[7] ^= 1
    images.flush()
    with pytest.raises(UserError, match="must have fingerprint"):
        verify(folder)


def test_class_names_and_shapes_are_in_the_fingerprint(photos, tmp_path):
    def fingerprint(folder):
        return prepare(build_spec(photos), "photos", tmp_path / folder, tmp_path).fingerprint

    first = fingerprint("a")
    for part in ("train", "test"):
        (photos / part / "dog").rename(photos / part / "hound")
    second = fingerprint("b")
    for image in photos.rglob("0.png"):
        with Image.open(image) as old:
            old.transpose(Image.Transpose.ROTATE_90).save(image)
    assert len({first, second, fingerprint("c")}) == 3


def meta_with(folder, **changes):
    raw = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps({**raw, **changes}))


BREAKS = {
    "train_images.npy: ": lambda f: (f / "train_images.npy").write_bytes(b"x" * 99),
    "test_labels.npy: ": lambda f: (f / "test_labels.npy").unlink(),
    "train_labels.npy: must be int64": lambda f: np.save(f / "train_labels.npy", np.zeros(4)),
    "test_labels.npy: must hold as many": lambda f: np.save(
        f / "test_labels.npy", np.zeros(4, np.int64)
    ),
    "test_labels.npy: labels must be 0 to 1": lambda f: np.save(
        f / "test_labels.npy", np.array([0, 0, 1, 9])
    ),
    "train_offsets.npy: must follow": lambda f: np.save(f / "train_offsets.npy", np.arange(4)),
    "train_images.npy: must be uint8": lambda f: np.save(
        f / "train_images.npy", np.zeros(5, np.uint8)
    ),
    "meta.json: must be JSON": lambda f: (f / "meta.json").write_text("{"),
    "format_version must be 1, but got 2": lambda f: meta_with(f, format_version=2),
    "image_size": lambda f: meta_with(f, image_size="large"),
}


@pytest.mark.parametrize("message", BREAKS)
def test_a_broken_folder_is_named_with_what_to_do(ragged, message):
    BREAKS[message](ragged)
    with pytest.raises(UserError, match=message) as caught:
        open_prepared(ragged)
    assert f"Delete the folder {ragged}" in str(caught.value)


def test_a_truncated_array_is_refused(uniform):
    path = uniform / "train_images.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"train_images\.npy: "):
        open_prepared(uniform)


@pytest.mark.parametrize(
    "header", [b"{'descr': '|u1', (\n", b"\0", b"{'shape': (" + b"9" * 30, b"[" * 100]
)
def test_a_damaged_header_of_an_array_is_refused(uniform, header):
    """It is read as a Python literal, which fails in ways of its own."""
    file = uniform / "train_labels.npy"
    content = file.read_bytes()
    file.write_bytes(content[:10] + header + content[10 + len(header) :])
    with pytest.raises(UserError, match=r"\.npy array"):
        open_prepared(uniform)


def test_a_meta_json_that_is_nested_too_deep_is_refused(uniform):
    (uniform / "meta.json").write_text("[" * 100_000)
    with pytest.raises(UserError, match="must be JSON"):
        open_prepared(uniform)


def test_what_is_not_prepared_is_said(tmp_path):
    with pytest.raises(UserError, match="resnest-bench data"):
        open_prepared(tmp_path / "none")


def test_a_whole_folder_is_left_alone(ragged, photos, tmp_path):
    before = (ragged / "meta.json").stat()
    prepare(build_spec(photos), "photos", ragged, tmp_path / "downloads")
    after = (ragged / "meta.json").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: (f / "meta.json").unlink(),
        lambda f: (f / "train_labels.npy").unlink(),
        lambda f: (f / "meta.json").write_text("{"),
    ],
)
def test_a_folder_that_is_not_whole_is_prepared_again(ragged, photos, tmp_path, damage):
    before = open_prepared(ragged).meta
    damage(ragged)
    assert prepare(build_spec(photos), "photos", ragged, tmp_path / "downloads") == before
    assert verify(ragged) == before


def test_an_added_photo_is_prepared_again(ragged, photos, tmp_path):
    Image.new("RGB", (8, 8)).save(photos / "train" / "cat" / "new.png")
    meta = prepare(build_spec(photos), "photos", ragged, tmp_path / "downloads")
    assert meta.counts_per_class["train"] == {"cat": 3, "dog": 2}


def test_data_whose_source_is_gone_is_still_good(ragged, photos, tmp_path):
    photos.rename(tmp_path / "elsewhere")
    meta = prepare(build_spec(photos), "photos", ragged, tmp_path / "downloads")
    assert meta == open_prepared(ragged).meta


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interrupted_run_leaves_the_old_data(ragged, photos, tmp_path, monkeypatch, error):
    before = verify(ragged)
    Image.new("RGB", (8, 8)).save(photos / "train" / "cat" / "new.png")

    def broken(*args, **kwargs):
        raise error

    monkeypatch.setattr(np, "save", broken)
    with pytest.raises((KeyboardInterrupt, UserError)):
        prepare(build_spec(photos), "photos", ragged, tmp_path / "downloads")
    assert verify(ragged) == before
    assert [path.name for path in ragged.parent.iterdir() if path.is_dir()] == [ragged.name]


def test_progress_is_logged_under_the_packages_name(photos, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "resnest_bench.data"):
        prepare(build_spec(photos), "photos", tmp_path / "p", tmp_path)
    assert "photos: 4 train images" in caplog.text


def test_the_source_fingerprint_follows_names_sizes_and_times(photos):
    spec = build_spec(photos)
    seen = {source_fingerprint(spec)}
    assert source_fingerprint(spec) in seen
    (photos / "train" / "cat" / "0.png").rename(photos / "train" / "cat" / "2.png")
    seen.add(source_fingerprint(spec))
    (photos / "train" / "dog" / "1.png").unlink()
    seen.add(source_fingerprint(spec))
    (photos / "train" / "dog" / "0.png").touch()
    seen.add(source_fingerprint(spec))
    assert len(seen) == 4


def test_what_has_no_local_files_has_no_source_fingerprint(tmp_path):
    assert source_fingerprint(DigitsDataset(source="digits")) == ""
    assert source_fingerprint(Cifar10Dataset(source="cifar10")) == ""
    assert source_fingerprint(build_spec(tmp_path / "none")) == ""
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert source_fingerprint(build_spec(tmp_path)) != ""


def test_importing_data_needs_no_torch():
    code = "import sys, resnest_bench.data; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
