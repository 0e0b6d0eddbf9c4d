"""Read an image file as RGB pixels."""

import functools
import io
import re
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, UnidentifiedImageError

from resnest_bench.data.contents import describe_content
from resnest_bench.errors import UserError

# No other decoder is used, whatever a file holds: Pillow's decoder for PostScript runs Ghostscript.
FORMATS = (
    "AVIF",
    "BMP",
    "GIF",
    "JPEG",
    "JPEG2000",
    "PNG",
    "PPM",
    "QOI",
    "SGI",
    "SUN",
    "TIFF",
    "WEBP",
)
# TGA has no signature, so it is recognised by the extension.
TGA_EXTENSIONS = frozenset({".icb", ".tga", ".vda", ".vst"})
EXTENSIONS = TGA_EXTENSIONS | {
    ".apng",
    ".avif",
    ".avifs",
    ".bmp",
    ".bw",
    ".gif",
    ".j2c",
    ".j2k",
    ".jfif",
    ".jp2",
    ".jpc",
    ".jpe",
    ".jpeg",
    ".jpf",
    ".jpg",
    ".jpx",
    ".pbm",
    ".pfm",
    ".pgm",
    ".png",
    ".pnm",
    ".ppm",
    ".qoi",
    ".ras",
    ".rgb",
    ".rgba",
    ".sgi",
    ".tif",
    ".tiff",
    ".webp",
}
# These decoders scale any depth to 16 bits.
SCALED_BY_DECODER = ("PPM", "JPEG2000")
ORIENTATION_TAG = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
WHITE_16 = 65535.0
MAX_ASPECT = 100
MAX_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 0)
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")

# Don't warn about large photos below Pillow's limit.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class ImageError(UserError):
    """An image file that can't be used; `reason` says why, without the name of the file."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} must be a complete image, but {reason}: repair it, or remove it from the data"
        )
        self.reason = reason


@dataclass(frozen=True)
class Header:
    """The properties of an image that are known before its pixels are read.

    Attributes:
        size: (width, height), before it is rotated.
        deep: more than 8 bits per channel, in a range that the file doesn't state.
        deep_color: deep, and Pillow reads only the upper 8 bits of each channel.
    """

    size: tuple[int, int]
    deep: bool
    deep_color: bool


@dataclass(frozen=True)
class Photo:
    """An image as RGB with 8 bits per channel, and how it was converted.

    Attributes:
        transparent: it had transparent pixels, which were put on white.
        deep: it had more than 8 bits per channel.
    """

    image: Image.Image
    transparent: bool
    deep: bool


@functools.cache
def known_formats() -> tuple[str, ...]:
    """Return those of FORMATS that this Pillow supports."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def open_image(path: Path, file: IO[bytes] | None = None) -> Image.Image:
    """Call `Image.open` with only the supported formats, on `file` if given."""
    formats = ("TGA",) if path.suffix.lower() in TGA_EXTENSIONS else ()
    return Image.open(file or path, formats=(*known_formats(), *formats))


def identify(path: Path) -> str:
    """Return the format of an image file, whatever its extension is; '' if it isn't a supported image."""
    try:
        with open_image(path) as image:
            return image.format or ""
    except Exception:  # untrusted bytes can raise anything; a file need not be an image here
        return ""


def read_header(path: Path) -> Header:
    """Read only the header. Raises ImageError."""
    try:
        with open_image(path) as image:
            color = _is_deep_color(image)
            return Header(image.size, color or _is_deep(image), color)
    except Exception as error:
        raise ImageError(path, describe_problem(path, error)) from error


def _is_deep(image: Image.Image) -> bool:
    return image.mode[0] in "IF" and image.format not in SCALED_BY_DECODER


def _is_deep_color(image: Image.Image) -> bool:
    # Pillow has no mode for it, but the arguments of the tiles show the file's depth.
    tiles = getattr(image, "tile", None) or []
    return image.mode[0] not in "IF" and any(";16" in str(tile[3]) for tile in tiles)


def read_photo(path: Path, white: float | None = None) -> Photo:
    """Decode `path` as RGB, rotated by its orientation tag; of an animation, the first frame.

    Raises ImageError if the file is damaged or truncated.

    Args:
        white: the value of white if channels have more than 8 bits. None: 65535; floating-point images
            then raise an error.
    """
    try:
        image, deep_color = load_image(path)
        deep, transparent = deep_color or _is_deep(image), is_transparent(image)
        turn = TURNS.get(read_orientation(image))
        scaled_by_decoder = image.format in SCALED_BY_DECODER
        image = to_rgb(image, WHITE_16 if scaled_by_decoder and image.mode[0] == "I" else white)
        return Photo(image.transpose(turn) if turn is not None else image, transparent, deep)
    except Exception as error:
        # Decoders raise all kinds of errors for damaged files: OSError, SyntaxError, struct.error...
        raise ImageError(path, describe_problem(path, error)) from error


def load_image(path: Path) -> tuple[Image.Image, bool]:
    """Load an image in any mode, and return whether it is `Header.deep_color`."""
    try:
        return _load(path)
    except Exception:
        # The metadata of a PNG may be damaged although its pixels are not.
        pixels = _keep_pixel_chunks(path)
        if pixels is None:
            raise
    return _load(path, io.BytesIO(pixels))


