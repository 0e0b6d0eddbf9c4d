"""Augmentation of uint8 batches. All random numbers come from a given numpy generator.

torch's global generator is not used: a prefetching thread would share it with dropout, and runs would not
be reproducible. Random numbers are drawn on the CPU batch by batch, so that they are the same on every
device. They may then be applied to several batches at once.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from resnest_bench.specs import RecipeSpec

SCALE = (0.08, 1.0)
RATIO = (3 / 4, 4 / 3)
CROP_TRIES = 10
ERASED_SCALE = (0.02, 0.33)
ERASED_RATIO = (0.3, 3.3)

RAND_AUGMENT_OPERATIONS = 2
RAND_AUGMENT_STRENGTH = 9 / 30  # magnitude 9 of 0 to 30


@dataclass(frozen=True)
class Draws:
    """The random numbers for a batch of B images; None for augmentations that the recipe doesn't use."""

    corner_B2: np.ndarray | None = None
    mirrored_B: np.ndarray | None = None
    operations_BR: np.ndarray | None = None
    signs_BR: np.ndarray | None = None
    hole_B2: np.ndarray | None = None
    policy_seed_B: np.ndarray | None = None
    # Top, left, height and width; a height of 0 erases nothing.
    erased_B4: np.ndarray | None = None

    @classmethod
    def draw(cls, recipe: RecipeSpec, num: int, side: int, rng: np.random.Generator) -> "Draws":
        """Draw for `num` images of side x side. The order of the draws must never change."""
        corner = mirrored = operations = signs = hole = policy_seed = erased = None
        if recipe.crop in SHIFTS:
            corner = rng.integers(0, 2 * shift_margin(recipe.crop, side) + 1, (2, num)).T
        # Alternating flips are not drawn per batch: they follow from those of the epoch before.
        if recipe.flip is True:
            mirrored = rng.random(num) < 0.5
        if recipe.random_augment:
            rounds = [
                (rng.integers(0, len(RAND_AUGMENT), num), rng.choice((-1, 1), num))
                for _ in range(RAND_AUGMENT_OPERATIONS)
            ]
            operations, signs = (np.stack(part, axis=1) for part in zip(*rounds, strict=True))
        if recipe.cutout:
            hole = rng.integers(0, side, (num, 2))
        if recipe.auto_augment != "none":
            policy_seed = rng.integers(0, 2**62, num)
        if recipe.random_erasing:
            erased = draw_erased(num, side, recipe.random_erasing, rng)
        return cls(corner, mirrored, operations, signs, hole, policy_seed, erased)

    @classmethod
    def concatenate(cls, parts: Sequence["Draws"]) -> "Draws":
        """Return the draws of several batches as those of one."""
        joined = {}
        for field in fields(cls):
            values = [getattr(part, field.name) for part in parts]
            joined[field.name] = None if values[0] is None else np.concatenate(values)
        return cls(**joined)

    def take(self, own_b: np.ndarray) -> "Draws":
        """Return the draws of some images of the batch, whose indices are `own_b`."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return Draws(**{name: None if v is None else v[own_b] for name, v in values.items()})


def augment_batch(
    images_BHWC: Tensor, draws: Draws, recipe: RecipeSpec, mean: Sequence[float] = (0.0, 0.0, 0.0)
) -> Tensor:
    """Apply the drawn shifts, flips, policies, cutout and erasing to uint8 images on any device.

    Erased rectangles are filled with `mean`, one value per channel from 0 to 1.
    """
    if draws.corner_B2 is not None:
        margin = shift_margin(recipe.crop, images_BHWC.shape[1])
        shift = reflected_shift_batch if recipe.crop == "reflect2" else shift_batch
        images_BHWC = shift(images_BHWC, draws.corner_B2, margin)
    if draws.mirrored_B is not None:
        images_BHWC = flip_batch(images_BHWC, draws.mirrored_B)
    if draws.operations_BR is not None and draws.signs_BR is not None:
        images_BCHW = images_BHWC.permute(0, 3, 1, 2).contiguous()
        augmented_BCHW = rand_augment_batch(images_BCHW, draws.operations_BR, draws.signs_BR)
        images_BHWC = augmented_BCHW.permute(0, 2, 3, 1)
    if draws.policy_seed_B is not None:
        images_BHWC = policy_batch(images_BHWC, draws.policy_seed_B, recipe.auto_augment)
    if draws.hole_B2 is not None:
        images_BHWC = cutout_batch(images_BHWC, draws.hole_B2, recipe.cutout)
    if draws.erased_B4 is not None:
        images_BHWC = erase_batch(images_BHWC, draws.erased_B4, mean)
    return images_BHWC


def flip_batch(images_BHWC: Tensor, mirrored_B: np.ndarray) -> Tensor:
    """Flip the images chosen by `mirrored_B` (booleans) left to right."""
    which_B = torch.from_numpy(mirrored_B).to(images_BHWC.device)
    return torch.where(which_B[:, None, None, None], images_BHWC.flip(2), images_BHWC)


# The crops that shift an image, and the largest shift as a share of its side.
SHIFTS = {"pad4": 1 / 8, "reflect2": 1 / 16}


def shift_margin(crop: str, side: int) -> int:
    """Return the largest shift in pixels, to each side."""
    margin = int(side * SHIFTS[crop])
    return max(margin, 1) if crop == "reflect2" else margin


def reflected_shift_batch(images_BHWC: Tensor, corner_B2: np.ndarray, margin: int) -> Tensor:
    """Shift like `shift_batch`, with the image mirrored at its edges, whose pixels are not repeated."""
    num, height, width, _ = images_BHWC.shape
    corner = torch.from_numpy(np.ascontiguousarray(corner_B2)).to(images_BHWC.device) - margin

    def positions(length: int, axis: int) -> Tensor:
        inside = (corner[:, axis, None] + torch.arange(length, device=corner.device)).abs()
        return (length - 1) - ((length - 1) - inside).abs()

    image_B = torch.arange(num, device=corner.device)[:, None, None]
    return images_BHWC[image_B, positions(height, 0)[:, :, None], positions(width, 1)[:, None, :]]


def shift_batch(images_BHWC: Tensor, corner_B2: np.ndarray, margin: int) -> Tensor:
    """Pad each image with `margin` black pixels, and crop the original size at a corner.

    `corner_B2`: row and column, from 0 to twice the padding.
    """
    num, height, width, _ = images_BHWC.shape
    corner = torch.from_numpy(np.ascontiguousarray(corner_B2)).to(images_BHWC.device)
    padded = pad(images_BHWC, (0, 0, margin, margin, margin, margin))
    rows_BH = corner[:, :1] + torch.arange(height, device=padded.device)
    columns_BW = corner[:, 1:] + torch.arange(width, device=padded.device)
    image_B = torch.arange(num, device=padded.device)
    return padded[image_B[:, None, None], rows_BH[:, :, None], columns_BW[:, None, :]]


def cutout_batch(images_BHWC: Tensor, hole_B2: np.ndarray, side: int) -> Tensor:
    """Black out a square of `side` pixels around each centre (row, column), clipped at the border.

    Source: DeVries and Taylor, Cutout, arXiv:1708.04552, section 3.2. They fill it with the mean
    of the normalised image; we use black, as `shift_batch` does for its padding.
    """
    _, height, width, _ = images_BHWC.shape
    top_B2 = torch.from_numpy(hole_B2 - side // 2).to(images_BHWC.device)

    def inside(length: int, axis: int) -> Tensor:
        offset = torch.arange(length, device=images_BHWC.device) - top_B2[:, axis, None]
        return (offset >= 0) & (offset < side)

    hole_BHW = inside(height, 0)[:, :, None] & inside(width, 1)[:, None, :]
    return images_BHWC.masked_fill(hole_BHW[..., None], 0)


def draw_erased(num: int, side: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Draw rectangles (num, 4) to erase: top, left, height, width; about 1 - `share` of them are all 0.

    Source: Zhong et al., arXiv:1708.04896, algorithm 1, with torchvision's ranges: an area of 2 to 33 %,
    an aspect ratio of 0.3 to 3.3. If ten tries don't fit, nothing is erased.
    """
    boxes_B4 = np.zeros((num, 4), dtype=np.int64)
    for index in np.flatnonzero(rng.random(num) < share):
        for _ in range(CROP_TRIES):
            area = side**2 * rng.uniform(*ERASED_SCALE)
            ratio = math.exp(rng.uniform(*np.log(ERASED_RATIO)))
            height, width = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < height < side and 0 < width < side:
                top, left = rng.integers(0, side - height + 1), rng.integers(0, side - width + 1)
                boxes_B4[index] = top, left, height, width
                break
    return boxes_B4


