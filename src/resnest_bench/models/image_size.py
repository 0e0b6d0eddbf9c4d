"""Adapt networks that are designed for one image size to another one.

timm marks these networks (`fixed_input_size`): their position embeddings, windows or token mixers depend on
the size of the image. Most of them have an argument `img_size`, which adds or removes no layers. It is set if
the network doesn't accept the image otherwise, but not if the variant sets it.

A smaller patch makes another network: its name says 16 pixels, and pretrained weights no longer fit. It is
used only if the image is smaller than a patch. If there are few patches, `describe` says so, and which
argument gives more.
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

# Fewer patches leave little for attention: at 32x32, there are 4 patches of 16 pixels.
FEW_PATCHES = 16
# Recommended number of patches per side: at 32x32, patches of 4x4 pixels.
ADVISED_PATCHES = 8
TRIED_SIZES = (64, 96, 128, 160, 192, 224, 256, 299, 384)


def find_problem(
    build: Callable[[], nn.Module], image_size: int, in_chans: int = RGB
) -> Exception | None:
    """Return the error of a forward pass at this image size, if any. Nothing is computed (meta device)."""
    try:
        with torch.device("meta"):
            _run(build(), image_size, in_chans)
    # Third-party code can raise anything for an image of another size.
    except Exception as error:
        return error
    return None


def _run(model: nn.Module, image_size: int, in_chans: int) -> None:
    model(torch.zeros(2, in_chans, image_size, image_size))


def choose_size_args(variant: VariantSpec, image_size: int) -> dict[str, Any]:
    """Return arguments with which a network for another size accepts this one; empty if none are needed.

    Also empty if nothing helps: the error of the network then says what is wrong.
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
    except RuntimeError:  # an unknown tag: building the network reports it
        return False
    if config is None or not config.fixed_input_size:
        return False
    return tuple(config.input_size[1:]) != (image_size, image_size)


def _smaller_patches(image_size: int) -> Iterator[int]:
    """Return sizes of patches in pixels that divide the image, the recommended one first."""
    advised = max(1, image_size // ADVISED_PATCHES)
    yield from (patch for patch in (advised, 8, 4, 2) if image_size % patch == 0)


def _takes(variant: TimmVariant, more: dict[str, Any], image_size: int) -> bool:
    return _problem_with(variant, more, image_size) is None


def _problem_with(variant: TimmVariant, more: dict[str, Any], image_size: int) -> Exception | None:
    changed = _replace_args(variant, {**variant.args, **more})
    return find_problem(lambda: try_timm(changed), image_size)


def advise_size(variant: VariantSpec, image_size: int) -> str:
    """Suggest what to change in a variant that doesn't accept this image size, by trying."""
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
    """Find the next smaller and the next larger image size that the network accepts unchanged."""
    own = _read_own_size(variant)
    sizes = sorted({*TRIED_SIZES, *([own] if own else [])} - {image_size})
    try:
        with torch.device("meta"):
            model = try_timm(variant)
    # Third-party code can raise anything.
    except Exception:
        return []
    smaller = [size for size in reversed(sizes) if size < image_size]
    larger = [size for size in sizes if size > image_size]
    found = (next((s for s in tried if _forwards(model, s)), None) for tried in (smaller, larger))
    return [size for size in found if size is not None]


def _forwards(model: nn.Module, image_size: int) -> bool:
    return find_problem(lambda: model, image_size) is None


def _read_own_size(variant: TimmVariant) -> int | None:
    """Return the image size of timm's weights for this network."""
    config = get_pretrained_cfg(variant.model.split(".")[0])
    return max(config.input_size[1:]) if config else None


def _find_helpful(variant: TimmVariant, image_size: int) -> dict[str, Any]:
    """Return arguments that the variant doesn't set, and with which it accepts the image; or none."""
    refused: set[str] = set(variant.args)
    for args in ({"img_size": image_size}, *_patch_args(image_size)):
        if refused & set(args):
            continue
        problem = _problem_with(variant, args, image_size)
        if problem is None:
            return args
        # Without such an argument, other values don't help either.
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
    """Return the number of patches along (height, width); None for a network without patches."""
    grid = getattr(getattr(model, "patch_embed", None), "grid_size", None)
    return (int(grid[0]), int(grid[1])) if grid else None


def describe_size(
    variant: VariantSpec, size_args: dict[str, Any], grid: tuple[int, int] | None, image_size: int
) -> str:
    """Describe what was set for the image size, and a lack of patches; empty for neither."""
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
    """Format arguments like YAML: {img_size: 32}."""
    return "{" + ", ".join(f"{key}: {value}" for key, value in args.items()) + "}"
