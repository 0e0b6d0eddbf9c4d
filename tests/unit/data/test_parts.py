"""Folders without parts are divided; folders with a validation part say what becomes of it."""

import tarfile

import numpy as np
import pytest
from PIL import Image

from resnest_bench.data import open_prepared, prepare
from resnest_bench.data.splits import choose_test_images, train_validation_split
from resnest_bench.errors import UserError
from resnest_bench.specs import ImageFolderDataset

SHADES = {"cat": 10, "dog": 200}


def fill(folder, num):
    """`num` images of cats and of dogs, each of one gray of its own."""
    for name, shade in SHADES.items():
        (folder / name).mkdir(parents=True)
        for index in range(num):
            Image.new("RGB", (8, 8), (shade + index,) * 3).save(folder / name / f"{index}.png")


def prepare_at(path, tmp_path, **more):
    spec = ImageFolderDataset(source="imagefolder", path=str(path), image_size=8, **more)
    folder = tmp_path / "data" / "prepared" / "x"
    prepare(spec, "pets", folder, tmp_path / "data" / "downloads")
    return open_prepared(folder)


def grays(split):
    return [int(split.image(index)[0, 0, 0]) for index in range(len(split))]


def test_classes_are_divided_alike_by_the_seed(tmp_path):
    fill(tmp_path / "pets", 10)
    first, again, other = (
        prepare_at(tmp_path / "pets", tmp_path / str(i), split={"test_fraction": 0.3, "seed": seed})
        for i, seed in enumerate((0, 0, 1))
    )
    assert first.meta.counts_per_class == {
        "train": {"cat": 7, "dog": 7},
        "test": {"cat": 3, "dog": 3},
    }
    assert sorted(grays(first.train) + grays(first.test)) == sorted(
        shade + index for shade in SHADES.values() for index in range(10)
    )
    assert grays(first.test) == grays(again.test) != grays(other.test)
    assert first.meta.reading.split.test_fraction == 0.3


@pytest.mark.parametrize("wrapped", ["", "pets-1.0", "train"])
def test_the_classes_may_lie_in_one_folder_of_an_archive(wrapped, tmp_path):
    fill(tmp_path / "pets", 4)
    with tarfile.open(tmp_path / "pets.tar", "w") as tar:
        for path in sorted((tmp_path / "pets").rglob("*.png")):
            tar.add(path, f"{wrapped}/{path.relative_to(tmp_path / 'pets')}".lstrip("/"))
    data = prepare_at(tmp_path / "pets.tar", tmp_path, split={})
    assert (len(data.train), len(data.test)) == (6, 2)


def test_split_is_for_folders_without_parts_alone(tmp_path):
    for part in ("train", "test"):
        fill(tmp_path / "pets" / part, 2)
    with pytest.raises(UserError, match=r"got test, train .*split"):
        prepare_at(tmp_path / "pets", tmp_path, split={})
    fill(tmp_path / "flat", 1)
    with pytest.raises(UserError, match=r"set split: \{test_fraction"):
        prepare_at(tmp_path / "flat", tmp_path)
    with pytest.raises(UserError, match="only one of cat, dog"):
        prepare_at(tmp_path / "flat", tmp_path, split={})
    (tmp_path / "none" / "cat").mkdir(parents=True)
    with pytest.raises(UserError, match="at least two classes, but has cat"):
        prepare_at(tmp_path / "none", tmp_path, split={})


@pytest.fixture
def three(tmp_path):
    """Two images of each class in train/, test/ and valid/; those of valid/ are 20 to 21 and 210 to 211."""
    for part in ("train", "test"):
        fill(tmp_path / "pets" / part, 2)
    fill(tmp_path / "pets" / "valid", 2)
    for path in (tmp_path / "pets" / "valid").rglob("*.png"):
        shade = SHADES[path.parent.name] + 10 + int(path.stem)
        Image.new("RGB", (8, 8), (shade,) * 3).save(path)
    return tmp_path / "pets"


def test_a_validation_folder_is_used_as_stated(three, tmp_path, caplog):
    ignored = prepare_at(three, tmp_path / "0")
    assert ignored.meta.reading.unused_folders == {"valid": 4}
    assert "validation: hold_out" in caplog.text
    joined = prepare_at(three, tmp_path / "1", validation="train")
    assert grays(joined.train) == [10, 11, 20, 21, 200, 201, 210, 211]
    held = prepare_at(three, tmp_path / "2", validation="hold_out")
    assert grays(held.train) == [10, 11, 200, 201, 20, 21, 210, 211]
    assert held.meta.reading.num_given_validation == 4
    assert held.meta.reading.unused_folders == {}


def test_a_broken_validation_image_is_not_counted(three, tmp_path):
    (three / "valid" / "cat" / "0.png").write_text("no image")
    held = prepare_at(three, tmp_path, validation="hold_out", broken="skip")
    assert held.meta.reading.num_given_validation == 3


def test_validation_images_stand_in_for_test_images(three, tmp_path):
    with pytest.raises(UserError, match="has test/: say ignore"):
        prepare_at(three, tmp_path, validation="test")
    (three / "test").rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"rename 'valid' to 'test', or set validation: test"):
        prepare_at(three, tmp_path)
    assert grays(prepare_at(three, tmp_path, validation="test").test) == [20, 21, 210, 211]
    (three / "valid").rename(three / "dev")
    with pytest.raises(UserError, match="train/ and val/"):
        prepare_at(three, tmp_path, validation="test")


def test_a_validation_folder_must_be_one_and_of_known_classes(three, tmp_path):
    (three / "valid" / "bird").mkdir()
    Image.new("RGB", (8, 8)).save(three / "valid" / "bird" / "0.png")
    with pytest.raises(UserError, match=r"classes of train.*bird"):
        prepare_at(three, tmp_path, validation="hold_out")
    (three / "val").mkdir()
    with pytest.raises(UserError, match=r"val, valid .*merge them"):
        prepare_at(three, tmp_path, validation="train")


# The arithmetic


def test_a_given_validation_part_is_held_out_whatever_the_fraction():
    labels_N = np.array([0, 1, 0, 1, 0])
    train, held = train_validation_split(labels_N, 0.5, 0, ("a", "b"), num_given=2)
    assert (train.tolist(), held.tolist()) == ([0, 1, 2], [3, 4])
    train, held = train_validation_split(labels_N, 0.0, 0, ("a", "b"), num_given=2)
    assert (train.tolist(), held.tolist()) == ([0, 1, 2], [])


@pytest.mark.parametrize(("fraction", "tested"), [(0.1, 10), (0.25, 25), (0.5, 50), (0.8, 80)])
def test_groups_are_dealt_by_the_fraction(fraction, tested):
    labels_N = np.tile([0, 1], 100)
    groups_N = np.arange(200) // 2  # each group has one image of both classes
    chosen_N = choose_test_images(labels_N, groups_N, fraction, 0, ("a", "b"))
    assert chosen_N.sum() == 2 * tested
    assert (chosen_N[::2] == chosen_N[1::2]).all()


def test_groups_that_leave_a_class_in_one_part_are_refused():
    labels_N, groups_N = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 0, 1, 2, 3])
    with pytest.raises(UserError, match=r"seed 0 .* for a:"):
        choose_test_images(labels_N, groups_N, 0.5, 0, ("a", "b"))
    with pytest.raises(UserError, match="at least two groups"):
        choose_test_images(labels_N, np.zeros(6, dtype=int), 0.5, 0, ("a", "b"))
