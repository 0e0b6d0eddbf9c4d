"""Networks that are made for one image size, at another one.

timm marks them (`fixed_input_size`): position embeddings, windows or token mixers have the size of
the image. Most of them take it as `img_size`, which adds no layer and removes none. It is set where
the network can't take the image otherwise, and never where the variant sets it itself.

A smaller patch is another network: its name says 16 pixels, and pretrained weights no longer fit.
It is taken only where the image is smaller than a patch. Where there are few patches, `describe`
says so and which argument gives more.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from timm.models import get_pretrained_cfg
from torch import nn

from resnest_bench.models.arguments import blame_arguments
from resnest_bench.models.input_channels import RGB
from resnest_bench.models.timm_family import try_timm
from resnest_bench.specs import TimmVariant, VariantSpec

# Attention over fewer has little to attend to: 4 patches of 16 pixels at 32x32.
FEW_PATCHES = 16
# Patches along a side that are advised: at 32x32 these are patches of 4x4 pixels.
ADVISED_PATCHES = 8
TRIED_SIZES = (64, 96, 128, 160, 192, 224, 256, 299, 384)


def find_problem(
    build: Callable[[], nn.Module], image_size: int, in_chans: int = RGB
) -> Exception | None:
    """What keeps a network from a forward pass of this side; on the meta device: no computation."""
    try:
        with torch.device("meta"):
            _run(build(), image_size, in_chans)
    # Foreign code: what it raises at an image of another size is anything.
    except Exception as error:
        return error
    return None


def _run(model: nn.Module, image_size: int, in_chans: int) -> None:
    model(torch.zeros(2, in_chans, image_size, image_size))


def choose_size_args(variant: VariantSpec, image_size: int) -> dict[str, Any]:
    """Arguments that let a network made for another size take this one; empty if it needs none.

    Empty as well where nothing helps: the network then says itself what is wrong.
    """
    if not isinstance(variant, TimmVariant) or not _is_made_for_another(variant, image_size):
        return {}
    if {"img_size", "dynamic_img_size"} & set(variant.args):
        return {}
    size: dict[str, Any] = {"img_size": image_size}
    patches = [] if "patch_size" in variant.args else _smaller_patches(image_size)
    for args in ({}, size, *({**size, "patch_size": patch} for patch in patches)):
        if _takes(variant, args, image_size):
            return args
    return {}


def _is_made_for_another(variant: TimmVariant, image_size: int) -> bool:
    try:
        config = get_pretrained_cfg(variant.model)
    except RuntimeError:  # an unknown tag, which building names
        return False
    if config is None or not config.fixed_input_size:
        return False
    return tuple(config.input_size[1:]) != (image_size, image_size)


def _smaller_patches(image_size: int) -> Iterator[int]:
    """Sides of patches in pixels that divide the image, the one advised first."""
    advised = max(1, image_size // ADVISED_PATCHES)
    yield from (patch for patch in (advised, 8, 4, 2) if image_size % patch == 0)


def _takes(variant: TimmVariant, more: dict[str, Any], image_size: int) -> bool:
    return _problem_with(variant, more, image_size) is None


def _problem_with(variant: TimmVariant, more: dict[str, Any], image_size: int) -> Exception | None:
    changed = _replace_args(variant, {**variant.args, **more})
    return find_problem(lambda: try_timm(changed), image_size)


def advise_size(variant: VariantSpec, image_size: int) -> str:
    """What to change in a variant that can't take images of this side, as far as trying shows."""
    if not isinstance(variant, TimmVariant):
        return "choose another variant, or another image_size"
    helpful = _find_helpful(variant, image_size)
    if helpful:
        return f"give it `args: {show_args(helpful)}`"
    at_fault = blame_arguments(
        variant.args, lambda args: _takes_when_fitted(_replace_args(variant, args), image_size)
    )
    if at_fault:
        return f"correct args.{at_fault[0]}, without which it does"
    sizes = find_sizes(variant, image_size)
    if not sizes:
        return "choose another variant, or another image_size"
    shown = " and ".join(f"{size}x{size}" for size in sizes)
    return f"choose another variant, or another image_size: it takes {shown}"


def find_sizes(variant: TimmVariant, image_size: int) -> list[int]:
    """The next smaller and the next larger image that the network takes as it is, as far as tried."""
    own = _read_own_size(variant)
    sizes = sorted({*TRIED_SIZES, *([own] if own else [])} - {image_size})
    try:
        with torch.device("meta"):
            model = try_timm(variant)
    # Foreign code: what it raises is anything.
    except Exception:
        return []
    smaller = [size for size in reversed(sizes) if size < image_size]
    larger = [size for size in sizes if size > image_size]
    found = (next((s for s in tried if _forwards(model, s)), None) for tried in (smaller, larger))
    return [size for size in found if size is not None]


def _forwards(model: nn.Module, image_size: int) -> bool:
    return find_problem(lambda: model, image_size) is None


def _read_own_size(variant: TimmVariant) -> int | None:
    """The side of the images that the network's weights in timm were made with."""
    config = get_pretrained_cfg(variant.model.split(".")[0])
    return max(config.input_size[1:]) if config else None


def _find_helpful(variant: TimmVariant, image_size: int) -> dict[str, Any]:
    """Arguments that the variant doesn't set, with which it takes the image; or none."""
    refused: set[str] = set(variant.args)
    for args in ({"img_size": image_size}, *_patch_args(image_size)):
        if refused & set(args):
            continue
        problem = _problem_with(variant, args, image_size)
        if problem is None:
            return args
        # A network without such an argument says so before it is built: no other value helps.
        if isinstance(problem, TypeError) and len(args) == 1:
            refused |= set(args)
    return {}


def _takes_when_fitted(variant: TimmVariant, image_size: int) -> bool:
    return _takes(variant, choose_size_args(variant, image_size), image_size)


def _patch_args(image_size: int) -> Iterator[dict[str, Any]]:
    for patch in _smaller_patches(image_size):
        yield {"patch_size": patch}
        yield {"img_size": image_size, "patch_size": patch}


def _replace_args(variant: TimmVariant, args: dict[str, Any]) -> TimmVariant:
    return variant.model_copy(update={"args": args})


def patch_grid(model: nn.Module) -> tuple[int, int] | None:
    """Patches along (height, width) of a transformer; None for a network without them."""
    grid = getattr(getattr(model, "patch_embed", None), "grid_size", None)
    return (int(grid[0]), int(grid[1])) if grid else None


def describe_size(
    variant: VariantSpec, size_args: dict[str, Any], grid: tuple[int, int] | None, image_size: int
) -> str:
    """One line on what was set for the image size and on too few patches; empty for neither."""
    parts = []
    if size_args:
        parts.append(f"{show_args(size_args)} was set for images of {image_size}x{image_size}")
    if grid and math.prod(grid) < FEW_PATCHES and isinstance(variant, TimmVariant):
        parts.append(f"it sees {grid[0]}x{grid[1]} patches{_advise_patch(variant, image_size)}")
    return f"{variant.name}: {'; '.join(parts)}" if parts else ""


def _advise_patch(variant: TimmVariant, image_size: int) -> str:
    args = {"img_size": image_size, "patch_size": max(1, image_size // ADVISED_PATCHES)}
    if not _takes(variant, args, image_size):
        return ""
    return f" (args: {show_args(args)} gives {ADVISED_PATCHES}x{ADVISED_PATCHES})"


def show_args(args: dict[str, Any]) -> str:
    """As YAML has them: {img_size: 32}."""
    return "{" + ", ".join(f"{key}: {value}" for key, value in args.items()) + "}"
