"""Batches: normalised by hand formula, and equal to the bit for the same seed, epoch and step."""

import threading

import numpy as np
import pytest
import torch

from resnest_bench.data import batches
from resnest_bench.data.batches import (
    BatchLoader,
    blend_batch,
    cutmix_batch,
    mixup_batch,
    step_chunks,
)
from resnest_bench.data.prepared import PreparedMeta, Split
from resnest_bench.data.splits import batch_slices, epoch_order
from resnest_bench.specs import RecipeSpec

CPU = torch.device("cpu")
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.5)


def build_meta(split, side):
    return PreparedMeta(
        format_version=1,
        name="toy",
        label="toy",
        classes=("a", "b"),
        image_size=side,
        resize=side,
        mean=MEAN,
        std=STD,
        uniform=split.uniform,
        counts_per_class={},
        fingerprint="",
        source="",
    )


def pixels(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def uniform_split(num=20):
    return Split(pixels(num, 32, 32, 3), np.arange(num) % 2)


def ragged_split(num=20):
    shapes = np.array([(32 + i, 32) if i % 2 else (32, 40 + i) for i in range(num)], np.int32)
    sizes = shapes.astype(np.int64).prod(axis=1) * 3
    return Split(pixels(sizes.sum()), np.arange(num) % 2, shapes, np.cumsum(sizes) - sizes)


SPLITS = {"uniform": uniform_split, "ragged": ragged_split}


def build_loader(kind="uniform", mean_std=None, side=32, **recipe):
    split = SPLITS[kind]()
    spec = RecipeSpec(epochs=1, batch_size=8, learning_rate=0.1, **recipe)
    return BatchLoader(split, build_meta(split, side), spec, CPU, mean_std)


def normalised(images_BHWC, mean=MEAN, std=STD):
    values = (images_BHWC.astype(np.float64) / 255 - mean) / std
    return torch.from_numpy(values.transpose(0, 3, 1, 2)).float()


def test_pixels_are_scaled_and_normalised():
    loader = build_loader()
    images, labels = loader.eval_batch(np.array([3, 0, 3]))
    torch.testing.assert_close(images, normalised(loader.split.images[[3, 0, 3]]))
    assert (images.dtype, images.is_contiguous()) == (torch.float32, True)
    assert (labels.tolist(), labels.dtype) == ([1, 0, 1], torch.int64)


def test_a_networks_own_mean_and_std_replace_the_datas():
    loader = build_loader(mean_std=((0.5,) * 3, (0.5,) * 3))
    images, _ = loader.eval_batch(np.array([1]))
    torch.testing.assert_close(images, normalised(loader.split.images[[1]], 0.5, 0.5))


def test_without_augmentation_training_sees_what_evaluation_sees():
    for kind in SPLITS:
        loader, indices = build_loader(kind), np.array([5, 2, 7])
        for a, b in zip(
            loader.train_batch(indices, 0, 1, 0), loader.eval_batch(indices), strict=True
        ):
            assert torch.equal(a, b)


def test_photos_are_cropped_in_the_centre():
    loader = build_loader("ragged", side=30)
    images, _ = loader.eval_batch(np.array([0, 1]))  # 32 x 40 and 33 x 32
    crops = [loader.split.image(0)[1:31, 5:35], loader.split.image(1)[1:31, 1:31]]
    torch.testing.assert_close(images, normalised(np.stack(crops)))


AUGMENTED = [
    {"crop": "pad4", "flip": True},
    {"crop": "random_resized", "flip": True},
    {"crop": "pad4", "flip": True, "random_augment": True},
    {"crop": "random_resized", "random_augment": True, "cutout": 8},
    {"crop": "reflect2", "flip": "alternating"},
]


@pytest.mark.parametrize("recipe", AUGMENTED)
@pytest.mark.parametrize("kind", SPLITS)
def test_seed_epoch_and_step_decide_a_batch(kind, recipe):
    loader, indices = build_loader(kind, **recipe), np.arange(8)
    state = torch.random.get_rng_state()
    first, _ = loader.train_batch(indices, 1, 2, 3)
    assert first.shape == (8, 3, 32, 32)
    assert torch.equal(first, build_loader(kind, **recipe).train_batch(indices, 1, 2, 3)[0])
    for other in ((0, 2, 3), (1, 1, 3), (1, 2, 4)):
        assert not torch.equal(first, loader.train_batch(indices, *other)[0])
    assert torch.equal(torch.random.get_rng_state(), state)


def test_two_epochs_of_alternating_flips_show_each_image_both_ways():
    """Whichever batches it is in; about half of the images begin mirrored."""
    loader, indices = build_loader(flip="alternating"), np.arange(20)
    plain, _ = loader.eval_batch(indices)
    orders = {1: indices, 2: indices[::-1].copy(), 3: np.roll(indices, 5)}
    mirrored = {}
    for epoch, order in orders.items():
        images, _ = loader.train_batch(order, 0, epoch, step=epoch)
        unchanged = (images == plain[order]).flatten(1).all(1)
        assert torch.equal(images[~unchanged], plain[order][~unchanged].flip(3))
        mirrored[epoch] = {int(i) for i, same in zip(order, unchanged, strict=True) if not same}
    assert mirrored[1] | mirrored[2] == set(range(20))
    assert not mirrored[1] & mirrored[2]
    assert mirrored[3] == mirrored[1]
    assert 4 < len(mirrored[1]) < 16  # 10 expected, standard deviation 2.2


@pytest.mark.parametrize("recipe", [{}, *AUGMENTED])
@pytest.mark.parametrize("kind", SPLITS)
def test_an_epoch_is_its_batches_in_order(kind, recipe):
    loader = build_loader(kind, **recipe)
    order, slices = epoch_order(20, 1, 2), batch_slices(20, 8)
    seen = list(loader.iterate_train(order, slices, 1, 2))
    assert [len(labels) for _, labels in seen] == [8, 8, 4]
    for step, (images, labels) in enumerate(seen):
        expected = loader.train_batch(order[slices[step]], 1, 2, step)
        assert torch.equal(images, expected[0])
        assert torch.equal(labels, expected[1])


def test_a_chunk_of_batches_gives_the_same_batches(monkeypatch):
    """What a GPU does to save launches."""
    loader = build_loader(crop="pad4", flip=True, random_augment=True, cutout=8)
    order, slices = epoch_order(20, 1, 2), batch_slices(20, 8)
    alone = list(loader.iterate_train(order, slices, 1, 2))
    monkeypatch.setattr(batches, "step_chunks", lambda slices, num: [range(2), range(2, 3)])
    chunked = list(loader.iterate_train(order, slices, 1, 2))
    for a, b in zip(alone, chunked, strict=True):
        assert torch.equal(a[0], b[0])
        assert torch.equal(a[1], b[1])


@pytest.mark.parametrize(
    ("num_images", "expected"),
    [(1, [[0], [1], [2]]), (8, [[0], [1], [2]]), (9, [[0, 1], [2]]), (99, [[0, 1, 2]])],
)
def test_a_chunk_has_at_least_the_images_asked_for(num_images, expected):
    chunks = step_chunks(batch_slices(20, 8), num_images)
    assert [list(chunk) for chunk in chunks] == expected


@pytest.mark.parametrize("kind", SPLITS)
def test_evaluation_sees_every_image_once_in_order(kind):
    loader = build_loader(kind)
    seen = list(loader.iterate_eval(6))
    assert [len(labels) for _, labels in seen] == [6, 6, 6, 2]
    whole = loader.eval_batch(np.arange(20))[0]
    assert torch.equal(torch.cat([images for images, _ in seen]), whole)
    some = list(loader.iterate_eval(2, np.array([4, 9, 1])))
    assert torch.equal(torch.cat([images for images, _ in some]), whole[[4, 9, 1]])


def prefetching_threads():
    return [t for t in threading.enumerate() if t.name.startswith("prefetch")]


def test_an_error_in_the_thread_is_raised_and_ends_it(monkeypatch):
    def broken(image, side, rng):
        raise ZeroDivisionError("in the thread")

    monkeypatch.setattr(batches, "random_resized_crop", broken)
    stream = build_loader("ragged", crop="random_resized").iterate_train(
        np.arange(20), batch_slices(20, 8), 0, 1
    )
    with pytest.raises(ZeroDivisionError, match="in the thread"):
        next(stream)
    assert not prefetching_threads()


def test_closing_the_generator_ends_the_thread():
    stream = build_loader("ragged").iterate_train(np.arange(20), batch_slices(20, 4), 0, 1)
    next(stream)
    assert len(prefetching_threads()) == 1
    stream.close()
    assert not prefetching_threads()


def test_no_more_than_two_batches_wait(monkeypatch):
    made = []
    stream = batches.prefetched(lambda index: made.append(index) or index, 10)
    assert next(stream) == 0
    for thread in prefetching_threads():
        thread.join(0.1)
    assert made == [0, 1, 2]
    assert list(stream) == list(range(1, 10))


def test_mixup_is_its_formula():
    images = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 2, 2)
    labels = torch.tensor([0, 1, 2, 3])
    mixed, targets = mixup_batch(images, labels, 5, 0.4, torch.Generator().manual_seed(1))
    assert targets.shape == (4, 5)
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(4))
    # An image's value is its label: the blend must be the same of both.
    torch.testing.assert_close(mixed[:, 0, 0, 0], targets @ torch.arange(5.0))
    partners = torch.randperm(4, generator=torch.Generator().manual_seed(1))
    shares = {round(float(targets[i, i]), 5) for i in range(4) if partners[i] != i}
    assert len(shares) == 1
    share = shares.pop()
    for i, j in enumerate(partners.tolist()):
        assert float(mixed[i, 0, 0, 0]) == pytest.approx(share * i + (1 - share) * j, abs=1e-4)


