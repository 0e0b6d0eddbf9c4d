"""Images that are in a dataset more than once, against ImageHash and against copies made here."""

import io

import imagehash
import numpy as np
import pytest
from PIL import Image, ImageEnhance

from resnest_bench.data import duplicates
from resnest_bench.data.duplicates import (
    Duplicates,
    count_duplicates,
    find_duplicates,
    list_pairs,
    near_hashes,
    perceptual_hashes,
    thumb_correlations,
)
from support.pictures import picture


def recompressed(image_HWC, quality=60):
    file = io.BytesIO()
    Image.fromarray(image_HWC).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def brightened(image_HWC):
    return np.asarray(ImageEnhance.Brightness(Image.fromarray(image_HWC)).enhance(1.1))


def halved(image_HWC):
    height, width = (side // 2 for side in image_HWC.shape[:2])
    return np.asarray(Image.fromarray(image_HWC).resize((width, height), Image.Resampling.BILINEAR))


@pytest.mark.parametrize("size", [(32, 32), (40, 97), (256, 341)])
def test_the_hash_is_that_of_the_library(size):
    pictures = [picture(seed, *size) for seed in range(20)]
    bits = [imagehash.phash(Image.fromarray(image)).hash.reshape(-1) for image in pictures]
    expected = np.packbits(np.stack(bits), axis=1).view(np.uint64)[:, 0]
    assert perceptual_hashes(pictures).tolist() == expected.tolist()


def test_more_hashes_than_a_block_and_none_at_all(monkeypatch):
    pictures = [picture(seed) for seed in range(7)]
    whole = perceptual_hashes(pictures)
    monkeypatch.setattr(duplicates, "HASHES_AT_ONCE", 3)
    assert perceptual_hashes(pictures).tolist() == whole.tolist()
    assert perceptual_hashes([]).shape == (0,)


@pytest.mark.parametrize("at_once", [1, 100, 1 << 20])
def test_near_hashes_are_all_that_a_double_loop_finds(monkeypatch, at_once):
    monkeypatch.setattr(duplicates, "XORS_AT_ONCE", at_once)
    hashes = np.random.default_rng(0).integers(0, 1 << 63, 60, dtype=np.uint64)
    hashes[40:] = hashes[:20] ^ np.uint64((1 << 12) - 1)
    hashes[5] ^= np.uint64(1 << 40)
    expected = [
        [i, j]
        for i in range(60)
        for j in range(i + 1, 60)
        if (int(hashes[i]) ^ int(hashes[j])).bit_count() <= 12
    ]
    assert [5, 45] not in expected
    assert len(expected) >= 19
    assert np.concatenate(list(near_hashes(hashes))).tolist() == expected


def test_the_correlation_is_that_of_numpy_and_blind_to_brightness():
    first, second = picture(0), picture(1)
    pairs = np.array([[0, 1], [0, 2]])
    brighter = (first // 2 + 90).astype(np.uint8)
    came = thumb_correlations([first, second, brighter], pairs)
    thumbs = [
        np.asarray(Image.fromarray(i).resize((16, 16), Image.Resampling.BOX), dtype=float)
        for i in (first, second)
    ]
    centred = [(t - t.mean(axis=(0, 1))).reshape(-1) for t in thumbs]
    assert came[0] == pytest.approx(np.corrcoef(*centred)[0, 1], abs=1e-5)
    assert came[1] > 0.999


@pytest.mark.parametrize("side", [32, 160])
@pytest.mark.parametrize("change", [recompressed, brightened, halved])
def test_a_changed_copy_is_found_and_nothing_else(side, change):
    pictures = [picture(seed, side, side + side // 4) for seed in range(30)]
    found = find_duplicates([*pictures, change(pictures[7])])
    assert found.group_N.tolist() == list(range(31))
    assert found.near_P2.tolist() == [[7, 30]]


def test_equal_pixels_are_one_group_and_another_shape_is_another_image():
    image = picture(0, 20, 30)
    turned = image.reshape(30, 20, 3)
    found = find_duplicates([image, image.copy(), turned, picture(1)])
    assert found.group_N.tolist() == [0, 0, 1, 2]
    assert found.first_G.tolist() == [0, 2, 3]


def test_flat_images_are_no_copies_of_one_another():
    """Their hashes are equal, or chance."""
    noise = np.random.default_rng(0)
    flat = [np.full((32, 32, 3), shade, dtype=np.uint8) for shade in range(0, 250, 10)]
    grainy = [(100 + noise.integers(0, 3, (32, 32, 3))).astype(np.uint8) for _ in range(25)]
    assert find_duplicates([*flat, *grainy]).near_P2.tolist() == []


def test_a_sky_is_no_copy_of_another_one():
    """Of one blue, with another bird in it: the colour alone must not make them alike."""
    skies = [np.full((32, 32, 3), (90, 160, 230), dtype=np.uint8) for _ in range(4)]
    for k, sky in enumerate(skies):
        sky[4 + 6 * k : 7 + 6 * k, 12:16] = 20 + 10 * k
    pairs = np.array([(i, j) for i in range(4) for j in range(i + 1, 4)])
    assert (thumb_correlations(skies, pairs) < duplicates.MIN_CORRELATION).all()


def test_data_that_all_looks_alike_is_searched_for_equal_images_only(monkeypatch):
    monkeypatch.setattr(duplicates, "MAX_CANDIDATES", 3)
    image = picture(0)
    found = find_duplicates([image, image, *(recompressed(image, q) for q in (40, 50, 60, 70))])
    assert found.near_P2 is None
    assert found.group_N.tolist()[:2] == [0, 0]


# Images 0 to 4 are of train, 5 to 9 of test. 0 = 1 = 5 and 6 = 7 in pixels; 2 looks like 6, 3 like 4, 8
# like 9.
FOUND = Duplicates(
    group_N=np.array([0, 0, 1, 2, 3, 0, 4, 4, 5, 6]),
    first_G=np.array([0, 2, 3, 4, 6, 8, 9]),
    near_P2=np.array([[1, 4], [2, 3], [5, 6]]),
    correlation_P=np.array([0.97, 0.98, 0.99]),
)
IN_TEST = np.arange(10) >= 5


def test_counts_by_hand():
    labels = np.array([0, 0, 1, 2, 3, 0, 1, 1, 4, 4])
    counts = count_duplicates(FOUND, labels, IN_TEST)
    # 5 is 0; 6 and 7 look like 2. 0 and 1, 3 and 4 repeat in train; 6 and 7, 8 and 9 in test. 3 and 4
    # differ in their label.
    assert counts.model_dump() == {
        "test_exact": 1,
        "test_near": 2,
        "train_repeated": 4,
        "test_repeated": 4,
        "two_labels": 2,
    }


def test_equal_images_under_two_labels_count_with_those_that_look_like_them():
    labels = np.array([0, 9, 1, 2, 2, 0, 1, 7, 4, 4])
    # 0, 1 and 5 are one image under two labels, so are 6 and 7, and 2 looks like them.
    assert count_duplicates(FOUND, labels, IN_TEST).two_labels == 6


def test_without_a_look_near_copies_are_not_known():
    found = Duplicates(FOUND.group_N, FOUND.first_G, None, np.empty(0))
    counts = count_duplicates(found, np.zeros(10, dtype=int), IN_TEST)
    assert (counts.test_exact, counts.test_near, counts.train_repeated) == (1, None, 2)


def test_pairs_are_listed_with_what_misleads_first():
    labels = np.array([0, 0, 1, 2, 3, 0, 1, 1, 4, 4])
    pairs = list_pairs(FOUND, labels, IN_TEST)
    assert [(p.image, p.other) for p in pairs] == [(5, 0), (6, 2), (4, 3), (1, 0), (7, 6), (9, 8)]
    assert [p.correlation for p in pairs] == [None, 0.97, 0.98, None, None, 0.99]
    assert [p.crosses_parts for p in pairs] == [True, True, False, False, False, False]
    assert [p.differs_in_label for p in pairs] == [False, False, True, False, False, False]