def erase_batch(images_BHWC: Tensor, erased_B4: np.ndarray, mean: Sequence[float]) -> Tensor:
    """Fill each image's rectangle (top, left, height, width) with the mean color."""
    _, height, width, _ = images_BHWC.shape
    boxes_B4 = torch.from_numpy(erased_B4).to(images_BHWC.device)

    def inside(length: int, axis: int) -> Tensor:
        offset = torch.arange(length, device=images_BHWC.device) - boxes_B4[:, axis, None]
        return (offset >= 0) & (offset < boxes_B4[:, axis + 2, None])

    hole_BHW = inside(height, 0)[:, :, None] & inside(width, 1)[:, None, :]
    fill_C = (255 * torch.tensor(mean)).round().to(images_BHWC)
    return torch.where(hole_BHW[..., None], fill_C, images_BHWC)


def policy_batch(images_BHWC: Tensor, seed_B: np.ndarray, policy: str) -> Tensor:
    """Apply torchvision's TrivialAugmentWide or AutoAugment to each image, with a seed for each."""
    transform = POLICIES[policy]()
    changed = []
    # They draw from torch's global generator, whose state is restored.
    with torch.random.fork_rng(devices=[]):
        for image_HWC, seed in zip(images_BHWC, seed_B, strict=True):
            torch.manual_seed(int(seed))
            changed.append(transform(image_HWC.permute(2, 0, 1)).permute(1, 2, 0))
    return torch.stack(changed)


