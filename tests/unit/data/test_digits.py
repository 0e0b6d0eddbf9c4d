"""scikit-learn's digits, against scikit-learn."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from resnest_bench.data import SOURCES, open_prepared, prepare
from resnest_bench.specs import DigitsDataset


def prepared(tmp_path, **spec):
    folder = tmp_path / "prepared"
    meta = prepare(DigitsDataset(source="digits", **spec), "digits", folder, tmp_path)
    return meta, open_prepared(folder)


def test_every_fifth_image_of_a_class_is_a_test_image(tmp_path):
    meta, data = prepared(tmp_path)
    counts = np.bincount(load_digits().target)
    assert list(meta.counts_per_class["test"].values()) == (counts // 5).tolist()
    assert len(data.train) + len(data.test) == 1797
    assert (len(data.train), len(data.test), 32) == SOURCES["digits"].sizes


def test_pixels_are_scaled_and_repeated(tmp_path):
    _, data = prepared(tmp_path)
    # The first image of load_digits is the first 0; its row 0 is 0 0 5 13 9 1 0 0, of 16.
    expected = [0, 0, 80, 207, 143, 16, 0, 0]
    for row in range(4):
        for channel in range(3):
            assert data.train.image(0)[row, ::4, channel].tolist() == expected
            assert data.train.image(0)[row, 3::4, channel].tolist() == expected


def test_mean_and_std_are_those_of_the_training_images(tmp_path):
    meta, data = prepared(tmp_path)
    values = data.train.images / 255
    assert meta.mean[0] == pytest.approx(values.mean(), abs=5e-5)
    assert meta.std[0] == pytest.approx(values.std(), abs=5e-5)


def test_a_subset_is_renumbered_and_labelled(tmp_path):
    meta, data = prepared(tmp_path, classes=(7, 3))
    assert meta.label.endswith("(8x8 shown as 3x32x32), only 7, 3")
    assert meta.classes == ("7", "3")
    # 3 comes first among the digits.
    assert data.train.labels[0] == 1
    assert meta.counts_per_class["test"] == {"7": 179 // 5, "3": 183 // 5}
