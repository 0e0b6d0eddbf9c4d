"""Measurements of latencies for the tests of claims, over the rounds that networks share."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np

from resnest_bench.comparisons.measurement import Measurement, NotTestable, estimate_over_rounds
from resnest_bench.formats import is_known
from resnest_bench.paths import Experiment
from resnest_bench.specs.claims import Side, TrainedRow
from resnest_bench.specs.deploy import find_cell
from resnest_bench.tables.noise import NO_REFERENCE, FloorKey, NoiseFloor
from resnest_bench.tables.selection import RowGroups
from resnest_bench.tables.values import (
    Row,
    any_stale,
    counted_rows,
    describe_setting,
    join_devices,
    latency_status,
)


class _Quantity(NamedTuple):
    """A measured quantity: its column of `cells`, whose noise floor it has, and words for more and less of it.

    Values are divided by `divisor`.
    """

    columns: tuple[str, ...]
    floor: str | None
    words: tuple[str, str]
    divisor: float = 1.0


# A cost is a time, multiplied by a price.
QUANTITIES = {
    "latency": _Quantity(("p50_ms",), "latency", ("slower", "faster")),
    "energy": _Quantity(("energy_joules_per_image",), "energy", ("more", "less")),
    "cost": _Quantity(("cost_per_million_images",), "latency", ("more", "less")),
    "memory": _Quantity(("resident_bytes", "peak_memory_bytes"), None, ("more", "less"), 2**20),
}


@dataclass(frozen=True)
class _Side:
    """One variant in one experiment: its values by round, and their origin."""

    by_round: Mapping[int, float]
    devices: Mapping[int, str | None]
    setting: str
    stale: bool
    notes: tuple[str, ...]


class LatencyEvidence:
    """The rows of latencies of a study, with the noise floor of each device. It raises NotTestable."""

    def __init__(
        self,
        runs: RowGroups,
        cells: RowGroups,
        floors: Mapping[str, Mapping[FloorKey, NoiseFloor | str]],
    ) -> None:
        self._runs, self._cells, self._floors = runs, cells, floors

    def measure(
        self,
        experiment: Experiment | None,
        names: Sequence[Side],
        batch_size: int,
        metric: str = "latency",
    ) -> Measurement:
        """Measure the log of one side, or of the ratio of two, over their common rounds; `metric` is in QUANTITIES."""
        sides = [self._find_latency(experiment, name, batch_size, metric) for name in names]
        settings = list(dict.fromkeys(side.setting for side in sides))
        # Sides that name a mode are there to be compared in their own settings.
        named = any(isinstance(name, TrainedRow) for name in names)
        if len(settings) > 1 and not named:
            raise NotTestable(f"measured in different settings: {' and '.join(settings)}")
        shared = set.intersection(*(set(side.by_round) for side in sides))
        if not shared:
            raise NotTestable("no common round")
        rounds = sorted(n for n in shared if len({side.devices[n] for side in sides}) == 1)
        devices = list(dict.fromkeys(on for n in rounds if (on := sides[0].devices[n])))
        if not rounds or len(devices) > 1:
            raise NotTestable("measured on several devices: such latencies can't be compared")
        logs = np.array([[math.log(side.by_round[n]) for n in rounds] for side in sides])
        values = logs[0] - logs[1] if len(sides) > 1 else logs[0]
        return Measurement(
            estimate_over_rounds(values),
            tuple(rounds),
            tuple(values),
            stale=any(side.stale for side in sides),
            device=devices[0] if devices else None,
            notes=tuple(note for side in sides for note in side.notes),
            noise=self._compare_with_noise(experiment, devices, values, QUANTITIES[metric])
            if len(sides) > 1
            else "",
        )

    def _compare_with_noise(
        self,
        experiment: Experiment | None,
        devices: list[str],
        logs: np.ndarray,
        quantity: _Quantity,
    ) -> str:
        if quantity.floor is None:
            return ""
        key = (*experiment[1:], *devices) if experiment else ()
        floor = self._floors[quantity.floor].get(cast(FloorKey, key))
        if not isinstance(floor, NoiseFloor):
            return f"the noise floor is unknown, since {floor or NO_REFERENCE}"
        return floor.describe_difference(math.exp(logs.mean()), 1.0, len(logs), quantity.words)

    def _find_latency(
        self, experiment: Experiment | None, side: Side, batch_size: int, metric: str
    ) -> _Side:
        quantity = QUANTITIES[metric]
        name = side.variant if isinstance(side, TrainedRow) else side
        mode = side.mode if isinstance(side, TrainedRow) else None
        runs, cells = (rows.select(experiment, name) for rows in (self._runs, self._cells))
        if not runs:
            raise NotTestable(f"this study does not time {name}")
        counted = {row["seed"]: row for row in counted_rows(runs)}
        timed = [cell for cell in cells if cell["seed"] in counted]
        first = _find_first(timed, mode)
        comparable = [
            cell
            for cell in timed
            if first
            and _find_value(cell, quantity)
            and cell["batch_size"] == batch_size
            and describe_setting(cell) == describe_setting(first)
        ]
        problems = latency_status(runs, [cell for cell in timed if _is_in_mode(cell, mode)])
        notes = tuple(f"{side}: {problem}" for problem in problems)
        if first is None or not comparable:
            gaps = [] if metric in ("latency", "cost") else _list_gaps(timed)
            why = "; ".join([*notes, *gaps])
            reasons = f" ({why})" if why else ""
            raise NotTestable(f"{side} has no {metric} at batch size {batch_size}{reasons}")
        return _Side(
            by_round={cell["seed"]: _find_value(cell, quantity) for cell in comparable},
            devices={number: join_devices([row]) for number, row in counted.items()},
            setting=describe_setting(first),
            stale=any_stale(runs),
            notes=notes,
        )


def _find_value(cell: Row, quantity: _Quantity) -> float:
    """The first known value in the unit for readers; 0 without one."""
    values = (cell[name] for name in quantity.columns if is_known(cell[name]))
    return float(next(values, 0.0)) / quantity.divisor


def _list_gaps(cells: Sequence[Row]) -> list[str]:
    gaps = (cell["consumption_gap"] for cell in cells)
    return list(dict.fromkeys(gap for gap in gaps if is_known(gap) and gap))


def _is_in_mode(cell: Row, mode: str | None) -> bool:
    """Whether a cell was measured in a deployment mode; every cell for None."""
    return mode is None or (cell["precision"], cell["mode"]) == find_cell(mode)


def _find_first(cells: Sequence[Row], mode: str | None) -> Row | None:
    """The cell whose setting counts: the primary one, or the first one of a deployment mode."""
    for cell in cells:
        primary = is_known(cell["primary"]) and cell["primary"]
        if (mode is None and primary) or (mode and _is_in_mode(cell, mode) and cell["available"]):
            return cell
    return None
