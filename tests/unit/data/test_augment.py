"""Augmentation: against hand formulas, and RandAugment against torchvision's own."""

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from resnest_bench.data.augment import (
    RAND_AUGMENT,
    RAND_AUGMENT_STRENGTH,
    Draws,
    augment_batch,
    center_crop,
    cutout_batch,
    erase_batch,
    flip_batch,
    rand_augment_batch,
    random_box,
    random_resized_crop,
    reflected_shift_batch,
    shift_batch,
    shift_margin,
)
from resnest_bench.specs import RecipeSpec


def rng(seed=0):
    return np.random.default_rng(seed)


def make_recipe(**changes):
    return RecipeSpec(epochs=1, learning_rate=0.1, **changes)


def make_draws(num, seed=0, **recipe):
    return Draws.draw(make_recipe(**recipe), num, 32, rng(seed))


@pytest.fixture
def images():
    return torch.from_numpy(rng().integers(0, 256, (6, 3, 32, 32), dtype=np.uint8))


def test_a_flipped_image_is_a_mirror_image():
    images = torch.from_numpy(rng().integers(0, 256, (400, 4, 5, 3), dtype=np.uint8))
    flipped = flip_batch(images, make_draws(400, flip=True).mirrored_B)
    mirrored = [bool((f == i.flip(1)).all()) for f, i in zip(flipped, images, strict=True)]
    same = [bool((f == i).all()) for f, i in zip(flipped, images, strict=True)]
    assert all(a != b for a, b in zip(mirrored, same, strict=True))
    assert 160 < sum(mirrored) < 240  # four standard deviations of a fair coin


