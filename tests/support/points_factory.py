"""Rows of `points_frame`, made by hand."""

from typing import Any

import pandas as pd

from resnest_bench.tables.points import COLUMNS


def points(*rows: tuple[str, float | None, float | None, dict[str, Any]]) -> pd.DataFrame:
    """(variant, x, y) and more by name."""
    usual = {
        "family": "resnest",
        "setting": "",
        "num_params": 1e6,
        "device": "CPU X",
        "measured_in": "fp32",
        "x_low": None,
        "x_high": None,
        "x_about": "",
        "x_n": 1,
        "y_low": None,
        "y_high": None,
        "y_about": "",
        "y_n": 1,
        "memory_mib": 1.0,
        "noisy": False,
        "stale": False,
        "front": False,
        "front_probability": None,
        "front_reason": "",
        "status": "ok",
    }
    frame = pd.DataFrame(
        [{**usual, "variant": v, "x": x, "y": y, **more} for v, x, y, more in rows], columns=COLUMNS
    )
    return frame.astype(dict.fromkeys(("x", "y", "x_low", "x_high", "y_low", "y_high"), float))
