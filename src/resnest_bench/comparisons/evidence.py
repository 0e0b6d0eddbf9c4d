"""Measurements of one variant or of the difference of two, from a study's records, for the tests of claims.

Everything is on an additive scale: measures of trained networks in their unit for readers (an accuracy in
percentage points), everything else as natural logarithms, so that a difference is the logarithm of a ratio.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd

from resnest_bench.comparisons.sides import Place, locate_side
from resnest_bench.formats import is_known
from resnest_bench.frames.correctness import build_correctness
from resnest_bench.frames.predictions import NOT_KEPT
from resnest_bench.paths import Experiment, Job
from resnest_bench.specs import ClaimSpec, StudySpec
from resnest_bench.specs.claims import ClaimTest, Side, TrainedRow
from resnest_bench.specs.looks import planned_looks, seeds_by_look
from resnest_bench.specs.scores import TRAINED_METRICS, metric_column, metric_factor
from resnest_bench.specs.tables import TableSpec
from resnest_bench.stats.intervals import MeanEstimate, estimate_mean
from resnest_bench.stats.sequential import Looks
from resnest_bench.status.outcomes import Outcome
from resnest_bench.tables.noise import NO_REFERENCE, FloorKey, NoiseFloor, noise_floors
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

# The statuses of a training that has ended.
SETTLED = ("ok", "stale", "failed")
COUNTS = {"params": "num_params", "macs": "num_macs"}
COUNT_NAMES = {"params": "parameters", "macs": "MACs"}


class NotTestable(Exception):  # noqa: N818 - it is a finding, not an error
    """Why there is nothing to test, as a text for readers."""


@dataclass(frozen=True)
class Measurement:
    """A mean, or a mean difference, over the seeds (or rounds) that all its variants have.

    `estimate` is from `estimate_mean`, on the additive scale; its variances are NaN for a single seed.
    `values` holds one value per seed. `exact` marks a count, which has no error. `same_predictions` says
    that the variants agree on every image in every seed, `only_seeds` that new images were not considered.
    `notes` say which seeds or rounds are missing,
    and why. `looks` are the interim analyses of an adaptive study's training, and the other fields are
    those of the last one; None if the seeds are fixed. `noise` compares two latencies with the noise
    floor of their device, in words.
    """

    estimate: MeanEstimate
    seeds: tuple[int, ...]
    seed_values: tuple[float, ...]
    num_images: int | None = None
    stale: bool = False
    device: str | None = None
    exact: bool = False
    same_predictions: bool = False
    only_seeds: bool = False
    notes: tuple[str, ...] = ()
    looks: Looks | None = None
    noise: str = ""


@dataclass(frozen=True)
class _Side:
    """One variant in one experiment: its values by round, and their origin."""

    by_round: Mapping[int, float]
    devices: Mapping[int, str | None]
    setting: str
    stale: bool
    notes: tuple[str, ...]


def find_experiments(study: StudySpec, claim: ClaimSpec) -> Experiments:
    """Fill in what a claim leaves out, as `select` does; from fine-tunings if no training fits.

    Without a recipe of the claim, but of each of its sides, the first one says what it is about.
    """
    wanted, own = claim.recipe, claim.test.recipes_named
    if own and len(own) == len(claim.test.sides):
        wanted = wanted or own[0]
    spec = TableSpec(dataset=claim.dataset, recipe=wanted, protocol=claim.protocol)
    chosen = select(study, spec)
    trained = {Experiment("train", block.dataset, block.recipe) for block in study.train}
    if chosen.training not in trained:
        for block in study.finetune:
            fits = wanted is None or wanted in block.recipes
            if fits and claim.dataset in (None, block.dataset):
                recipe = wanted or block.recipes[0]
                return Experiments(Experiment("finetune", block.dataset, recipe), chosen.latency)
    return Experiments(chosen.training, chosen.latency)


class Evidence:
    """A study's rows and records, for measurements of one variant or of the difference of two.

    `runs` and `cells` are those of `Frames`. `job_outcomes` holds at least the trainings that will be
    measured. Its methods raise NotTestable.
    """

    def __init__(
        self,
        study: StudySpec,
        runs: pd.DataFrame,
        cells: pd.DataFrame,
        job_outcomes: Iterable[Outcome],
    ) -> None:
        self.study = study
        self._runs = RowGroups(runs, RUN_COLUMNS)
        self._cells = RowGroups(cells, CELL_COLUMNS)
        self._floors = noise_floors(runs)
        self._records = {outcome.job: outcome.record for outcome in job_outcomes if outcome.usable}

    def label(self, dataset: str | None) -> str | None:
        """The label of a dataset in the records."""
        return self._runs.labels.get(dataset, dataset)

    def measure(self, test: ClaimTest, about: Experiments, sides: Sequence[Side]) -> Measurement:
        """Measure the metric of `test` for one side, or the first minus the second."""
        names = [side.variant if isinstance(side, TrainedRow) else side for side in sides]
        for name in names:
            if name not in self.study.variant_names:
                raise NotTestable(f"{name} is not in this study")
        if test.metric in TRAINED_METRICS:
            places = self._locate(about, sides)
            if test.metric == "accuracy":
                return self._measure_accuracy(places)
            return self._measure_score(test.metric, places)
        if test.metric == "latency":
            return self.measure_latency(about.latency, names, test.batch_size)
        logs = [math.log(self.count(test.metric, about, name)) for name in names]
        mean = logs[0] - (logs[1] if len(logs) > 1 else 0.0)
        return Measurement(MeanEstimate(mean, 0.0, 0.0, 0), (), (), exact=True)

    def _locate(self, about: Experiments, sides: Sequence[Side]) -> dict[str, Place]:
        """The trainings of each side, by its text."""
        places = {str(side): locate_side(self.study, about, side) for side in sides}
        found = {text: place for text, place in places.items() if place}
        if len(found) < len(sides):
            raise NotTestable("this study trains nothing")
        if len(set(found.values())) < len(sides):
            raise NotTestable(f"{' and '.join(found)} are the same trainings")
        return found

    def count(self, quantity: str, about: Experiments, side: Side) -> int:
        """Parameters or multiply-accumulates of a variant, from its records."""
        name = side.variant if isinstance(side, TrainedRow) else side
        place = locate_side(self.study, about, side)
        rows = [
            *(self._runs.select(*place) if place else ()),
            *self._runs.select(about.latency, name),
        ]
        count = first_known(counted_rows(rows), COUNTS[quantity])
        if not count:
            raise NotTestable(f"no record has the number of {COUNT_NAMES[quantity]} of {name}")
        return int(count)

    def _measure_accuracy(self, places: Mapping[str, Place]) -> Measurement:
        names, texts = list(places), {place: text for text, place in places.items()}
        sides = [self._trained_rows(place) for place in places.values()]
        records = [
            record
            for place, side in zip(places.values(), sides, strict=True)
            for row in side
            if (record := self._records.get(place.job(row["seed"])))
        ]
        try:
            correct = build_correctness(records, lambda record: texts[_place(record.job.job)])
            seeds = correct.common_seeds(names)
            if not seeds:
                raise NotTestable("no common seed")
            values = correct.select(names[0]) if len(names) == 1 else correct.differences(*names)
            looks, indices = self._find_looks(
                places.values(), seeds, lambda indices: _estimate_points(values[indices])
            )
            seeds, values = tuple(seeds[i] for i in indices), values[indices]
            estimate = _estimate_points(values)
        except ValueError as error:
            raise NotTestable(str(error)) from None
        return Measurement(
            estimate,
            seeds,
            tuple(100 * values.mean(axis=1)),
            values.shape[1],
            stale=any(map(any_stale, sides)),
            device=join_devices([row for side in sides for row in side]),
            same_predictions=len(names) == 2 and not values.any(),
            notes=self._training_notes(places),
            looks=looks,
        )

    def _measure_score(self, metric: str, places: Mapping[str, Place]) -> Measurement:
        """Any other measure of trained networks: one value per seed, and nothing per image."""
        column, factor = metric_column(metric), metric_factor(metric)
        sides = [self._trained_rows(place) for place in places.values()]
        by_seed = [
            {row["seed"]: factor * row[column] for row in side if is_known(row[column])}
            for side in sides
        ]
        for name, known in zip(places, by_seed, strict=True):
            if not known:
                raise NotTestable(
                    f"{name} has no {metric}: {NOT_KEPT}, or it isn't defined for them"
                )
        seeds = tuple(sorted(set.intersection(*map(set, by_seed))))
        if not seeds:
            raise NotTestable("no common seed")
        one = np.array([by_seed[0][seed] for seed in seeds])
        values = one - np.array([by_seed[1][seed] for seed in seeds]) if len(places) > 1 else one
        looks, indices = self._find_looks(
            places.values(), seeds, lambda indices: _estimate_over_rounds(values[indices])
        )
        seeds, values = tuple(seeds[i] for i in indices), values[indices]
        rows = [row for side in sides for row in side]
        return Measurement(
            _estimate_over_rounds(values),
            seeds,
            tuple(values.tolist()),
            int(first_known(rows, "num_test") or 0) or None,
            stale=any(map(any_stale, sides)),
            device=join_devices(rows),
            only_seeds=True,
            notes=self._training_notes(places),
            looks=looks,
        )

    def _find_looks(
        self,
        places: Collection[Place],
        seeds: Sequence[int],
        estimate: Callable[[list[int]], MeanEstimate],
    ) -> tuple[Looks | None, list[int]]:
        """The looks at one comparison, and the indices in `seeds` of the seeds of the last one.

        `estimate` is that of the seeds with these indices.
        """
        if not (self.study.adaptive and all(p.experiment.kind == "train" for p in places)):
            return None, list(range(len(seeds)))
        every = [self._runs.select(*place) for place in places]
        ended = [{r["seed"] for r in rows if r["status"] in SETTLED} for rows in every]
        indices_by_look = [
            [i for i, seed in enumerate(seeds) if seed in at_look]
            for at_look in seeds_by_look(self.study, lambda seed: all(seed in e for e in ended))
        ]
        if not indices_by_look[-1]:
            raise NotTestable("no common seed in the looks so far")
        estimates = [estimate(indices) for indices in indices_by_look if len(indices) > 1]
        with_spread = tuple(one for one in estimates if one.seed_variance > 0)
        looks = Looks(planned_looks(self.study), len(indices_by_look), with_spread)
        return looks, indices_by_look[-1]

    def _trained_rows(self, place: Place) -> list[Row]:
        experiment, name = place
        rows = self._runs.select(experiment, name)
        if not rows:
            raise NotTestable(
                f"this study does not train {name} with {experiment.recipe} on {experiment.dataset}"
            )
        counted = [row for row in counted_rows(rows) if is_known(row["test_accuracy"])]
        if not counted:
            raise NotTestable(f"{name}: {'; '.join(training_status(rows))}")
        return counted

    def _training_notes(self, places: Mapping[str, Place]) -> tuple[str, ...]:
        return tuple(
            f"{name}: {problem}"
            for name, place in places.items()
            for problem in training_status(self._runs.select(*place))
        )

    def measure_latency(
        self, experiment: Experiment | None, names: Sequence[str], batch_size: int
    ) -> Measurement:
        """Measure log(ms) of one variant, or the log of the ratio of two, over their common rounds."""
        sides = [self._find_latency(experiment, name, batch_size) for name in names]
        settings = list(dict.fromkeys(side.setting for side in sides))
        if len(settings) > 1:
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
            _estimate_over_rounds(values),
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

    def _find_latency(self, experiment: Experiment | None, name: str, batch_size: int) -> _Side:
        runs, cells = (rows.select(experiment, name) for rows in (self._runs, self._cells))
        if not runs:
            raise NotTestable(f"this study does not time {name}")
        counted = {row["seed"]: row for row in counted_rows(runs)}
        timed = [cell for cell in cells if cell["seed"] in counted]
        first = next(
            (cell for cell in timed if is_known(cell["primary"]) and cell["primary"]), None
        )
        comparable = [
            cell
            for cell in timed
            if first
            and is_known(cell["p50_ms"])
            and cell["p50_ms"] > 0
            and cell["batch_size"] == batch_size
            and describe_setting(cell) == describe_setting(first)
        ]
        notes = tuple(f"{name}: {problem}" for problem in latency_status(runs, timed))
        if first is None or not comparable:
            reasons = f" ({'; '.join(notes)})" if notes else ""
            raise NotTestable(f"{name} has no latency at batch size {batch_size}{reasons}")
        return _Side(
            by_round={cell["seed"]: cell["p50_ms"] for cell in comparable},
            devices={number: join_devices([row]) for number, row in counted.items()},
            setting=describe_setting(first),
            stale=any_stale(runs),
            notes=notes,
        )


def _place(job: Job) -> Place:
    return Place(job.experiment, job.variant)


def _estimate_points(values_SN: np.ndarray) -> MeanEstimate:
    """`estimate_mean` in percentage points; for one seed without variances."""
    if len(values_SN) < 2:
        return MeanEstimate(100 * float(values_SN.mean()), math.nan, math.nan, 1)
    estimate = estimate_mean(values_SN)
    return MeanEstimate(
        100 * float(estimate.mean),
        1e4 * float(estimate.seed_variance),
        1e4 * float(estimate.image_variance),
        estimate.num_seeds,
    )


def _estimate_over_rounds(values: np.ndarray) -> MeanEstimate:
    """Mean and its variance over rounds, or over seeds, without an image variance."""
    n = len(values)
    if n < 2:
        return MeanEstimate(float(values[0]), math.nan, math.nan, 1)
    variance = float(values.var(ddof=1)) if np.ptp(values) else 0.0
    return MeanEstimate(float(values.mean()), variance / n, 0.0, n)
