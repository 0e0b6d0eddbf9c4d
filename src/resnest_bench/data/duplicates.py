"""Find images that a dataset holds more than once: exact copies by pixels, near copies by similarity.

Near copies are found in two steps. The perceptual hash pHash (Zauner 2010, computed as by the library
ImageHash) finds candidates: at most MAX_BITS of its 64 bits differ. Then the correlation of the candidates'
thumbnails must be at least MIN_CORRELATION, since a hash alone confuses nearly flat images. docs/methods.md
has the error rates of these thresholds.

Shape suffixes: N images, G groups of equal images, P pairs of groups, D values of a thumbnail.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image
from scipy.fft import dctn

from resnest_bench.data.prepared import PreparedDataset
from resnest_bench.records.observations import DuplicateCounts

HASH_SIDE, HASH_FREQUENCIES = 32, 8
MAX_BITS = 12
THUMB_SIDE = 16
MIN_CORRELATION = 0.95
# Standard deviation in levels of 255. Flatter images can't be compared.
MIN_CONTRAST = 2.0
# With more pairs of similar hashes, all images look alike, and near copies can't be recognised.
MAX_CANDIDATES = 5_000_000
HASHES_AT_ONCE, PAIRS_AT_ONCE, XORS_AT_ONCE = 1024, 4096, 1 << 20


class Images(Protocol):
    """Images as (H, W, C) uint8, of any sizes."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> np.ndarray: ...


class BothParts:
    """The images of a dataset as (H, W, C) uint8: train, then test."""

    def __init__(self, data: PreparedDataset) -> None:
        self._train, self._test = data.train, data.test

    def __len__(self) -> int:
        return len(self._train) + len(self._test)

    def __getitem__(self, index: int, /) -> np.ndarray:
        inside = index - len(self._train)
        return self._train.image(index) if inside < 0 else self._test.image(inside)


@dataclass(frozen=True)
class Duplicates:
    """Which images are alike. Images are numbered as in `BothParts`."""

    group_N: np.ndarray  # equal images have the same number
    first_G: np.ndarray  # the first image of each group, from train if possible
    near_P2: np.ndarray | None  # pairs of groups that are near copies; None: not checked
    correlation_P: np.ndarray  # of the first images' thumbnails


@dataclass(frozen=True)
class Pair:
    """An image and a copy of it. If they are in different parts, `image` is the one in test."""

    image: int
    other: int
    correlation: float | None  # None: equal pixels
    crosses_parts: bool
    differs_in_label: bool


def find_duplicates(images: Images, look_for_near: bool = True) -> Duplicates:
    """Find groups of equal images and, if asked for, the pairs of groups that are near copies.

    `near_P2` is also None if more than MAX_CANDIDATES pairs have similar hashes.
    """
    group_N, first_G = group_equal(images)
    nothing = Duplicates(group_N, first_G, None, np.empty(0))
    if not look_for_near:
        return nothing
    hashes_G = perceptual_hashes(images[index] for index in first_G)
    candidates_P2 = _candidates(hashes_G)
    if candidates_P2 is None:
        return nothing
    correlation_P = thumb_correlations(images, first_G[candidates_P2])
    kept = correlation_P >= MIN_CORRELATION
    return Duplicates(group_N, first_G, candidates_P2[kept], correlation_P[kept])


def group_equal(images: Images) -> tuple[np.ndarray, np.ndarray]:
    """Return the group (N,) of each image, by shape and pixels, and the first image (G,) of each group."""
    numbers: dict[bytes, int] = {}
    group_N = np.empty(len(images), dtype=np.int64)
    for index in range(len(images)):
        image_HWC = images[index]
        digest = hashlib.sha256(str(image_HWC.shape).encode())
        digest.update(np.ascontiguousarray(image_HWC).data)
        group_N[index] = numbers.setdefault(digest.digest(), len(numbers))
    return group_N, np.unique(group_N, return_index=True)[1]


def perceptual_hashes(images: Iterable[np.ndarray]) -> np.ndarray:
    """Return the pHash of each image, (N,) uint64, equal bit for bit to ImageHash's `phash`."""
    hashes = [_hash_block(np.stack(block)) for block in _blocks(map(_gray_square, images))]
    return np.concatenate([np.empty(0, dtype=np.uint64), *hashes])


