"""scikit-learn's handwritten digits: they need no download.

Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
Repository, 1998 (its test part, as scikit-learn ships it).
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from resnest_bench.data.arrays import Content
from resnest_bench.specs import DigitsDataset

LABEL = "scikit-learn digits (8x8 shown as 3x32x32)"
SIDE = 32
TEST_EVERY = 5

# Measured over the pixels of the training images of all ten digits, prepared as below:
# (images / 255).mean() and .std(). A subset of the digits uses the same values.
MEAN = (0.3052, 0.3052, 0.3052)
STD = (0.3760, 0.3760, 0.3760)


def read(spec: DigitsDataset, name: str, downloads: Path) -> Content:
    """Read the chosen digits; classes are numbered in the order of the spec."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images_NHWC, digits_N = to_pixels(bunch.images), bunch.target
    in_test_N = every_nth_of_class(digits_N, TEST_EVERY)

    def items(test: bool) -> Iterator[tuple[np.ndarray, int]]:
        for index in np.flatnonzero(np.isin(digits_N, spec.classes) & (in_test_N == test)):
            yield images_NHWC[index], spec.classes.index(int(digits_N[index]))

    return Content(
        label=_label(spec.classes),
        classes=tuple(str(digit) for digit in spec.classes),
        image_size=SIDE,
        resize=SIDE,
        mean=MEAN,
        std=STD,
        uniform=True,
        train=items(False),
        test=items(True),
    )


def to_pixels(values_NHW: np.ndarray) -> np.ndarray:
    """Scale 8x8 images with values 0 to 16 to (N, 32, 32, 3) uint8: nearest neighbour, equal channels."""
    pixels_NHW = np.rint(values_NHW * (255 / 16)).astype(np.uint8)
    factor = SIDE // values_NHW.shape[1]
    large_NHW = pixels_NHW.repeat(factor, axis=1).repeat(factor, axis=2)
    return np.repeat(large_NHW[..., None], 3, axis=3)


def every_nth_of_class(labels_N: np.ndarray, nth: int) -> np.ndarray:
    """Return booleans (N,): true for every `nth` image of each class."""
    chosen_N = np.zeros(len(labels_N), dtype=bool)
    for label in np.unique(labels_N):
        chosen_N[np.flatnonzero(labels_N == label)[nth - 1 :: nth]] = True
    return chosen_N


def _label(classes: tuple[int, ...]) -> str:
    if sorted(classes) == list(range(10)):
        return LABEL
    return f"{LABEL}, only {', '.join(str(digit) for digit in classes)}"
