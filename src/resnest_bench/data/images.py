"""One image file as RGB pixels."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from resnest_bench.errors import UserError

EXTENSIONS = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
ORIENTATION_TAG = 0x0112
MAX_ASPECT = 100


def read_rgb(path: Path) -> Image.Image:
    """Decode the whole of `path` as RGB, turned as its EXIF orientation says.

    Transparent pixels are shown on white; 16-bit gray is scaled to 8 bits; of an animation, the
    first frame is taken. Raises UserError that names the file where it is broken or cut off.
    """
    try:
        with Image.open(path) as image:
            image.load()
            return to_rgb(ImageOps.exif_transpose(image))
    except Exception as error:
        # Decoders fail on broken bytes in any way they like: OSError, SyntaxError, struct.error...
        raise _broken(path, error) from error


def oriented_size(path: Path) -> tuple[int, int]:
    """(width, height) as `read_rgb` gives it, from the header alone. Raises UserError."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(ORIENTATION_TAG, 1) in (5, 6, 7, 8)
    except Exception as error:
        raise _broken(path, error) from error
    return (height, width) if turned else (width, height)


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode of PIL as RGB, 8 bits a channel. Raises ValueError for floating-point pixels."""
    if image.mode == "F":
        raise ValueError("floating-point pixels have no fixed range")
    if image.mode.startswith("I"):
        # PIL's own conversion clips at 255; 65535 / 257 is 255.
        gray_HW = np.rint(np.clip(np.asarray(image), 0, 65535) / 257).astype(np.uint8)
        return Image.fromarray(gray_HW).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def read_resized(path: Path, side: int) -> Image.Image:
    """`read_rgb`, scaled by `resize_shorter`. Raises UserError for an image that is a mere line."""
    image = read_rgb(path)
    shorter, longer = sorted(image.size)
    if longer > MAX_ASPECT * shorter:
        # A file of some hundred bytes could take all of the memory.
        raise UserError(
            f"{path} must be at most {MAX_ASPECT} times as long as wide, but has "
            f"{image.width}x{image.height} pixels: crop it or take it out"
        )
    return resize_shorter(image, side)


def resize_shorter(image: Image.Image, side: int) -> Image.Image:
    """Scale so that the shorter side is `side` pixels, the aspect kept; bilinear, antialiased."""
    width, height = image.size
    shorter = min(width, height)
    if shorter == side:
        return image
    size = (max(side, width * side // shorter), max(side, height * side // shorter))
    return image.resize(size, Image.Resampling.BILINEAR)


def _broken(path: Path, error: Exception) -> UserError:
    return UserError(
        f"{path} must be a whole image, but cannot be read: {error}: repair it or take it out"
    )