POLICIES: dict[str, Callable[[], Callable[[Tensor], Tensor]]] = {
    "trivial": v2.TrivialAugmentWide,
    "cifar10": lambda: v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10),
    "imagenet": lambda: v2.AutoAugment(v2.AutoAugmentPolicy.IMAGENET),
}


def random_box(height: int, width: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Draw top, left, height and width of a random crop.

    Source: Szegedy et al., arXiv:1409.4842, section 6, as in torchvision's RandomResizedCrop. If ten
    tries don't fit, return the largest central crop of an allowed aspect ratio.
    """
    for _ in range(CROP_TRIES):
        area = height * width * rng.uniform(*SCALE)
        ratio = math.exp(rng.uniform(*np.log(RATIO)))
        box_width, box_height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < box_width <= width and 0 < box_height <= height:
            top = int(rng.integers(0, height - box_height + 1))
            left = int(rng.integers(0, width - box_width + 1))
            return top, left, box_height, box_width
    box_height, box_width = (
        min(height, round(width / RATIO[0])),
        min(width, round(height * RATIO[1])),
    )
    return (height - box_height) // 2, (width - box_width) // 2, box_height, box_width


def random_resized_crop(image_HWC: np.ndarray, side: int, rng: np.random.Generator) -> Tensor:
    """Return a random crop, resized to (side, side, C) uint8; bilinear, antialiased."""
    top, left, height, width = random_box(image_HWC.shape[0], image_HWC.shape[1], rng)
    # Copy only the crop: torch doesn't accept a read-only memory map.
    crop_HWC = torch.from_numpy(image_HWC[top : top + height, left : left + width].copy())
    resized_CHW: Tensor = functional.resize(crop_HWC.permute(2, 0, 1), [side, side], antialias=True)
    return resized_CHW.permute(1, 2, 0)


def center_crop(image_HWC: np.ndarray, side: int) -> np.ndarray:
    """Return the central (side, side, C) of an image that is at least that large."""
    top, left = ((length - side) // 2 for length in image_HWC.shape[:2])
    assert top >= 0 <= left, f"an image of {image_HWC.shape} is smaller than the crop, {side}"
    return image_HWC[top : top + side, left : left + side]


def _affine(
    images: Tensor, dx: int = 0, dy: int = 0, shear_x: float = 0, shear_y: float = 0
) -> Tensor:
    # The strength of a shear is a slope. As in torchvision, it is applied about the corner.
    sheared = bool(shear_x or shear_y)
    degrees = [math.degrees(math.atan(slope)) for slope in (shear_x, shear_y)]
    moved: Tensor = functional.affine(
        images,
        angle=0.0,
        translate=[dx, dy],
        scale=1.0,
        shear=degrees,
        center=[0.0, 0.0] if sheared else None,
    )
    return moved


# Cubuk et al., RandAugment, arXiv:1909.13719, with torchvision's ranges. Each takes a batch
# (B, 3, H, W) and a signed strength from 0 to 1.
RAND_AUGMENT: dict[str, Callable[[Tensor, float], Tensor]] = {
    "Identity": lambda x, s: x,
    "ShearX": lambda x, s: _affine(x, shear_x=0.3 * s),
    "ShearY": lambda x, s: _affine(x, shear_y=0.3 * s),
    "TranslateX": lambda x, s: _affine(x, dx=int(150 / 331 * x.shape[-1] * s)),
    "TranslateY": lambda x, s: _affine(x, dy=int(150 / 331 * x.shape[-2] * s)),
    "Rotate": lambda x, s: functional.rotate(x, 30 * s),
    "Brightness": lambda x, s: functional.adjust_brightness(x, 1 + 0.9 * s),
    "Color": lambda x, s: functional.adjust_saturation(x, 1 + 0.9 * s),
    "Contrast": lambda x, s: functional.adjust_contrast(x, 1 + 0.9 * s),
    "Sharpness": lambda x, s: functional.adjust_sharpness(x, 1 + 0.9 * s),
    "Posterize": lambda x, s: functional.posterize(x, round(8 - 4 * abs(s))),
    "Solarize": lambda x, s: functional.solarize(x, 255 * (1 - abs(s))),
    "AutoContrast": lambda x, s: functional.autocontrast(x),
    "Equalize": lambda x, s: functional.equalize(x),
}


def rand_augment_batch(
    images_BCHW: Tensor, operations_BR: np.ndarray, signs_BR: np.ndarray
) -> Tensor:
    """Apply R operations to each image in turn, at magnitude 9 of 30 with the drawn signs.

    `operations_BR` are indices into RAND_AUGMENT. For speed, images with the same operation are
    processed together.
    """
    names = list(RAND_AUGMENT)
    for drawn_B, sign_B in zip(operations_BR.T, signs_BR.T, strict=True):
        result_BCHW = torch.empty_like(images_BCHW)
        for number, sign in sorted(set(zip(drawn_B.tolist(), sign_B.tolist(), strict=True))):
            alike = np.flatnonzero((drawn_B == number) & (sign_B == sign))
            members = torch.from_numpy(alike).to(images_BCHW.device)
            strength = sign * RAND_AUGMENT_STRENGTH
            result_BCHW[members] = RAND_AUGMENT[names[number]](images_BCHW[members], strength)
        images_BCHW = result_BCHW
    return images_BCHW
