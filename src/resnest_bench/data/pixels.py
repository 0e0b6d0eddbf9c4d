"""Convert images in arrays to the channels and the size of a dataset."""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from resnest_bench.data.images import resize_shorter


def set_channels(image_HWC: np.ndarray, channels: int) -> np.ndarray:
    """Convert uint8 (H, W) or (H, W, C) to (H, W, channels): gray is repeated, RGB becomes its luma.

    Raises ValueError for other conversions.
    """
    if image_HWC.ndim == 2:
        image_HWC = image_HWC[..., None]
    came = image_HWC.shape[2]
    if came == channels:
        return image_HWC
    if came == 1 and channels == 3:
        return np.repeat(image_HWC, 3, axis=2)
    if came == 3 and channels == 1:
        # ITU-R 601-2, as Pillow computes it.
        return np.asarray(Image.fromarray(image_HWC).convert("L"))[..., None]
    raise ValueError(f"it has {came} channels, not {channels}")


def resize_channels(image_HWC: np.ndarray, side: int) -> np.ndarray:
    """Resize the shorter side of uint8 (H, W, C) to `side` pixels; bilinear, antialiased."""
    if min(image_HWC.shape[:2]) == side:
        return image_HWC
    if image_HWC.shape[2] == 3:
        return np.asarray(resize_shorter(Image.fromarray(image_HWC), side))
    planes = [
        np.asarray(resize_shorter(Image.fromarray(np.ascontiguousarray(plane_HW)), side))
        for plane_HW in np.moveaxis(image_HWC, 2, 0)
    ]
    return np.stack(planes, axis=2)


def fit_arrays(
    images: np.ndarray, labels_N: np.ndarray, side: int, channels: int
) -> Iterator[tuple[np.ndarray, int]]:
    """Yield square images (N, H, H) or (N, H, H, C) as (side, side, channels), with class indices."""
    for image, label in zip(images, labels_N, strict=True):
        yield resize_channels(set_channels(image, channels), side), int(label)
