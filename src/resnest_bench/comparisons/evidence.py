"""What a study's records say of one variant, or of two: what elementary comparisons rest on.

Everything is on an additive scale: accuracies in percentage points, all else as natural logarithms,
so that a difference is the logarithm of a ratio.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd

from resnest_bench.formats import is_known
from resnest_bench.frames.correctness import build_correctness
from resnest_bench.paths import Experiment, Job
from resnest_bench.specs import ClaimSpec, StudySpec
from resnest_bench.specs.claims import ClaimTest
from resnest_bench.specs.looks import planned_looks, seeds_by_look
from resnest_bench.specs.tables import TableSpec
from resnest_bench.stats.intervals import MeanEstimate, estimate_mean
from resnest_bench.stats.sequential import Looks
from resnest_bench.status.outcomes import Outcome
from resnest_bench.tables.noise import NO_REFERENCE, NoiseFloor, noise_floors
from resnest_bench.tables.selection import Experiments, RowGroups, select
from resnest_bench.tables.values import (
    CELL_COLUMNS,
    RUN_COLUMNS,
    Row,
    any_stale,
    counted_rows,
    describe_setting,
    first_known,
    join_devices,
    latency_status,
    training_status,
)

# Of a training that has ended, well or not.
SETTLED = ("ok", "stale", "failed")
COUNTS = {"params": "num_params", "macs": "num_macs"}


class NotTestable(Exception):  # noqa: N818 - what it says is a finding, not a mistake
    """Why there is nothing to test, as a text for readers."""


@dataclass(frozen=True)
class Measured:
    """A mean, or the mean of a difference, over seeds (or rounds) that all its sides have.

    `error` is that of `estimate_mean`, on the additive scale; its parts are NaN where there is one seed
    alone. `per_seed` holds one value a seed. `exact`: a count, without an error. `same_predictions`: in
    no seed did they differ on any image. `notes` say which seeds or rounds are not in it, and why. `looks`:
    of an adaptive study's training, where the rest is of the last look taken; None: seeds are fixed.
    `noise`: two latencies beside the noise floor of their device, in words.
    """

    error: MeanEstimate
    seeds: tuple[int, ...]
    per_seed: tuple[float, ...]
    num_images: int | None = None
    stale: bool = False
    device: str | None = None
    exact: bool = False
    same_predictions: bool = False
    notes: tuple[str, ...] = ()
    looks: Looks | None = None
    noise: str = ""


@dataclass(frozen=True)
class _Side:
    """One variant in one experiment: values by seed or round, and where they come from."""

    by_round: Mapping[int, float]
    devices: Mapping[int, str | None]
    setting: str
    stale: bool
    notes: tuple[str, ...]


def find_experiments(study: StudySpec, claim: ClaimSpec) -> Experiments:
    """Fill in what a claim leaves out, as `select` does; where no training fits, from fine-tunings."""
    spec = TableSpec(dataset=claim.dataset, recipe=claim.recipe, protocol=claim.protocol)
    chosen = select(study, spec)
    trained = {Experiment("train", block.dataset, block.recipe) for block in study.train}
    if chosen.training not in trained:
        for block in study.finetune:
            fits = claim.recipe is None or claim.recipe in block.recipes
            if fits and claim.dataset in (None, block.dataset):
                recipe = claim.recipe or block.recipes[0]
                return Experiments(Experiment("finetune", block.dataset, recipe), chosen.latency)
    return Experiments(chosen.training, chosen.latency)


class Evidence:
    """A study's rows and records, to be asked for one variant or two after the other.

    `runs` and `cells` are those of `Frames`; `found` holds the outcomes of at least the trainings that
    are asked for. Its methods raise NotTestable.
    """

    def __init__(
        self, study: StudySpec, runs: pd.DataFrame, cells: pd.DataFrame, found: Iterable[Outcome]
    ) -> None:
        self.study = study
        self._runs = RowGroups(runs, RUN_COLUMNS)
        self._cells = RowGroups(cells, CELL_COLUMNS)
        self._floors = noise_floors(runs)
        self._records = {outcome.job: outcome.record for outcome in found if outcome.usable}

    def label(self, dataset: str | None) -> str | None:
        """How the records call a dataset."""
        return self._runs.labels.get(dataset, dataset)

    def measured(self, test: ClaimTest, about: Experiments, names: Sequence[str]) -> Measured:
        """The metric of `test` of one variant, or of the first minus the second."""
        for name in names:
            if name not in self.study.variant_names:
                raise NotTestable(f"{name} is not in this study")
        if test.metric == "accuracy":
            return self._accuracy(about.training, names)
        if test.metric == "latency":
            return self.latency(about.latency, names, test.batch_size)
        logs = [math.log(self.count(test.metric, about, name)) for name in names]
        mean = logs[0] - (logs[1] if len(logs) > 1 else 0.0)
        return Measured(MeanEstimate(mean, 0.0, 0.0, 0), (), (), exact=True)

    def count(self, quantity: str, about: Experiments, name: str) -> int:
        """Parameters or multiply-accumulates of a variant, as its records counted them."""
        rows = [
            *self._runs.select(about.training, name),
            *self._runs.select(about.latency, name),
        ]
        count = first_known(counted_rows(rows), COUNTS[quantity])
        if not count:
            raise NotTestable(f"no record says how many {quantity} {name} has")
        return int(count)

    def _accuracy(self, experiment: Experiment | None, names: Sequence[str]) -> Measured:
        if experiment is None:
            raise NotTestable("this study trains nothing")
        sides = [self._trained(experiment, name) for name in names]
        records = [
            record
            for name, side in zip(names, sides, strict=True)
            for row in side
            if (record := self._records.get(Job(*experiment, name, row["seed"])))
        ]
        try:
            correct = build_correctness(records)
            seeds = correct.common_seeds(names)
            if not seeds:
                raise NotTestable("no seed is in both")
            values = correct.select(names[0]) if len(names) == 1 else correct.differences(*names)
            looks, kept = self._looks(experiment, names, seeds, values)
            seeds, values = tuple(seeds[i] for i in kept), values[kept]
            error = _crossed(values)
        except ValueError as problem:
            raise NotTestable(str(problem)) from None
        return Measured(
            error,
            seeds,
            tuple(100 * values.mean(axis=1)),
            values.shape[1],
            stale=any(map(any_stale, sides)),
            device=join_devices([row for side in sides for row in side]),
            same_predictions=len(names) == 2 and not values.any(),
            notes=self._training_notes(experiment, names),
            looks=looks,
        )

    def _looks(
        self,
        experiment: Experiment,
        names: Sequence[str],
        seeds: Sequence[int],
        values_SN: np.ndarray,
    ) -> tuple[Looks | None, list[int]]:
        """The looks at one comparison, and the places in `seeds` of those of the last one."""
        if not (self.study.adaptive and experiment.kind == "train"):
            return None, list(range(len(seeds)))
        every = [self._runs.select(experiment, name) for name in names]
        ended = [{r["seed"] for r in rows if r["status"] in SETTLED} for rows in every]
        kept = [
            [i for i, seed in enumerate(seeds) if seed in at_look]
            for at_look in seeds_by_look(self.study, lambda seed: all(seed in e for e in ended))
        ]
        if not kept[-1]:
            raise NotTestable("no seed of the looks so far is in both")
        errors = [_crossed(values_SN[places]) for places in kept if len(places) > 1]
        spread = tuple(error for error in errors if error.seed_variance > 0)
        return Looks(planned_looks(self.study), len(kept), spread), kept[-1]

    def _trained(self, experiment: Experiment, name: str) -> list[Row]:
        rows = self._runs.select(experiment, name)
        if not rows:
            raise NotTestable(
                f"this study asks for no {name} by {experiment.recipe} on {experiment.dataset}"
            )
        used = [row for row in counted_rows(rows) if is_known(row["test_accuracy"])]
        if not used:
            raise NotTestable(f"{name}: {'; '.join(training_status(rows))}")
        return used

    def _training_notes(self, experiment: Experiment, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(
            f"{name}: {problem}"
            for name in names
            for problem in training_status(self._runs.select(experiment, name))
        )

    def latency(
        self, experiment: Experiment | None, names: Sequence[str], batch_size: int
    ) -> Measured:
        """log(ms) of one variant, or log of the ratio of two, over the rounds that all have."""
        sides = [self._timed(experiment, name, batch_size) for name in names]
        settings = list(dict.fromkeys(side.setting for side in sides))
        if len(settings) > 1:
            raise NotTestable(f"measured in different settings: {' and '.join(settings)}")
        shared = set.intersection(*(set(side.by_round) for side in sides))
        if not shared:
            raise NotTestable("no round is in both")
        rounds = sorted(n for n in shared if len({side.devices[n] for side in sides}) == 1)
        devices = list(dict.fromkeys(on for n in rounds if (on := sides[0].devices[n])))
        if not rounds or len(devices) > 1:
            raise NotTestable("measured on several devices: such latencies can't be compared")
        logs = np.array([[math.log(side.by_round[n]) for n in rounds] for side in sides])
        values = logs[0] - logs[1] if len(sides) > 1 else logs[0]
        return Measured(
            _over_rounds(values),
            tuple(rounds),
            tuple(values),
            stale=any(side.stale for side in sides),
            device=devices[0] if devices else None,
            notes=tuple(note for side in sides for note in side.notes),
            noise=self._noise_text(experiment, devices, values) if len(sides) > 1 else "",
        )

    def _noise_text(
        self, experiment: Experiment | None, devices: list[str], logs: np.ndarray
    ) -> str:
        where = (*experiment[1:], *devices) if experiment else ()
        floor = self._floors.get(cast("tuple[str, str, str]", where))
        if not isinstance(floor, NoiseFloor):
            return f"the noise floor is not known, since {floor or NO_REFERENCE}"
        return floor.describe_difference(math.exp(logs.mean()), 1.0, len(logs))

    def _timed(self, experiment: Experiment | None, name: str, batch_size: int) -> _Side:
        runs, cells = (rows.select(experiment, name) for rows in (self._runs, self._cells))
        if not runs:
            raise NotTestable(f"this study asks for no latency of {name}")
        used = {row["seed"]: row for row in counted_rows(runs)}
        timed = [cell for cell in cells if cell["seed"] in used]
        first = next(
            (cell for cell in timed if is_known(cell["primary"]) and cell["primary"]), None
        )
        alike = [
            cell
            for cell in timed
            if first
            and is_known(cell["p50_ms"])
            and cell["p50_ms"] > 0
            and cell["batch_size"] == batch_size
            and describe_setting(cell) == describe_setting(first)
        ]
        notes = tuple(f"{name}: {problem}" for problem in latency_status(runs, timed))
        if first is None or not alike:
            why = f" ({'; '.join(notes)})" if notes else ""
            raise NotTestable(f"{name} has no latency of batch {batch_size}{why}")
        return _Side(
            by_round={cell["seed"]: cell["p50_ms"] for cell in alike},
            devices={number: join_devices([row]) for number, row in used.items()},
            setting=describe_setting(first),
            stale=any_stale(runs),
            notes=notes,
        )


def _crossed(values_SN: np.ndarray) -> MeanEstimate:
    """`estimate_mean` in percentage points; of one seed without its parts."""
    if len(values_SN) < 2:
        return MeanEstimate(100 * float(values_SN.mean()), math.nan, math.nan, 1)
    error = estimate_mean(values_SN)
    return MeanEstimate(
        100 * float(error.mean),
        1e4 * float(error.seed_variance),
        1e4 * float(error.image_variance),
        error.num_seeds,
    )


def _over_rounds(values: np.ndarray) -> MeanEstimate:
    """Mean and squared standard error over rounds: Student's, without a part of images."""
    n = len(values)
    if n < 2:
        return MeanEstimate(float(values[0]), math.nan, math.nan, 1)
    spread = float(values.var(ddof=1)) if np.ptp(values) else 0.0
    return MeanEstimate(float(values.mean()), spread / n, 0.0, n)