def test_mixups_share_has_the_variance_of_its_beta():
    generator = torch.Generator().manual_seed(0)
    shares = []
    for _ in range(3000):
        mixed, _ = mixup_batch(torch.eye(2), torch.tensor([0, 1]), 2, 0.2, generator)
        shares.append(float(mixed[0, 0]))
    # Where the permutation is the identity, nothing shows; else it is symmetric about 1/2.
    shown = np.array([share for share in shares if share != 1])
    # Beta(a, a): mean 1/2, variance 1 / (4 (2 a + 1)).
    assert shown.mean() == pytest.approx(0.5, abs=0.04)
    assert shown.var() == pytest.approx(1 / (4 * 1.4), abs=0.02)


def test_cutmix_pastes_a_rectangle_and_shares_the_label_by_its_area():
    images = torch.arange(8.0).view(8, 1, 1, 1).expand(8, 3, 20, 30)
    labels = torch.arange(8)
    shares = []
    for seed in range(40):
        generator = torch.Generator().manual_seed(seed)
        mixed, targets = cutmix_batch(images, labels, 8, 1.0, generator)
        assert torch.equal(targets.sum(dim=1), torch.ones(8))
        for image, own, target in zip(mixed, labels, targets, strict=True):
            values, counts = image[0].unique(return_counts=True)
            share = {int(v): int(n) / 600 for v, n in zip(values, counts, strict=True)}
            for label in range(8):
                assert float(target[label]) == pytest.approx(share.get(label, 0.0))
            changed = (image[0] != own).nonzero()
            if len(changed):
                height, width = (changed.max(0).values - changed.min(0).values + 1).tolist()
                assert height * width == len(changed)
        shares.append(float(targets[0, 0]))
    assert len(set(shares)) > 10


