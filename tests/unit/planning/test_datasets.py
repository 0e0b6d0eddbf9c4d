"""Image folders are counted before they are prepared: as a folder and as an archive alike."""

import tarfile
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from resnest_bench.data import prepare
from resnest_bench.errors import UserError
from resnest_bench.planning.clock import Clock
from resnest_bench.planning.datasets import find_part_and_class, inspect_dataset
from support.records_factory import CONFIG, make_study

CLOCK = Clock(torch.device("cpu"))
COUNTS = {("train", "cat"): 5, ("train", "dog"): 4, ("test", "cat"): 2, ("test", "dog"): 1}


@pytest.fixture
def photos(tmp_path):
    """9 + 3 images of 24 pixels high and 36 wide, in two classes."""
    root = tmp_path / "photos"
    generator = np.random.default_rng(0)
    for (part, name), number in COUNTS.items():
        folder = root / part / name
        folder.mkdir(parents=True)
        (folder / "notes.txt").write_text("no image")
        for index in range(number):
            pixels = generator.integers(0, 256, (24, 36, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{index}.png")
    return root


def make_folder_study(path, tmp_path, **fields):
    low = {"source": "imagefolder", "path": str(path), "image_size": 16, **fields}
    datasets = {**CONFIG["datasets"], "low": low}
    return make_study(datasets=datasets, data_dir=str(tmp_path / "data"))


def pack(photos, ending):
    archive = photos.with_name(f"photos{ending}")
    files = [path for path in sorted(photos.rglob("*")) if path.is_file()]
    if ending == ".zip":
        with zipfile.ZipFile(archive, "w") as out:
            for path in files:
                out.write(path, path.relative_to(photos.parent))
    else:
        with tarfile.open(archive, "w" if ending == ".tar" else "w:gz") as out:
            for path in files:
                out.add(path, path.relative_to(photos.parent))
    return archive


@pytest.mark.parametrize("ending", ["", ".tar", ".tar.gz", ".zip"])
def test_images_are_counted_and_a_sample_is_decoded(photos, tmp_path, ending):
    path = pack(photos, ending) if ending else photos
    study = make_folder_study(path, tmp_path)
    facts = inspect_dataset(study, "low", CLOCK)
    assert (facts.num_train, facts.num_test, facts.num_classes) == (9, 3, 2)
    # The shorter side becomes 16 pixels, the other 24.
    assert (facts.stored_shape, facts.uniform) == ((16, 24), False)
    assert facts.prepare_bytes == 12 * 16 * 24 * 3
    assert facts.prepare_seconds > 0
    # A look prepares nothing.
    assert not (tmp_path / "data").exists()


def test_what_is_prepared_costs_nothing_more(photos, tmp_path):
    study = make_folder_study(photos, tmp_path, resize=20)
    before = inspect_dataset(study, "low", CLOCK)
    prepare(study.dataset("low"), "low", study.prepared("low"), tmp_path / "data/downloads")
    after = inspect_dataset(study, "low", CLOCK)
    assert (after.num_train, after.num_test) == (before.num_train, before.num_test)
    assert after.stored_shape == before.stored_shape == (20, 30)
    assert (after.prepare_seconds, after.prepare_bytes) == (0.0, 0)


def test_some_classes_have_their_share_of_the_images():
    whole = make_study(datasets={"low": {"source": "digits"}, "high": {"source": "digits"}})
    some = make_study(
        datasets={"low": {"source": "digits", "classes": [0, 1]}, "high": {"source": "digits"}}
    )
    every, two = (inspect_dataset(study, "low", CLOCK) for study in (whole, some))
    assert (two.num_train, two.num_test) == (round(every.num_train / 5), round(every.num_test / 5))
    assert two.num_classes == 2


@pytest.mark.parametrize("kind", ["missing", "broken", "no classes"])
def test_what_cannot_be_counted_is_said(tmp_path, kind):
    path = tmp_path / "photos.tar"
    if kind == "broken":
        path.write_bytes(b"not an archive")
    elif kind == "no classes":
        path = tmp_path / "photos"
        (path / "train").mkdir(parents=True)
    with pytest.raises(UserError):
        inspect_dataset(make_folder_study(path, tmp_path), "low", CLOCK)


def test_an_archive_elsewhere_is_counted_once_it_is_here(tmp_path):
    low = {
        "source": "imagefolder",
        "urls": ["https://example.org/a.zip"],
        "checksum": "md5:" + 32 * "0",
        "image_size": 16,
    }
    study = make_study(datasets={**CONFIG["datasets"], "low": low}, data_dir=str(tmp_path))
    with pytest.raises(UserError, match="resnest-bench data"):
        inspect_dataset(study, "low", CLOCK)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("train/cat/1.png", ("train", "cat")),
        ("photos/test/dog/deep/1.JPG", ("test", "dog")),
        ("photos\\test\\dog\\1.jpg", ("test", "dog")),
        ("photos/test/1.png", None),
        ("photos/val/dog/1.png", None),
        ("train/cat/1.txt", None),
        ("train/cat/._1.png", None),
        ("train", None),
    ],
)
def test_members_of_an_archive_have_their_place(name, place):
    assert find_part_and_class(name) == place
