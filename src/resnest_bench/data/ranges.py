"""Choose the value of white in images with more than 8 bits per channel: given, or inferred from all."""

from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resnest_bench.data.images import WHITE_16, load_image
from resnest_bench.errors import UserError

# Common depths of sensors and file formats.
BIT_DEPTHS = (8, 10, 12, 14, 16)


@dataclass(frozen=True)
class Extremes:
    """The lowest and the highest value of one deep image, and its kind."""

    path: Path
    lowest: float
    highest: float
    floating: bool
    color: bool


def find_extremes(path: Path) -> Extremes | None:
    """Read every pixel; None if the file is broken, which is reported when the image is read."""
    try:
        image, color = load_image(path)
        pixels = np.asarray(image.convert("RGB") if color else image)
        lowest, highest = float(pixels.min()), float(pixels.max())
    except Exception:  # of foreign bytes, like every decoder's
        return None
    if color:  # the upper 8 of 16 bits
        lowest, highest = lowest * 256, highest * 256 + 255
    return Extremes(path, lowest, highest, image.mode == "F", color)


def choose_white(
    paths: Iterable[Path],
    max_value: float | None,
    name: str,
    pool: Executor,
    find: Callable[[Path], Extremes | None] = find_extremes,
) -> float | None:
    """Return the value of white for the deep images `paths`; None if there are none.

    It is `max_value` if given. Otherwise it is the largest value of the smallest of BIT_DEPTHS that holds
    all values, if some of them are in its upper half. Raises UserError if neither applies, or if a value
    is larger.
    """
    found = [extremes for extremes in pool.map(find, paths) if extremes is not None]
    if not found:
        if max_value is not None:
            raise UserError(
                f"datasets.{name}.max_value is for images with more than 8 bits per channel, but there "
                "are none: remove it"
            )
        return None
    _check_values(found, name)
    top = max(found, key=lambda extremes: extremes.highest)
    white = max_value or _infer_white(found, top, name)
    if top.highest > white:
        raise UserError(
            f"values must be at most datasets.{name}.max_value ({white:,g}), but got {top.highest:,g} "
            f"in {top.path}: raise max_value, or remove the image"
        )
    _check_color(found, white, name)
    return white


def _check_values(found: list[Extremes], name: str) -> None:
    for extremes in found:
        if not (np.isfinite(extremes.lowest) and np.isfinite(extremes.highest)):
            raise UserError(
                f"{extremes.path}: pixels must be finite numbers, but some are not: save the image "
                "without them"
            )
        if extremes.lowest < 0:
            raise UserError(
                f"{extremes.path}: pixels must be at least 0, but got {extremes.lowest:,g}: "
                "save the images again with 0 as black"
            )


def _infer_white(found: list[Extremes], top: Extremes, name: str) -> float:
    floating = next((extremes for extremes in found if extremes.floating), None)
    if floating is not None:
        raise UserError(
            f"{floating.path}: floating-point pixels have no fixed range (here up to "
            f"{floating.highest:g}): set datasets.{name}.max_value to the value of white"
        )
    for bits in BIT_DEPTHS:
        if 2 ** (bits - 1) <= top.highest < 2**bits:
            return float(2**bits - 1)
    raise UserError(
        f"datasets.{name}: the value of white in images with more than 8 bits per channel can't be "
        f"inferred, since their largest value, {top.highest:,g} in {top.path}, fits no depth of "
        f"{', '.join(map(str, BIT_DEPTHS))} bits: set it, like max_value: 65535 for all 16 bits"
    )


def _check_color(found: list[Extremes], white: float, name: str) -> None:
    color = next((extremes for extremes in found if extremes.color), None)
    if color is not None and white != WHITE_16:
        raise UserError(
            f"{color.path}: white must be 65535 for 16-bit colour, of which only the upper 8 bits are "
            f"read, but got {white:,g} for datasets.{name}: save the colour images with 8 bits per "
            "channel"
        )
