"""Files of MedMNIST, made as theirs are: (N, 28, 28[, 3]) uint8 and labels (N, 1)."""

import numpy as np
import pytest
from PIL import Image

from resnest_bench.data import open_prepared, prepare
from resnest_bench.data.medmnist import count_images
from resnest_bench.errors import UserError
from resnest_bench.specs import MedmnistDataset

SIZES = {"train": 6, "val": 3, "test": 4}


@pytest.fixture(scope="module")
def arrays():
    generator = np.random.default_rng(0)
    found = {}
    for key, num in SIZES.items():
        found[f"{key}_images"] = generator.integers(0, 256, (num, 28, 28), dtype=np.uint8)
        found[f"{key}_labels"] = (np.arange(num) % 3).astype(np.uint8)[:, None]
    return found


def save(tmp_path, arrays, **changes):
    path = tmp_path / "some.npz"
    wanted = {key: value for key, value in {**arrays, **changes}.items() if value is not None}
    np.savez_compressed(path, **wanted)
    return path


def prepare_at(path, tmp_path, **more):
    spec = MedmnistDataset(source="medmnist", path=str(path), **more)
    prepare(spec, "med", tmp_path / "x", tmp_path / "downloads")
    return open_prepared(tmp_path / "x")


def test_gray_images_become_rgb_of_the_files_size(arrays, tmp_path):
    data = prepare_at(save(tmp_path, arrays), tmp_path)
    assert (data.meta.image_size, data.meta.classes) == (28, ("0", "1", "2"))
    assert (data.test.image(3) == arrays["test_images"][3][..., None]).all()
    assert data.test.labels.tolist() == [0, 1, 2, 0]
    assert data.meta.reading.unused_folders == {"validation": 3}
    pixels = arrays["train_images"] / 255
    assert data.meta.mean == pytest.approx((pixels.mean(),) * 3, abs=1e-4)
    assert data.meta.std == pytest.approx((pixels.std(),) * 3, abs=1e-4)


def test_one_channel_and_another_size(arrays, tmp_path):
    names = ("a", "b", "c")
    data = prepare_at(
        save(tmp_path, arrays), tmp_path, channels=1, image_size=32, class_names=names
    )
    assert data.train.images.shape == (6, 32, 32, 1)
    wanted = Image.fromarray(arrays["train_images"][0]).resize((32, 32), Image.Resampling.BILINEAR)
    assert (data.train.image(0)[..., 0] == np.asarray(wanted)).all()
    assert data.meta.classes == names


def test_colour_becomes_gray_by_its_luma(arrays, tmp_path):
    red = np.zeros((6, 28, 28, 3), dtype=np.uint8)
    red[..., 0] = 200
    path = save(tmp_path, arrays, train_images=red)
    data = prepare_at(path, tmp_path, channels=1)
    assert int(data.train.image(0)[0, 0, 0]) == round(0.299 * 200)


def test_validation_images_are_used_as_stated(arrays, tmp_path):
    path = save(tmp_path, arrays)
    held = prepare_at(path, tmp_path / "1", validation="hold_out")
    assert (len(held.train), held.meta.reading.num_given_validation) == (9, 3)
    assert (held.train.image(6)[..., 0] == arrays["val_images"][0]).all()
    assert len(prepare_at(path, tmp_path / "2", validation="train").train) == 9
    with pytest.raises(UserError, match=r"has test_images: .*hold_out"):
        prepare_at(path, tmp_path / "3", validation="test")
    path = save(tmp_path, arrays, test_images=None, test_labels=None)
    assert len(prepare_at(path, tmp_path / "4", validation="test").test) == 3
    spec = MedmnistDataset(source="medmnist", path=str(path), validation="test")
    counts = count_images(spec, "med")
    assert (counts.by_class["test"], counts.side) == ({"0": 1, "1": 1, "2": 1}, 28)


MISTAKES = {
    r"\(6, 2\) for train_labels": {"train_labels": np.zeros((6, 2), np.uint8)},
    r"train_images.*2D": {"train_images": np.zeros((6, 28, 28, 28), np.uint8)},
    r"uint8, but got float64": {"train_images": np.zeros((6, 28, 28))},
    r"Python objects, which are never loaded": {"notes": np.array([{}])},
    r"whole numbers": {"train_labels": np.full((6, 1), 0.5)},
    r"train and test, but got train, val": {"test_labels": None},
    r"must hold train_images": {"train_images": None},
}


@pytest.mark.parametrize("message", MISTAKES)
def test_what_is_no_set_is_said(message, arrays, tmp_path):
    with pytest.raises(UserError, match=message):
        prepare_at(save(tmp_path, arrays, **MISTAKES[message]), tmp_path)


def test_no_file_and_no_archive_are_said(tmp_path):
    with pytest.raises(UserError, match=r"datasets\.med\.path .*\.npz"):
        prepare_at(tmp_path, tmp_path)
    (tmp_path / "x.npz").write_bytes(b"no zip")
    with pytest.raises(UserError, match=r"\.npz file"):
        prepare_at(tmp_path / "x.npz", tmp_path)
