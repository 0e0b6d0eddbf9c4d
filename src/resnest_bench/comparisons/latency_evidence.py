"""Measurements of latencies for the tests of claims, over the rounds that networks share."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

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
        self, runs: RowGroups, cells: RowGroups, floors: Mapping[FloorKey, NoiseFloor | str]
    ) -> None:
        self._runs, self._cells, self._floors = runs, cells, floors

    def measure(
        self, experiment: Experiment | None, names: Sequence[Side], batch_size: int
    ) -> Measurement:
        """Measure log(ms) of one side, or the log of the ratio of two, over their common rounds."""
        sides = [self._find_latency(experiment, name, batch_size) for name in names]
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
            noise=self._compare_with_noise(experiment, devices, values) if len(sides) > 1 else "",
        )

    def _compare_with_noise(
        self, experiment: Experiment | None, devices: list[str], logs: np.ndarray
    ) -> str:
        key = (*experiment[1:], *devices) if experiment else ()
        floor = self._floors.get(cast(FloorKey, key))
        if not isinstance(floor, NoiseFloor):
            return f"the noise floor is unknown, since {floor or NO_REFERENCE}"
        return floor.describe_difference(math.exp(logs.mean()), 1.0, len(logs))

    def _find_latency(self, experiment: Experiment | None, side: Side, batch_size: int) -> _Side:
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
            and is_known(cell["p50_ms"])
            and cell["p50_ms"] > 0
            and cell["batch_size"] == batch_size
            and describe_setting(cell) == describe_setting(first)
        ]
        problems = latency_status(runs, [cell for cell in timed if _is_in_mode(cell, mode)])
        notes = tuple(f"{side}: {problem}" for problem in problems)
        if first is None or not comparable:
            reasons = f" ({'; '.join(notes)})" if notes else ""
            raise NotTestable(f"{side} has no latency at batch size {batch_size}{reasons}")
        return _Side(
            by_round={cell["seed"]: cell["p50_ms"] for cell in comparable},
            devices={number: join_devices([row]) for number, row in counted.items()},
            setting=describe_setting(first),
            stale=any_stale(runs),
            notes=notes,
        )


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
