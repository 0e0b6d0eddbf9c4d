"""Contrast by WCAG 2.1, distance by CIEDE2000 under Machado's colour-vision deficiencies, from formulas."""

from itertools import combinations

import numpy as np
import pytest

from resnest_bench.charts import palette
from resnest_bench.charts.coverage import COLOURS
from support.contrast import contrast, linear

# Machado, Oliveira and Fernandes (2009), severity 1, for linear sRGB.
VISIONS = {
    "usual": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
# sRGB to XYZ, IEC 61966-2-1, D65.
XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
PAGES = [palette.LIGHT_PAGE, *palette.DARK_PAGES]


def lab(rgb):
    t = np.clip(rgb, 0, 1) @ XYZ.T / XYZ.sum(axis=1)
    f = np.where(t > 216 / 24389, np.cbrt(t), (24389 / 27 * t + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def ciede2000(one, other):
    """Sharma, Wu and Dalal (2005), their equations 2 to 22."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    seventh = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    g = 0.5 * (1 - np.sqrt(seventh / (seventh + 25**7)))
    a1, a2 = a1 * (1 + g), a2 * (1 + g)
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = (h2 - h1 + 180) % 360 - 180
    dh = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn) / 2)
    lightness, chroma, hue = (l1 + l2) / 2, (c1 + c2) / 2, h1 + turn / 2
    t = 1 - 0.17 * np.cos(np.radians(hue - 30)) + 0.24 * np.cos(np.radians(2 * hue))
    t += 0.32 * np.cos(np.radians(3 * hue + 6)) - 0.2 * np.cos(np.radians(4 * hue - 63))
    sl = 1 + 0.015 * (lightness - 50) ** 2 / np.sqrt(20 + (lightness - 50) ** 2)
    sc, sh = 1 + 0.045 * chroma, 1 + 0.015 * chroma * t
    angle = 60 * np.exp(-(((hue % 360 - 275) / 25) ** 2))
    rt = -2 * np.sqrt(chroma**7 / (chroma**7 + 25**7)) * np.sin(np.radians(angle))
    dl, dc = (l2 - l1) / sl, (c2 - c1) / sc
    return np.sqrt(dl**2 + dc**2 + (dh / sh) ** 2 + rt * dc * dh / sh)


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [  # pairs 1, 7 and 17 of the paper's table 1
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
    ],
)
def test_the_formula_gives_the_published_distances(one, other, distance):
    assert ciede2000(one, other) == pytest.approx(distance, abs=1e-4)


def test_the_formula_gives_the_known_contrasts():
    assert contrast("#FFFFFF", "#000000") == pytest.approx(21)
    assert contrast("#FFFFFF", "#767676") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("colour", [*palette.PALETTE, palette.GREY, *palette.VERDICTS])
def test_marks_can_be_seen_on_every_page(colour, page):
    assert contrast(colour, page) >= 3


def test_texts_can_be_read():
    assert contrast(palette.TEXT_GREY, palette.LIGHT_PAGE) >= 4.5
    assert contrast(palette.DARK_TEXT, palette.LIGHT_PAGE) >= 4.5
    assert all(contrast(palette.LIGHT_TEXT, page) >= 4.5 for page in palette.DARK_PAGES)
    assert all(contrast(palette.CELL_TEXT, fill) >= 4.5 for fill in palette.DIVERGING)


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize(
    "colours",
    [palette.PALETTE, [*COLOURS.values()], palette.VERDICTS],
    ids=["all", "coverage", "verdicts"],
)
def test_any_two_colours_stay_apart(colours, vision):
    seen = [lab(linear(colour) @ VISIONS[vision].T) for colour in colours]
    assert min(ciede2000(a, b) for a, b in combinations(seen, 2)) >= 18
