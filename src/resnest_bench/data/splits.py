"""Splits and orders of images: pure functions of the seed."""

import warnings
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from resnest_bench.errors import UserError
from resnest_bench.words import list_names

# numpy pads a seed with zeros: [seed, epoch] and [seed, epoch, 0] give the same numbers. So each other
# purpose has a tag of its own at the end.
VALIDATION_TAG, AUGMENT_TAG, BALANCED_TAG, BOOTSTRAP_TAG, TEST_TAG = 2, 3, 4, 5, 6
INIT_TAG, FLIP_TAG = 7, 8
# Largest number of folds into which groups are divided; whole folds become the test part.
MOST_FOLDS = 20
# Number of class names in a message.
SHOWN = 10


def train_validation_split(
    labels_N: np.ndarray,
    fraction: float,
    seed: int,
    classes: Sequence[str],
    num_given: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Hold out `fraction` of each class, rounded, by `seed`.

    If the data have a validation part of their own, the last `num_given` images, it is held out instead for
    any `fraction` above 0, and never trained on.

    Returns the sorted indices (int64) for training and for validation. If `fraction` is above 0, both have
    at least one image of each class; raises UserError if a class has only one image.
    """
    assert 0 <= fraction < 1, fraction
    if num_given:
        own = len(labels_N) - num_given
        return np.arange(own), np.arange(own, len(labels_N) if fraction else own)
    if fraction and (small := _list_single(labels_N, classes)):
        raise UserError(
            "validation_fraction needs at least two training images of each class, but there is "
            f"only one of {list_names(small, SHOWN)}: add images, or set "
            "validation_fraction: 0"
        )
    held_N = _choose_of_each_class(
        labels_N, fraction, np.random.default_rng([seed, 0, 0, VALIDATION_TAG])
    )
    return np.flatnonzero(~held_N), np.flatnonzero(held_N)


def _list_single(labels_N: np.ndarray, classes: Sequence[str]) -> list[str]:
    counts = np.bincount(labels_N, minlength=len(classes))
    return [name for name, count in zip(classes, counts, strict=True) if count == 1]


def _choose_of_each_class(
    labels_N: np.ndarray, fraction: float, rng: np.random.Generator
) -> np.ndarray:
    """Return booleans (N,): `fraction` of each class, rounded, but neither none nor all; none for 0."""
    chosen_N = np.zeros(len(labels_N), dtype=bool)
    for label in np.unique(labels_N) if fraction else ():
        members = np.flatnonzero(labels_N == label)
        count = min(max(round(len(members) * fraction), 1), len(members) - 1)
        chosen_N[rng.permutation(members)[:count]] = True
    return chosen_N


def choose_test_images(
    labels_N: np.ndarray,
    groups_N: np.ndarray | None,
    fraction: float,
    seed: int,
    classes: Sequence[str],
) -> np.ndarray:
    """Return booleans (N,): the test images, about `fraction` of each class, by `seed`.

    Images with the same number in `groups_N` stay together. Both parts have images of each class; raises
    UserError if that is impossible.
    """
    if small := _list_single(labels_N, classes):
        raise UserError(
            "split needs at least two images of each class, but there is only one of "
            f"{list_names(small, SHOWN)}: add images, or remove the class"
        )
    if groups_N is None:
        rng = np.random.default_rng([seed, 0, 0, TEST_TAG])
        return _choose_of_each_class(labels_N, fraction, rng)
    chosen_N = _choose_groups(labels_N, groups_N, fraction, seed)
    lacking = [
        name
        for label, name in enumerate(classes)
        if len(np.unique(chosen_N[labels_N == label])) < 2
    ]
    if lacking:
        raise UserError(
            "split must put images of each class into both parts without dividing groups, but seed "
            f"{seed} and test_fraction {fraction:g} do not for {list_names(lacking, SHOWN)}: choose "
            "another seed or fraction, or add groups of these classes"
        )
    return chosen_N


def _choose_groups(
    labels_N: np.ndarray, groups_N: np.ndarray, fraction: float, seed: int
) -> np.ndarray:
    """Divide groups into folds with about equal class shares, and choose enough for `fraction`."""
    from sklearn.model_selection import StratifiedGroupKFold

    num_groups = len(np.unique(groups_N))
    if num_groups < 2:
        raise UserError(
            "split needs at least two groups, but column group has only one value: add groups, or "
            "remove the column"
        )
    most = max(2, min(MOST_FOLDS, num_groups, int(np.bincount(labels_N).max())))
    share = Fraction(fraction).limit_denominator(most)
    # Neither part may be empty.
    share = min(max(share, Fraction(1, most)), Fraction(most - 1, most))
    taken, num_folds = share.numerator, share.denominator
    folds = StratifiedGroupKFold(num_folds, shuffle=True, random_state=seed)
    chosen_N = np.zeros(len(labels_N), dtype=bool)
    with warnings.catch_warnings():
        # It warns about a class with fewer images than folds, which is checked afterwards.
        warnings.simplefilter("ignore", UserWarning)
        for _, (_, test) in zip(
            range(taken), folds.split(labels_N, labels_N, groups_N), strict=False
        ):
            chosen_N[test] = True
    return chosen_N


def epoch_order(num: int, seed: int, epoch: int) -> np.ndarray:
    """Return a permutation (num,) of the images, the same for every variant at this seed and epoch."""
    return np.random.default_rng([seed, epoch]).permutation(num)


def balanced_order(labels_N: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Draw N indices with replacement, so that each class has the same probability."""
    _, inverse_N, counts = np.unique(labels_N, return_inverse=True, return_counts=True)
    chances_N = 1 / (len(counts) * counts[inverse_N])
    rng = np.random.default_rng([seed, epoch, 0, BALANCED_TAG])
    return rng.choice(len(labels_N), len(labels_N), p=chances_N)


def bootstrap(indices_N: np.ndarray, seed: int) -> np.ndarray:
    """Draw N training images with replacement, sorted: another training set from the same source.

    Source: Bouthillier et al., arXiv:2103.03098, section 2.1. Classes keep their shares on average.
    """
    rng = np.random.default_rng([seed, 0, 0, BOOTSTRAP_TAG])
    return np.sort(rng.choice(indices_N, len(indices_N)))


def choose_for_init(indices_N: np.ndarray, num: int, seed: int) -> np.ndarray:
    """Choose `num` training images, or all if there are fewer, for computing initial weights."""
    rng = np.random.default_rng([seed, 0, 0, INIT_TAG])
    return np.sort(rng.choice(indices_N, min(num, len(indices_N)), replace=False))


def alternating_flips(num: int, seed: int, epoch: int) -> np.ndarray:
    """Return booleans (num,): the images that epoch 1, 2, ... mirrors; the next epoch mirrors the others.

    Source: Jordan, arXiv:2404.00498, section 3.6.
    """
    mirrored_N = np.random.default_rng([seed, 0, 0, FLIP_TAG]).random(num) < 0.5
    return mirrored_N if epoch % 2 else ~mirrored_N


def batch_slices(num: int, batch_size: int) -> list[slice]:
    """Divide `num` training images into batches; a single last image is added to the batch before.

    Batch norm over 1x1 maps has no variance for a single image. Raises UserError if `num` or
    `batch_size` is less than two.
    """
    if batch_size < 2:
        raise UserError(
            f"batch_size must be at least 2 to train, since batch norm has no variance over one "
            f"image, but got {batch_size}: take a larger one"
        )
    if num < 2:
        raise UserError(
            f"training needs at least two images, but got {num}: add images, or lower "
            "validation_fraction"
        )
    starts = list(range(0, num, batch_size))
    if num - starts[-1] == 1:
        starts.pop()
    return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], num], strict=True)]
