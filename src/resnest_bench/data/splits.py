"""Which images, and in which order: pure functions of the seed."""

from collections.abc import Sequence

import numpy as np

from resnest_bench.errors import UserError
from resnest_bench.words import list_names

# numpy pads a seed with zeros: [seed, epoch] and [seed, epoch, 0] draw the same numbers. What
# draws for another purpose therefore ends in a number of its own.
VALIDATION_TAG, AUGMENT_TAG, BALANCED_TAG, BOOTSTRAP_TAG = 2, 3, 4, 5
# Names of classes that a message shows.
SHOWN = 10


def train_validation_split(
    labels_N: np.ndarray, fraction: float, seed: int, classes: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Hold out `fraction` of each class, rounded, by `seed`.

    Returns the sorted indices (int64) to train on and to validate on. Where `fraction` is above 0,
    both have at least one image of each class; raises UserError where `classes` have only one.
    """
    assert 0 <= fraction < 1, fraction
    if fraction:
        _check_divisible(labels_N, classes)
    held_N = np.zeros(len(labels_N), dtype=bool)
    rng = np.random.default_rng([seed, 0, 0, VALIDATION_TAG])
    for label in np.unique(labels_N) if fraction else ():
        members = np.flatnonzero(labels_N == label)
        count = min(max(round(len(members) * fraction), 1), len(members) - 1)
        held_N[rng.permutation(members)[:count]] = True
    return np.flatnonzero(~held_N), np.flatnonzero(held_N)


def _check_divisible(labels_N: np.ndarray, classes: Sequence[str]) -> None:
    counts = np.bincount(labels_N, minlength=len(classes))
    small = [name for name, count in zip(classes, counts, strict=True) if count == 1]
    if small:
        raise UserError(
            "validation_fraction needs at least two training images of each class, but there is "
            f"only one of {list_names(small, SHOWN)}: add images, or set "
            "validation_fraction: 0"
        )


def epoch_order(num: int, seed: int, epoch: int) -> np.ndarray:
    """A permutation (num,) of the images: the same for every variant at this seed and epoch."""
    return np.random.default_rng([seed, epoch]).permutation(num)


def balanced_order(labels_N: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """N positions with replacement, in which each class that there is has the same chance."""
    _, inverse_N, counts = np.unique(labels_N, return_inverse=True, return_counts=True)
    chances_N = 1 / (len(counts) * counts[inverse_N])
    rng = np.random.default_rng([seed, epoch, 0, BALANCED_TAG])
    return rng.choice(len(labels_N), len(labels_N), p=chances_N)


def bootstrap(indices_N: np.ndarray, seed: int) -> np.ndarray:
    """N of the training images with replacement, sorted: another training set of the same source.

    Source: Bouthillier et al., arXiv:2103.03098, section 2.1. Classes keep their shares on average.
    """
    rng = np.random.default_rng([seed, 0, 0, BOOTSTRAP_TAG])
    return np.sort(rng.choice(indices_N, len(indices_N)))


def batch_slices(num: int, batch_size: int) -> list[slice]:
    """Cut `num` training images into batches; a last batch of one image joins the one before.

    Batch norm over 1x1 maps has no variance for a single image. Raises UserError where `num` or
    `batch_size` is less than two.
    """
    if batch_size < 2:
        raise UserError(
            f"batch_size must be at least 2 to train, since batch norm has no variance over one "
            f"image, but is {batch_size}: take a larger one"
        )
    if num < 2:
        raise UserError(
            f"training needs at least two images, but has {num}: add images, or lower "
            "validation_fraction"
        )
    starts = list(range(0, num, batch_size))
    if num - starts[-1] == 1:
        starts.pop()
    return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], num], strict=True)]
