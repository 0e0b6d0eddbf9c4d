"""Small pictures of test images, where the prepared data is on this machine."""

import io

import numpy as np
import streamlit as st
from PIL import Image

import data
import texts
from resnest_bench.data.prepared import PreparedDataset
from resnest_bench.report.head_to_head import open_images

SIDE = 72
PER_ROW = 12
# The whole wraps on a narrow screen; a picture keeps its size.
WIDTH = 84


def open_test_images(loaded: data.Loaded, dataset: str, fingerprint: str) -> PreparedDataset | None:
    """The prepared data of these test images; None where it isn't here."""
    return open_images(loaded.results, dataset, fingerprint)


def show(prepared: PreparedDataset, images: list[int], captions: list[str]) -> None:
    """The test images by number, each with a caption."""
    pictures = [thumbnail(prepared.test.image(index)) for index in images]
    st.image(
        pictures,
        caption=[texts.plain(text) for text in captions],
        alt=[f"test image {index}: {text}" for index, text in zip(images, captions, strict=True)],
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