def _load(path: Path, file: IO[bytes] | None = None) -> tuple[Image.Image, bool]:
    with open_image(path, file) as image:
        deep_color = _is_deep_color(image)  # unknown after loading
        image.load()
        return image, deep_color


def _keep_pixel_chunks(path: Path) -> bytes | None:
    """Return a PNG without its metadata; None for other files or if there is no metadata."""
    content = path.read_bytes()
    if not content.startswith(PNG_SIGNATURE):
        return None
    chunks, position = [PNG_SIGNATURE], len(PNG_SIGNATURE)
    while position + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        if kind in PIXEL_CHUNKS:
            chunks.append(content[position : position + 12 + length])
        position += 12 + length
    pixels = b"".join(chunks)
    return pixels if len(pixels) < len(content) else None


def read_orientation(image: Image.Image) -> int:
    """Return the orientation, 1 to 8; 1 without a valid tag. Other tags may be damaged."""
    try:
        value = image.getexif().get(ORIENTATION_TAG)
    except Exception:
        value = None
    if value is None:
        # Pillow gives up at the first damaged tag, but the orientation may be readable.
        value = find_orientation(image.info.get("exif") or b"")
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def find_orientation(exif: bytes) -> int:
    """Return the orientation in a raw EXIF block without reading other tags; 1 if there is none."""
    data = re.sub(b"^(Exif\0\0){1,2}", b"", exif)
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 10:
        return 1
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    if start + 2 > len(data):
        return 1
    (num,) = struct.unpack_from(f"{order}H", data, start)
    # An entry is tag, type, count and four bytes of value, of which a short uses two.
    for place in range(start + 2, min(start + 2 + 12 * num, len(data) - 11), 12):
        tag, kind, count, value = struct.unpack_from(f"{order}HHIH", data, place)
        if (tag, kind, count) == (ORIENTATION_TAG, 3, 1):
            return int(value)
    return 1


def is_transparent(image: Image.Image) -> bool:
    """Return whether any pixel of a loaded image is not opaque."""
    if not image.has_transparency_data:
        return False
    alpha_HW = np.asarray(image.convert("RGBA").getchannel("A"))
    return bool(alpha_HW.min() < 255)


def to_rgb(image: Image.Image, white: float | None = None) -> Image.Image:
    """Convert any PIL mode to RGB with 8 bits per channel; transparent pixels are put on white.

    Raises ValueError for floating-point pixels without `white`, the value that becomes white.
    """
    if image.mode[0] in "IF":
        return Image.fromarray(scale_values(image, white)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        backdrop = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(backdrop, image).convert("RGB")
    return image.convert("RGB")


def scale_values(image: Image.Image, white: float | None) -> np.ndarray:
    """Scale gray values from 0 to `white` to (H, W) uint8. PIL's own conversion clips at 255."""
    if image.mode == "F" and white is None:
        raise ValueError("floating-point pixels have no fixed range (set max_value:)")
    white = white or WHITE_16
    values_HW = np.nan_to_num(np.asarray(image))
    scaled_HW: np.ndarray = np.rint(np.clip(values_HW, 0, white) / (white / 255)).astype(np.uint8)
    return scaled_HW


def read_resized(path: Path, side: int, white: float | None = None) -> Photo:
    """Read a photo and resize it by `resize_shorter`. Also raises ImageError for an extreme aspect ratio."""
    photo = read_photo(path, white)
    shorter, longer = sorted(photo.image.size)
    if longer > MAX_ASPECT * shorter:
        # Else a file of a few hundred bytes could use up all memory.
        raise ImageError(
            path,
            f"it has {photo.image.width}x{photo.image.height} pixels, and may be at most "
            f"{MAX_ASPECT} times as long as wide",
        )
    return Photo(resize_shorter(photo.image, side), photo.transparent, photo.deep)


def resize_shorter(image: Image.Image, side: int) -> Image.Image:
    """Resize the shorter side to `side` pixels, keeping the aspect ratio; bilinear, antialiased."""
    width, height = image.size
    shorter = min(width, height)
    if shorter == side:
        return image
    size = (max(side, width * side // shorter), max(side, height * side // shorter))
    return image.resize(size, Image.Resampling.BILINEAR)


def describe_problem(path: Path, error: Exception) -> str:
    """Return why `path` can't be read, as the end of a sentence; if known, what it holds instead."""
    if isinstance(error, Image.DecompressionBombError):
        pixels = int("".join(re.findall(r"\((\d+) pixels", str(error))) or 0)
        return f"it has {pixels:,} pixels, more than the limit of {MAX_PIXELS:,} (scale it down)"
    if isinstance(error, OSError) and error.errno is not None:
        return f"it cannot be opened ({error.strerror})"
    content = describe_content(path)
    if content:
        return f"it is {content}"
    if isinstance(error, UnidentifiedImageError):
        return "it is not an image of a supported format"
    words = str(error).replace(repr(str(path)), "it") or type(error).__name__
    return f"it cannot be read ({words})"
