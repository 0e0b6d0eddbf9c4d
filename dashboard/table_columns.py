"""Headings, units and number formats of the tables' columns, from their names."""

from typing import Any

import pandas as pd
import streamlit as st

from resnest_bench.records.cell_metrics import CELL_METRICS
from resnest_bench.records.metrics import METRICS

# (ending of the column's name, unit in the heading, number format)
BY_ENDING = (
    ("_percent", "%", "%.2f"),
    ("_points", "points", "%+.2f"),
    ("_ms", "ms", "%.3f"),
    ("_seconds", "s", "%.1f"),
    ("_mib", "MiB", "%.0f"),
    ("_images_per_second", "images/s", "%.0f"),
    ("_ratio", "", "%.3f"),
    ("_probability", "", "%.2f"),
)
UNIT_FORMATS = {
    "fraction": "percent",
    "ratio": "percent",
    "bytes": "bytes",
    "ms": "%.3f",
    "s": "%.1f",
    "nats": "%.4f",
    "kappa": "%.3f",
    "score": "%.4f",
    "images/s": "%.0f",
    "parameters": "localized",
    "multiply-accumulates": "localized",
    "elements": "localized",
}
LONG_TEXT = 40
BARS = {"test_accuracy", "train_accuracy", "validation_accuracy"}


def config(frame: pd.DataFrame, labels: dict[str, str]) -> dict[str, Any]:
    """streamlit's column_config for `frame`; `labels` are headings that the page knows better."""
    return {name: _column(frame[name], labels.get(name)) for name in frame.columns}


def _column(values: pd.Series, label: str | None) -> Any:
    name = str(values.name)
    metric = METRICS.get(name) or CELL_METRICS.get(name)
    if metric and name in BARS:
        return st.column_config.ProgressColumn(
            label or metric.label, min_value=0.0, max_value=1.0, format="percent"
        )
    if pd.api.types.is_bool_dtype(values):
        return st.column_config.CheckboxColumn(label or _words(name))
    if not pd.api.types.is_numeric_dtype(values):
        long = values.dropna().astype(str).str.len().max() > LONG_TEXT
        return st.column_config.Column(label or _words(name), width="large" if long else None)
    if metric:
        said = metric.unit in ("fraction", "ratio", "bytes", "kappa", "score", metric.label.lower())
        unit = "" if said else f" ({metric.unit})"
        return st.column_config.NumberColumn(
            label or metric.label + unit, format=UNIT_FORMATS.get(metric.unit)
        )
    for ending, unit, number in BY_ENDING:
        if name.endswith(ending):
            text = label or f"{_words(name.removesuffix(ending))}{f' ({unit})' if unit else ''}"
            return st.column_config.NumberColumn(text, format=number)
    whole = pd.api.types.is_integer_dtype(values)
    return st.column_config.NumberColumn(
        label or _words(name), format="localized" if whole else "%.4g"
    )


def _words(name: str) -> str:
    return name.replace("_", " ")