def _blocks(items: Iterator[np.ndarray]) -> Iterator[list[np.ndarray]]:
    block: list[np.ndarray] = []
    for item in items:
        block.append(item)
        if len(block) == HASHES_AT_ONCE:
            yield block
            block = []
    if block:
        yield block


def _gray_square(image_HWC: np.ndarray) -> np.ndarray:
    if image_HWC.shape[2] == 3:
        gray = Image.fromarray(image_HWC).convert("L")
    else:
        gray = Image.fromarray(np.rint(image_HWC.mean(axis=2)).astype(np.uint8))
    small = gray.resize((HASH_SIDE, HASH_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(small, dtype=np.float64)


def _hash_block(gray_NHW: np.ndarray) -> np.ndarray:
    """Compute which of the lowest frequencies are above their median."""
    low_NHW = dctn(gray_NHW, axes=(1, 2))[:, :HASH_FREQUENCIES, :HASH_FREQUENCIES]
    low_NF = low_NHW.reshape(len(gray_NHW), -1)
    bits_NF = low_NF > np.median(low_NF, axis=1, keepdims=True)
    hashes_N: np.ndarray = np.packbits(bits_NF, axis=1).view(np.uint64)[:, 0]
    return hashes_N


def near_hashes(hashes_N: np.ndarray) -> Iterator[np.ndarray]:
    """Yield pairs (any, 2) of hashes, lower index first, that differ in at most MAX_BITS bits."""
    rows = max(1, XORS_AT_ONCE // max(1, len(hashes_N)))
    for start in range(0, len(hashes_N), rows):
        block = hashes_N[start : start + rows, None]
        bits = np.bitwise_count(block ^ hashes_N[None, start:])
        places = np.flatnonzero(bits <= MAX_BITS)
        pairs_P2 = np.stack(np.divmod(places, bits.shape[1]), axis=1)
        yield start + pairs_P2[pairs_P2[:, 0] < pairs_P2[:, 1]]


def _candidates(hashes_G: np.ndarray) -> np.ndarray | None:
    parts, count = [np.empty((0, 2), dtype=np.int64)], 0
    for pairs_P2 in near_hashes(hashes_G):
        parts.append(pairs_P2)
        count += len(pairs_P2)
        if count > MAX_CANDIDATES:
            return None
    return np.concatenate(parts)


def thumb_correlations(images: Images, pairs_P2: np.ndarray) -> np.ndarray:
    """Return the correlations (P,) of the images' thumbnails, each channel centred; 0 for a flat image.

    They don't change with brightness, contrast or tint.
    """
    indices, places = np.unique(pairs_P2, return_inverse=True)
    places_P2 = places.reshape(-1, 2)
    thumbs_ND = np.stack([_thumb(images[i]) for i in indices]) if len(indices) else np.empty((0, 3))
    starts = range(0, len(places_P2), PAIRS_AT_ONCE)
    parts = [_correlate(thumbs_ND, places_P2[start : start + PAIRS_AT_ONCE]) for start in starts]
    return np.concatenate([np.empty(0), *parts])


def _thumb(image_HWC: np.ndarray) -> np.ndarray:
    size = (THUMB_SIDE, THUMB_SIDE)
    planes = [
        Image.fromarray(np.ascontiguousarray(plane_HW)).resize(size, Image.Resampling.BOX)
        for plane_HW in np.moveaxis(image_HWC, 2, 0)
    ]
    return np.stack([np.asarray(plane) for plane in planes], axis=2).reshape(-1)


def _correlate(thumbs_ND: np.ndarray, places_P2: np.ndarray) -> np.ndarray:
    values_P2DC = thumbs_ND[places_P2].astype(np.float32)
    values_P2DC = values_P2DC.reshape(len(places_P2), 2, THUMB_SIDE**2, -1)
    # Centre each channel: else two photos of a blue sky would correlate, whatever they show.
    values_P2DC -= values_P2DC.mean(axis=2, keepdims=True)
    values_P2D = values_P2DC.reshape(len(places_P2), 2, -1)
    spread_P2 = values_P2D.std(axis=2)
    product_P = (values_P2D[:, 0] * values_P2D[:, 1]).mean(axis=1)
    flat_P = spread_P2.min(axis=1) < MIN_CONTRAST
    return np.where(flat_P, 0.0, product_P / np.maximum(spread_P2.prod(axis=1), 1e-9))


def count_duplicates(
    found: Duplicates, labels_N: np.ndarray, in_test_N: np.ndarray
) -> DuplicateCounts:
    """Count images that are in both parts, repeated within a part, or under two labels."""
    group_N, num_groups = found.group_N, len(found.first_G)
    num_train_G = np.bincount(group_N[~in_test_N], minlength=num_groups)
    num_test_G = np.bincount(group_N[in_test_N], minlength=num_groups)
    near_P2 = np.empty((0, 2), dtype=np.int64) if found.near_P2 is None else found.near_P2
    near_train_N = _any_near(near_P2, num_train_G)[group_N]
    near_test_N = _any_near(near_P2, num_test_G)[group_N]
    exact_N = in_test_N & (num_train_G[group_N] > 0)
    return DuplicateCounts(
        test_exact=int(exact_N.sum()),
        test_near=None
        if found.near_P2 is None
        else int((in_test_N & ~exact_N & near_train_N).sum()),
        train_repeated=int((~in_test_N & ((num_train_G[group_N] > 1) | near_train_N)).sum()),
        test_repeated=int((in_test_N & ((num_test_G[group_N] > 1) | near_test_N)).sum()),
        two_labels=int(_under_two_labels(found.group_N, near_P2, labels_N).sum()),
    )


def _any_near(near_P2: np.ndarray, count_G: np.ndarray) -> np.ndarray:
    """Return booleans (G,): whether a near copy of the group has a count above 0."""
    near_G = np.zeros(len(count_G), dtype=bool)
    for here, there in ((0, 1), (1, 0)):
        near_G[near_P2[count_G[near_P2[:, there]] > 0, here]] = True
    return near_G


def _under_two_labels(group_N: np.ndarray, near_P2: np.ndarray, labels_N: np.ndarray) -> np.ndarray:
    """Return booleans (N,): whether an exact or near copy of the image has another label."""
    num_groups = int(group_N.max(initial=-1)) + 1
    own_low_G = np.full(num_groups, np.iinfo(np.int64).max)
    own_high_G = np.full(num_groups, -1)
    np.minimum.at(own_low_G, group_N, labels_N)
    np.maximum.at(own_high_G, group_N, labels_N)
    low_G, high_G = own_low_G.copy(), own_high_G.copy()
    for here, there in ((0, 1), (1, 0)):
        np.minimum.at(low_G, near_P2[:, here], own_low_G[near_P2[:, there]])
        np.maximum.at(high_G, near_P2[:, here], own_high_G[near_P2[:, there]])
    differs_N: np.ndarray = (low_G[group_N] != labels_N) | (high_G[group_N] != labels_N)
    return differs_N


def list_pairs(found: Duplicates, labels_N: np.ndarray, in_test_N: np.ndarray) -> list[Pair]:
    """List each image with its first exact copy, and the first images of groups that are near copies.

    Pairs across both parts come first, then those with two labels, in the order of the images.
    """
    later_N = np.flatnonzero(found.first_G[found.group_N] != np.arange(len(found.group_N)))
    equal = [(int(found.first_G[found.group_N[i]]), int(i), None) for i in later_N]
    near_P2 = np.empty((0, 2), dtype=np.int64) if found.near_P2 is None else found.near_P2
    firsts_P2 = np.sort(found.first_G[near_P2], axis=1)
    near = zip(*firsts_P2.T.tolist(), found.correlation_P.tolist(), strict=True)
    pairs = [
        Pair(
            image=later,
            other=first,
            correlation=correlation,
            crosses_parts=bool(in_test_N[later] != in_test_N[first]),
            differs_in_label=bool(labels_N[later] != labels_N[first]),
        )
        for first, later, correlation in [*equal, *near]
    ]
    return sorted(pairs, key=_rank)


def _rank(pair: Pair) -> tuple[bool, bool, int, int]:
    return not pair.crosses_parts, not pair.differs_in_label, pair.image, pair.other
