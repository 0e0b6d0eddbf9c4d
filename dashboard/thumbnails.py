"""Small pictures of test images, where the prepared data is on this machine."""

import io

import numpy as np
import streamlit as st
from PIL import Image

import texts

SIDE = 72
# The whole wraps on a narrow screen; a picture keeps its size.
WIDTH = 84


def show(pixels: list[np.ndarray], alternatives: list[str], captions: list[str]) -> None:
    """Images (H, W, C) as uint8, each with a caption and a text for those who don't see it."""
    st.image(
        [thumbnail(pixels_HWC) for pixels_HWC in pixels],
        caption=[texts.plain(text) for text in captions],
        alt=alternatives,
        width=WIDTH,
    )


def thumbnail(pixels_HWC: np.ndarray) -> bytes:
    """A PNG of SIDE x SIDE pixels at most; small images are enlarged pixel by pixel."""
    channels = pixels_HWC.shape[2]
    # Of other than one or three channels the first one stands for all.
    shown = pixels_HWC if channels == 3 else pixels_HWC[:, :, 0]
    picture = Image.fromarray(np.ascontiguousarray(shown))
    factor = SIDE / max(picture.size)
    size = [max(1, round(side * factor)) for side in picture.size]
    method = Image.Resampling.NEAREST if factor > 1 else Image.Resampling.LANCZOS
    buffer = io.BytesIO()
    picture.resize((size[0], size[1]), method).save(buffer, format="PNG")
    return buffer.getvalue()
