"""The cost of a million images: the time that they take, at the price per hour of the config.

A price is no measurement, so no record has it: a new price changes the tables and repeats nothing.
"""

import pandas as pd

from resnest_bench.specs import StudySpec

MS_PER_HOUR = 3.6e6
MILLION = 1e6
COLUMN = "cost_per_million_images"


def find_price(study: StudySpec, protocol: str) -> float | None:
    """Return the price of an hour on the device of a protocol; None if the config has none.

    One number is that of the study's own device: what another device has measured needs a price of its own.
    """
    price = study.tables.price_per_hour
    if price is None and study.adaptive is not None:
        price = study.adaptive.price_per_hour
    if isinstance(price, dict):
        return price.get(protocol)
    is_own = any(block.protocol == protocol for block in study.latency)
    return price if is_own else None


def add_costs(study: StudySpec, runs: pd.DataFrame, cells: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return runs and cells with the column `cost_per_million_images`; NaN without a price.

    For a cell it is the median time of a call, divided by its images, times the price. For a run it is that of
    the batch size with the highest throughput.
    """
    prices = {name: find_price(study, name) for name in {*runs["recipe"], *cells["recipe"]}}
    price = runs["recipe"].map(prices).astype("float64")
    per_image_ms = 1e3 / runs["throughput_images_per_second"]
    costs = price * per_image_ms / MS_PER_HOUR * MILLION
    cell_price = cells["recipe"].map(prices).astype("float64")
    cell_costs = cell_price * cells["ms_per_image"] / MS_PER_HOUR * MILLION
    timed = runs["kind"].eq("latency")
    return {
        "runs": runs.assign(**{COLUMN: costs.where(timed)}),
        "cells": cells.assign(**{COLUMN: cell_costs}),
    }
