"""Gray images and images of many channels: .npy files, TIFF pages, 16 bits."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from resnest_bench.data import open_prepared, prepare
from resnest_bench.data.batches import BatchLoader
from resnest_bench.data.duplicates import find_duplicates
from resnest_bench.data.pixel_files import load_values
from resnest_bench.data.pixels import resize_channels, set_channels
from resnest_bench.errors import UserError
from resnest_bench.specs import ImageFolderDataset, TableDataset
from support.records_factory import CONFIG, make_study

SIDE = 16
PLACES = [(part, name) for part in ("train", "test") for name in ("cat", "dog")]


def fill(root, save, num=2):
    """`save(path without ending, number)` for `num` images of each class in both parts."""
    number = 0
    for part, name in PLACES:
        (root / part / name).mkdir(parents=True)
        for index in range(num):
            save(root / part / name / str(index), number)
            number += 1
    return root


def prepare_at(root, tmp_path, **more):
    spec = ImageFolderDataset(source="imagefolder", path=str(root), image_size=SIDE, **more)
    prepare(spec, "some", tmp_path / "x", tmp_path / "downloads")
    return open_prepared(tmp_path / "x")


def noise(number, shape, dtype=np.uint8, high=256):
    return np.random.default_rng(number).integers(0, high, shape).astype(dtype)


def test_gray_images_stay_gray_where_one_channel_is_asked_for(tmp_path):
    def save(path, number):
        Image.fromarray(noise(number, (SIDE, SIDE))).save(path.with_suffix(".png"))

    root = fill(tmp_path / "gray", save)
    data = prepare_at(root, tmp_path, channels=1)
    assert data.train.images.shape == (4, SIDE, SIDE, 1)
    assert (data.train.image(0)[..., 0] == noise(0, (SIDE, SIDE))).all()
    assert len(data.meta.mean) == 1
    # By default, they become RGB.
    assert prepare_at(root, tmp_path / "rgb").train.images.shape == (4, SIDE, SIDE, 3)


def test_colour_becomes_gray(tmp_path):
    def save(path, number):
        Image.new("RGB", (SIDE, SIDE), (number, 100, 250)).save(path.with_suffix(".png"))

    data = prepare_at(fill(tmp_path / "rgb", save), tmp_path, channels=1)
    assert int(data.train.image(0)[0, 0, 0]) == round(0.587 * 100 + 0.114 * 250)


def test_npy_files_have_any_number_of_channels_and_their_own_range(tmp_path):
    def save(path, number):
        values = noise(number, (SIDE + 4, SIDE, 5), np.uint16, 4096)
        np.save(path.with_suffix(".npy"), values)

    data = prepare_at(fill(tmp_path / "many", save), tmp_path, channels=5)
    assert data.meta.uniform is False
    assert data.train.image(1).shape == (SIDE + 4, SIDE, 5)
    assert (data.meta.reading.num_deep_images, data.meta.reading.white_value) == (8, 4095)
    wanted = np.rint(noise(0, (SIDE + 4, SIDE, 5), np.float64, 4096) * 255 / 4095)
    assert (data.train.image(0) == wanted).all()
    pixels = np.concatenate([data.train.image(i).reshape(-1, 5) for i in range(4)]) / 255
    assert data.meta.mean == pytest.approx(pixels.mean(axis=0), abs=1e-4)
    assert data.meta.std == pytest.approx(pixels.std(axis=0), abs=1e-4)
    batch_BCHW, _ = BatchLoader(data.test, data.meta, None, torch.device("cpu")).eval_batch(
        np.arange(4)
    )
    assert batch_BCHW.shape == (4, 5, SIDE, SIDE)


def test_pages_of_a_tiff_are_channels(tmp_path):
    def save(path, number):
        pages = [Image.fromarray(noise(10 * number + c, (SIDE, SIDE))) for c in range(6)]
        pages[0].save(path.with_suffix(".tif"), save_all=True, append_images=pages[1:])

    data = prepare_at(fill(tmp_path / "pages", save), tmp_path, channels=6)
    assert (data.train.image(0)[..., 5] == noise(5, (SIDE, SIDE))).all()


def test_four_samples_are_four_channels_and_no_transparency(tmp_path):
    def save(path, number):
        Image.fromarray(noise(number, (SIDE, SIDE, 4))).save(path.with_suffix(".png"))

    data = prepare_at(fill(tmp_path / "rgba", save), tmp_path, channels=4)
    assert (data.train.image(0) == noise(0, (SIDE, SIDE, 4))).all()
    assert data.meta.reading.num_transparent_images == 0


def test_a_tiff_of_many_samples_is_read_by_tifffile(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    values = noise(0, (SIDE, SIDE, 7), np.uint16, 60_000)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, photometric="minisblack", planarconfig="contig")
    assert (load_values(path, 7) == values).all()
    tifffile.imwrite(
        path, np.moveaxis(values, 2, 0), photometric="minisblack", planarconfig="separate"
    )
    assert (load_values(path, 7) == values).all()


def test_without_tifffile_the_package_is_named(tmp_path, monkeypatch):
    # A header that is TIFF's, of an image that Pillow does not read.
    (tmp_path / "a.tif").write_bytes(b"II*\0\x08\0\0\0\0\0" + bytes(20))
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(UserError, match=r"pip install 'resnest-bench\[tiff\]'"):
        load_values(tmp_path / "a.tif", 7)


MISTAKES = {
    r"it has 3 channels, and channels is 5": np.zeros((8, 8, 3), np.uint8),
    r"save it as \(height, width, channels\)": np.zeros((5, 8, 8), np.uint8),
    r"shape \(5,\)": np.zeros(5, np.uint8),
    r"type bool": np.zeros((8, 8, 5), bool),
    r"cannot be read": np.array([{}]),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_arrays_that_are_no_image_are_said(message, tmp_path):
    np.save(tmp_path / "a.npy", MISTAKES[message], allow_pickle=True)
    with pytest.raises(UserError, match=message):
        load_values(tmp_path / "a.npy", 5)


def test_channels_are_changed_in_the_ways_that_are_plain_alone():
    gray_HW = noise(0, (4, 4))
    assert (set_channels(gray_HW, 3)[..., 2] == gray_HW).all()
    with pytest.raises(ValueError, match="it has 5 channels, not 3"):
        set_channels(noise(0, (4, 4, 5)), 3)


def test_each_channel_is_resized_as_a_gray_image():
    image_HWC = noise(0, (20, 30, 3))
    alone = [resize_channels(image_HWC[..., c : c + 1], 10) for c in range(3)]
    assert (np.concatenate(alone, axis=2) == resize_channels(image_HWC, 10)).all()


@pytest.mark.parametrize("channels", [1, 4])
def test_copies_are_found_among_images_of_any_channels(channels):
    images = [noise(i // 2, (32, 32, channels)) for i in range(4)]
    images[1] = np.minimum(images[0].astype(int) + 8, 255).astype(np.uint8)  # brighter
    found = find_duplicates(images)
    assert found.group_N.tolist() == [0, 1, 2, 2]
    assert found.near_P2.tolist() == [[0, 1]]


def test_every_channel_has_a_mean_or_all_are_measured():
    given = {"source": "imagefolder", "path": "p", "image_size": 8}
    assert ImageFolderDataset(**given, channels=2).mean is None
    with pytest.raises(ValidationError, match="channels is 2 and mean has 3"):
        ImageFolderDataset(**given, channels=2, mean=[0.5, 0.5, 0.5])
    again = ImageFolderDataset(**ImageFolderDataset(**given, channels=2).as_dict())
    assert (again.mean, again.num_channels) == (None, 2)


@pytest.mark.parametrize("key", [{"random_augment": True}, {"auto_augment": "trivial"}])
def test_augmentations_of_colours_are_for_rgb(key):
    gray = {"source": "imagefolder", "path": "p", "image_size": 32, "channels": 1}
    datasets = {**CONFIG["datasets"], "gray": gray}
    recipes = {**CONFIG["recipes"], "colourful": {**CONFIG["recipes"]["quick"], **key}}
    train = [{"dataset": "gray", "recipe": "colourful"}]
    with pytest.raises(ValueError, match=r"recipe colourful: .* gray have channels: 1"):
        make_study(datasets=datasets, recipes=recipes, train=train, tables={}, finetune=[])


def test_sixteen_bits_of_gray_are_scaled_by_the_stated_white(tmp_path):
    def save(path, number):
        Image.fromarray(noise(number, (SIDE, SIDE), np.uint16, 1000)).save(path.with_suffix(".png"))

    data = prepare_at(fill(tmp_path / "deep", save), tmp_path, channels=1, max_value=2000)
    wanted_HW = np.rint(noise(0, (SIDE, SIDE), np.float64, 1000) * 255 / 2000)
    assert (data.train.image(0)[..., 0] == wanted_HW).all()
    assert data.meta.reading.num_deep_images == 8


def test_arrays_may_be_mixed_with_photos_in_a_table(tmp_path):
    rows = ["image,label,split"]
    for number, (part, name) in enumerate(PLACES):
        if number % 2:
            np.save(tmp_path / f"{number}.npy", np.full((SIDE, SIDE), 60 * number, np.uint8))
        else:
            Image.new("RGB", (SIDE, SIDE), (60 * number,) * 3).save(tmp_path / f"{number}.bmp")
        rows.append(f"{number}.{'npy' if number % 2 else 'bmp'},{name},{part}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    spec = TableDataset(source="table", path=str(tmp_path / "labels.csv"), image_size=SIDE)
    prepare(spec, "some", tmp_path / "x", tmp_path / "downloads")
    data = open_prepared(tmp_path / "x")
    values = [int(image[0, 0, 2]) for image in (*data.train.images, *data.test.images)]
    assert values == [0, 60, 120, 180]