def test_with_mixup_and_cutmix_each_batch_takes_one_of_both():
    recipe = RecipeSpec(epochs=1, learning_rate=0.1, mixup_alpha=1.0, cutmix_alpha=1.0)
    images, labels = torch.randn(4, 3, 8, 8), torch.arange(4)
    generator = torch.Generator().manual_seed(0)
    kinds = []
    for _ in range(60):
        mixed, _ = blend_batch(images, labels, 4, recipe, generator)
        # CutMix leaves every pixel one of some image's; mixup none, but where both are one image.
        known = (mixed[:, None] == images[None]).any(1)
        kinds.append(bool(known.all()))
    # Four standard deviations of a fair coin, and a few batches that were mixed with themselves.
    assert 14 < sum(kinds) < 50


@pytest.mark.parametrize(
    ("kind", "recipe"),
    [
        ("ragged", {"crop": "random_resized", "flip": True, "random_erasing": 0.5}),
        ("uniform", {"crop": "pad4", "flip": "alternating", "random_augment": True, "cutout": 8}),
        ("uniform", {"auto_augment": "cifar10"}),
    ],
)
def test_a_share_of_a_batch_is_that_of_the_whole_batch(kind, recipe):
    order, slices = np.arange(20), batch_slices(20, 8)
    whole = build_loader(kind, **recipe).iterate_train(order, slices, 1, 2)
    shared = build_loader(kind, **recipe).iterate_train(
        order, slices, 1, 2, 0, lambda num: np.arange(1, num, 3)
    )
    for (images, labels), (own_images, own_labels) in zip(whole, shared, strict=True):
        assert torch.equal(own_images, images[1::3])
        assert torch.equal(own_labels, labels[1::3])
