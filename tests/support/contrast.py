"""Contrast by WCAG 2.1, section 1.4.3, of colours written as '#RRGGBB' or '#RGB'."""

import numpy as np


def linear(colour: str) -> np.ndarray:
    """Linear sRGB, from 0 to 1."""
    digits = colour.lstrip("#")
    if len(digits) == 3:
        digits = "".join(2 * digit for digit in digits)
    share = np.array([int(digits[k : k + 2], 16) for k in (0, 2, 4)]) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    low, high = sorted(float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (one, other))
    return (high + 0.05) / (low + 0.05)
