"""Small pictures that no two seeds make alike."""

import numpy as np
from PIL import Image


def picture(seed: int, height: int = 32, width: int = 32) -> np.ndarray:
    """(height, width, 3) uint8 of smooth colours, as of a photo: noise of 6x6 pixels, enlarged."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