def test_a_shift_moves_by_up_to_an_eighth_onto_black():
    # Pixel (y, x) holds 1 + 32 y + x in its two bytes: where it came from can be read.
    number = 1 + torch.arange(32)[:, None] * 32 + torch.arange(32)
    image = torch.stack([number // 256, number % 256, number * 0], dim=-1).to(torch.uint8)
    shifts = set()
    corners = make_draws(500, crop="pad4").corner_B2
    for shifted in shift_batch(image.expand(500, -1, -1, -1), corners, 4):
        value = shifted[..., 0].int() * 256 + shifted[..., 1].int()
        y, x = 16, 16  # the centre is never cut off
        dy, dx = divmod(int(value[y, x]) - 1, 32)
        dy, dx = dy - y, dx - x
        shifts.add((dy, dx))
        expected = torch.zeros(32, 32, dtype=torch.int)
        rows, columns = (slice(max(0, -d), 32 - max(0, d)) for d in (dy, dx))
        from_rows, from_columns = (slice(max(0, d), 32 + min(0, d)) for d in (dy, dx))
        expected[rows, columns] = number[from_rows, from_columns].int()
        assert (value == expected).all()
    assert {d for pair in shifts for d in pair} == set(range(-4, 5))


def test_a_reflected_shift_is_a_crop_of_the_image_that_torch_pads():
    images = torch.from_numpy(rng().integers(0, 256, (50, 32, 32, 3), dtype=np.uint8))
    corners = make_draws(50, crop="reflect2").corner_B2
    assert set(corners.flatten()) == set(range(5))
    padded = torch.nn.functional.pad(images.permute(0, 3, 1, 2).float(), (2,) * 4, "reflect")
    shifted = reflected_shift_batch(images, corners, 2)
    for image, whole, (top, left) in zip(shifted, padded, corners, strict=True):
        expected = whole[:, top : top + 32, left : left + 32].permute(1, 2, 0)
        assert torch.equal(image.float(), expected)


@pytest.mark.parametrize(("side", "margin"), [(32, 2), (8, 1), (224, 14)])
def test_a_reflected_shift_is_a_16th_and_at_least_a_pixel(side, margin):
    assert shift_margin("reflect2", side) == margin


def test_a_random_box_has_the_stated_area_and_aspect():
    areas, ratios, generator = [], [], rng(5)
    for _ in range(2000):
        top, left, height, width = random_box(300, 400, generator)
        assert 0 <= top <= 300 - height
        assert 0 <= left <= 400 - width
        areas.append(height * width / (300 * 400))
        ratios.append(width / height)
    assert min(areas) == pytest.approx(0.08, abs=0.01)
    assert max(areas) > 0.9
    assert 0.74 < min(ratios) < 0.78
    assert 1.30 < max(ratios) < 1.35


@pytest.mark.parametrize(
    ("size", "box"), [((1000, 10), (493, 0, 13, 10)), ((10, 1000), (0, 493, 10, 13))]
)
def test_where_no_box_fits_the_centre_is_taken(size, box):
    assert random_box(*size, rng()) == box


def test_a_resized_crop_of_a_gradient_stays_a_gradient():
    image = np.broadcast_to(np.arange(0, 240, 2, dtype=np.uint8)[:, None, None], (120, 90, 3))
    for seed in range(5):
        crop = random_resized_crop(image, 16, rng(seed))
        assert crop.shape == (16, 16, 3)
        rows = crop[:, 8, 0].float()
        top, _, height, _ = random_box(120, 90, rng(seed))
        # The middle of output row r lies at (r + 1/2) / 16 of the box; the value is twice the row.
        expected = 2 * (top + (torch.arange(16) + 0.5) / 16 * height - 0.5)
        assert (rows[2:-2] - expected[2:-2]).abs().max() <= 1


def test_the_centre_is_cropped():
    image = np.arange(7 * 10).reshape(7, 10, 1)
    assert center_crop(image, 3)[..., 0].tolist() == [[23, 24, 25], [33, 34, 35], [43, 44, 45]]


def test_the_operations_are_those_of_torchvision():
    assert list(RAND_AUGMENT) == list(v2.RandAugment._AUGMENTATION_SPACE)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("name", RAND_AUGMENT)
def test_each_operation_gives_what_torchvision_gives(images, name, sign):
    reference = v2.RandAugment(num_ops=2, magnitude=9)
    magnitudes, signed = reference._AUGMENTATION_SPACE[name]
    values = magnitudes(31, 32, 32)
    strength = 0.0 if values is None else float(values[9]) * (sign if signed else 1)
    ours = RAND_AUGMENT[name](images, sign * RAND_AUGMENT_STRENGTH)
    for image, result in zip(images, ours, strict=True):
        expected = reference._apply_image_or_video_transform(
            image, name, strength, interpolation=reference.interpolation, fill=reference._fill
        )
        # Ours computes the strength in double precision, which may round a pixel the other way.
        assert (result.int() - expected.int()).abs().max() <= 1
        assert (result != expected).float().mean() < 0.01


def test_rand_augment_draws_from_its_generator_alone(images):
    state = torch.random.get_rng_state()
    draws = [make_draws(6, seed, random_augment=True) for seed in (1, 1, 2)]
    first, again, other = (
        rand_augment_batch(images, drawn.operations_BR, drawn.signs_BR) for drawn in draws
    )
    assert (first == again).all()
    assert (first != other).any()
    assert (torch.random.get_rng_state() == state).all()
    assert first.dtype == torch.uint8


@pytest.mark.parametrize(
    ("centre", "rows", "columns"),
    [((16, 16), (12, 20), (12, 20)), ((0, 31), (0, 4), (27, 32)), ((31, 0), (27, 32), (0, 4))],
)
def test_a_hole_of_8_pixels_lies_around_its_centre_and_is_cut_at_the_border(centre, rows, columns):
    images = torch.full((1, 32, 32, 3), 200, dtype=torch.uint8)
    expected = images.clone()
    expected[0, slice(*rows), slice(*columns)] = 0
    assert torch.equal(cutout_batch(images, np.array([centre]), 8), expected)


@pytest.mark.parametrize(
    "policy",
    [{"random_augment": True}, *({"auto_augment": x} for x in ("trivial", "cifar10", "imagenet"))],
)
def test_several_batches_at_once_are_each_as_alone(policy):
    recipe = {"crop": "pad4", "flip": True, "cutout": 8, "random_erasing": 0.5, **policy}
    images = torch.from_numpy(rng().integers(0, 256, (24, 32, 32, 3), dtype=np.uint8))
    parts = [make_draws(8, seed, **recipe) for seed in range(3)]
    alone = [
        augment_batch(batch, drawn, make_recipe(**recipe))
        for batch, drawn in zip(images.split(8), parts, strict=True)
    ]
    together = augment_batch(images, Draws.concatenate(parts), make_recipe(**recipe))
    assert torch.equal(together, torch.cat(alone))
    assert not torch.equal(together, images)


def test_nothing_is_drawn_that_is_not_asked_for():
    assert make_draws(8) == Draws()
    assert torch.equal(
        augment_batch(torch.ones(8, 32, 32, 3), make_draws(8), make_recipe()),
        torch.ones(8, 32, 32, 3),
    )


def test_erased_rectangles_have_the_share_the_area_and_the_ratio_that_were_asked_for():
    boxes_B4 = make_draws(4000, random_erasing=0.25).erased_B4
    top, left, height, width = boxes_B4[boxes_B4[:, 2] > 0].T
    # Five standard deviations of a binomial share; a tenth of the tries finds no rectangle that fits.
    assert 0.25 * 4000 * 0.9 - 140 < len(top) < 0.25 * 4000 + 140
    assert (top >= 0).all()
    assert (top + height <= 32).all()
    assert (left + width <= 32).all()
    # Sides are rounded to whole pixels: half a pixel on each.
    assert ((height + 0.5) * (width + 0.5) >= 0.02 * 32**2).all()
    assert ((height - 0.5) * (width - 0.5) <= 0.33 * 32**2).all()


def test_an_erased_rectangle_has_the_mean_color_and_the_rest_stays():
    images = torch.full((2, 32, 32, 3), 200, dtype=torch.uint8)
    expected = images.clone()
    expected[1, 3:8, 20:22] = torch.tensor([51, 102, 153], dtype=torch.uint8)
    erased = erase_batch(images, np.array([[5, 5, 0, 0], [3, 20, 5, 2]]), (0.2, 0.4, 0.6))
    assert torch.equal(erased, expected)


@pytest.mark.parametrize("policy", ["trivial", "cifar10", "imagenet"])
def test_a_policy_is_torchvisions_own_and_leaves_the_global_generator_alone(images, policy):
    images_BHWC = images.permute(0, 2, 3, 1)
    draws = make_draws(6, auto_augment=policy)
    torch.manual_seed(3)
    wanted = torch.rand(4)
    torch.manual_seed(3)
    changed = augment_batch(images_BHWC, draws, make_recipe(auto_augment=policy))
    assert torch.equal(torch.rand(4), wanted)
    own = {
        "trivial": v2.TrivialAugmentWide(),
        "cifar10": v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10),
        "imagenet": v2.AutoAugment(v2.AutoAugmentPolicy.IMAGENET),
    }[policy]
    for image_HWC, seed, image_CHW in zip(changed, draws.policy_seed_B, images, strict=True):
        torch.manual_seed(int(seed))
        assert torch.equal(image_HWC.permute(2, 0, 1), own(image_CHW))
