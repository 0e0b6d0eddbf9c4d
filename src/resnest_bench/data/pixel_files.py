"""Read image files with any number of channels: photos, .npy files, TIFF pages."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ImageSequence, UnidentifiedImageError

from resnest_bench.data import images
from resnest_bench.data.images import MAX_ASPECT, WHITE_16, Header, ImageError, read_resized
from resnest_bench.data.pixels import resize_channels, set_channels
from resnest_bench.data.ranges import Extremes
from resnest_bench.data.ranges import find_extremes as find_photo_extremes
from resnest_bench.errors import first_line

ARRAY_ENDING = ".npy"
# Pillow reads photos as RGB, which is then converted to gray if necessary.
PHOTO_CHANNELS = (1, 3)


@dataclass(frozen=True)
class Pixels:
    """An image as (H, W, C) uint8, and how it was converted: see `images.Photo`."""

    image_HWC: np.ndarray
    transparent: bool = False
    deep: bool = False


def image_endings(channels: int) -> frozenset[str]:
    """Return the extensions of image files."""
    endings = frozenset(images.EXTENSIONS)
    return endings if channels in PHOTO_CHANNELS else endings | {ARRAY_ENDING}


def is_photo(path: Path, channels: int) -> bool:
    return channels in PHOTO_CHANNELS and path.suffix.lower() != ARRAY_ENDING


def read_header(path: Path, channels: int) -> Header:
    """Read size and depth of an image. Raises ImageError."""
    if is_photo(path, channels):
        return images.read_header(path)
    values_HWC = load_values(path, channels)
    return Header((values_HWC.shape[1], values_HWC.shape[0]), values_HWC.dtype != np.uint8, False)


def read_pixels(path: Path, side: int, white: float | None, channels: int) -> Pixels:
    """Read an image and resize its shorter side to `side` pixels. Raises ImageError.

    Args:
        white: the value of white if channels have more than 8 bits; see `images.read_photo`.
    """
    if is_photo(path, channels):
        photo = read_resized(path, side, white)
        image = photo.image.convert("L") if channels == 1 else photo.image
        image_HWC = np.asarray(image)
        return Pixels(
            image_HWC[..., None] if channels == 1 else image_HWC, photo.transparent, photo.deep
        )
    values_HWC = load_values(path, channels)
    height, width = values_HWC.shape[:2]
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise ImageError(
            path,
            f"it has {width}x{height} pixels, and may be at most {MAX_ASPECT} times as long as wide",
        )
    deep = values_HWC.dtype != np.uint8
    scaled_HWC = _scale(values_HWC, white or WHITE_16) if deep else np.asarray(values_HWC)
    return Pixels(resize_channels(set_channels(scaled_HWC, channels), side), deep=deep)


def _scale(values_HWC: np.ndarray, white: float) -> np.ndarray:
    """Scale values from 0 to `white` to uint8."""
    clipped_HWC = np.clip(values_HWC.astype(np.float64), 0, white)
    scaled_HWC: np.ndarray = np.rint(clipped_HWC * (255 / white)).astype(np.uint8)
    return scaled_HWC


def find_extremes(path: Path, channels: int) -> Extremes | None:
    """Like `ranges.find_extremes`, for any supported file."""
    if is_photo(path, channels):
        return find_photo_extremes(path)
    try:
        values_HWC = load_values(path, channels)
    except ImageError:  # reported when the image is read
        return None
    lowest, highest = float(values_HWC.min()), float(values_HWC.max())
    return Extremes(path, lowest, highest, values_HWC.dtype.kind == "f", False)


def load_values(path: Path, channels: int) -> np.ndarray:
    """Read the values of a file as (H, W, C). C is `channels`, or 1 if `channels` is 3.

    Raises ImageError.
    """
    is_array = path.suffix.lower() == ARRAY_ENDING
    try:
        values = _load_array(path) if is_array else _load_bands(path)
    except ImageError:
        raise
    except Exception as error:  # untrusted bytes can raise anything
        words = f"it cannot be read ({first_line(error)})"
        reason = words if is_array else images.describe_problem(path, error)
        raise ImageError(path, reason) from error
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or not values.size:
        raise ImageError(path, f"it has the shape {values.shape}, not (height, width, channels)")
    if values.dtype.kind not in "uif":
        raise ImageError(path, f"it holds values of type {values.dtype}, not numbers")
    came = values.shape[2]
    if came != channels and (came, channels) != (1, 3):
        turned = ": save it as (height, width, channels)" if values.shape[0] == channels else ""
        raise ImageError(path, f"it has {came} channels, and channels is {channels}{turned}")
    return values


def _load_array(path: Path) -> np.ndarray:
    array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def _load_bands(path: Path) -> np.ndarray:
    """Return the samples of each pixel, or the pages of a file with several, as channels."""
    try:
        with images.open_image(path) as image:
            pages = [np.asarray(page) for page in ImageSequence.Iterator(image)]
    except UnidentifiedImageError:
        if path.suffix.lower() not in (".tif", ".tiff"):
            raise
        return _load_tiff(path)
    return pages[0] if len(pages) == 1 else np.stack(pages, axis=2)


def _load_tiff(path: Path) -> np.ndarray:
    """Read a TIFF file with more samples per pixel than Pillow supports. Channels are moved to the end."""
    try:
        import tifffile
    except ImportError as error:
        raise ImageError(
            path,
            "it is no TIFF file that Pillow reads (more than four samples a pixel need the package "
            "tifffile: pip install 'resnest-bench[tiff]')",
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            values: np.ndarray = series.asarray()
    if values.ndim == 3 and not series.axes.endswith(("S", "C")):
        return np.moveaxis(values, 0, 2)
    return values
