"""Measurements of one variant or of the difference of two, from a study's records, for the tests of claims.

Everything is on an additive scale: measures of trained networks in their unit for readers (an accuracy in
percentage points), everything else as natural logarithms, so that a difference is the logarithm of a ratio.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from resnest_bench.comparisons.latency_evidence import LatencyEvidence
from resnest_bench.comparisons.looks import SeedsAtLook, plan_looks
from resnest_bench.comparisons.measurement import Measurement, NotTestable, estimate_over_rounds
from resnest_bench.comparisons.sides import Place, locate_side
from resnest_bench.formats import is_known
from resnest_bench.frames.correctness import Correctness, build_correctness, share_images
from resnest_bench.frames.predictions import NOT_KEPT
from resnest_bench.paths import Experiment, split_deployment
from resnest_bench.specs import ClaimSpec, StudySpec
from resnest_bench.specs.claims import TIMED_METRICS, ClaimTest, Side, TrainedRow
from resnest_bench.specs.scores import TRAINED_METRICS, metric_column, metric_factor
from resnest_bench.specs.tables import TableSpec
from resnest_bench.stats.intervals import MeanEstimate, estimate_mean
from resnest_bench.stats.seed_model import PAIRED_T, fit_seed_model, image_variances
from resnest_bench.stats.sequential import Looks
from resnest_bench.status.outcomes import Outcome
from resnest_bench.tables.noise import noise_floors
from resnest_bench.tables.selection import Experiments, RowGroups, select
from resnest_bench.tables.values import (
    CELL_COLUMNS,
    RUN_COLUMNS,
    Row,
    any_stale,
    counted_rows,
    first_known,
    join_devices,
    training_status,
)

# The statuses of a training that has ended.
SETTLED = ("ok", "stale", "failed")
COUNTS = {"params": "num_params", "macs": "num_macs"}
COUNT_NAMES = {"params": "parameters", "macs": "MACs"}


def find_experiments(study: StudySpec, claim: ClaimSpec) -> Experiments:
    """Fill in what a claim leaves out, as `select` does; from fine-tunings if no training fits.

    Without a recipe of the claim, but of each of its sides, the first one says what it is about.
    """
    wanted, own = claim.recipe, claim.test.recipes_named
    if own and len(own) == len(claim.test.sides):
        wanted = wanted or own[0]
    spec = TableSpec(dataset=claim.dataset, recipe=wanted, protocol=claim.protocol)
    chosen = select(study, spec)
    trained = {Experiment("train", block.dataset, block.recipe) for block in study.trained}
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
        floors = {"latency": noise_floors(runs), "energy": noise_floors(runs, "energy")}
        self._latencies = LatencyEvidence(self._runs, self._cells, floors)
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
        if test.metric in TIMED_METRICS:
            return self.measure_timed(test.metric, about.latency, sides, test.batch_size)
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
        if not share_images(records):
            return self._measure_score("accuracy", places)
        try:
            correct = build_correctness(
                records, lambda record: texts[Place.from_job(record.job.job)]
            )
            looks, seeds = self._find_looks(
                "accuracy",
                places.values(),
                lambda seeds: self._estimate("accuracy", places, seeds, correct),
            )
            estimate = self._estimate("accuracy", places, seeds, correct)
        except ValueError as error:
            raise NotTestable(str(error)) from None
        known = {
            name: dict(zip(correct.common_seeds([name]), correct.select(name), strict=True))
            for name in names
        }
        by_seed = [
            {seed: 100 * float(bits.mean()) for seed, bits in known[name].items() if seed in own}
            for name, own in zip(names, seeds, strict=True)
        ]
        shared, values = _pair_by_seed(by_seed)
        every_seed = sorted(frozenset().union(*seeds))
        bits = [
            [known[name].get(seed) if seed in own else None for seed in every_seed]
            for name, own in zip(names, seeds, strict=True)
        ]
        return Measurement(
            estimate,
            shared,
            values,
            correct.bits_VSN.shape[-1],
            side_counts=self._side_counts(by_seed),
            stale=any(map(any_stale, sides)),
            device=join_devices([row for side in sides for row in side]),
            same_predictions=len(names) == 2 and all(map(_are_alike, *bits)),
            notes=self._training_notes(places),
            looks=looks,
        )

    def _measure_score(self, metric: str, places: Mapping[str, Place]) -> Measurement:
        """Any other measure of trained networks: one value per seed, and nothing per image."""
        sides = [self._trained_rows(place) for place in places.values()]
        every = [self._values_by_seed(place, metric) for place in places.values()]
        for name, known in zip(places, every, strict=True):
            if not known:
                raise NotTestable(
                    f"{name} has no {metric}: {NOT_KEPT}, or it isn't defined for them"
                )
        looks, seeds = self._find_looks(
            metric, places.values(), lambda seeds: self._estimate(metric, places, seeds)
        )
        rows = [row for side in sides for row in side]
        by_seed = [
            {seed: value for seed, value in known.items() if seed in own}
            for known, own in zip(every, seeds, strict=True)
        ]
        shared, values = _pair_by_seed(by_seed)
        return Measurement(
            self._estimate(metric, places, seeds),
            shared,
            values,
            int(first_known(rows, "num_test") or 0) or None,
            side_counts=self._side_counts(by_seed),
            stale=any(map(any_stale, sides)),
            device=join_devices(rows),
            only_seeds=True,
            notes=self._training_notes(places),
            looks=looks,
        )

    def _estimate(
        self,
        metric: str,
        places: Mapping[str, Place],
        seeds: SeedsAtLook,
        correct: Correctness | None = None,
    ) -> MeanEstimate:
        """The mean of one side, or the difference of two, from the seeds of each, in the unit for readers.

        Two are compared as the study's `differences` say, with the spread of all variants of their
        experiments. With `correct` the variance from new test images is added.
        """
        names, compared = list(places), list(places.values())
        if correct is not None and _are_modes(compared):
            # The same weights: how networks differ says nothing about how their modes do.
            shared = seeds[0] & seeds[1]
            kept = [seed in shared for seed in correct.common_seeds(names)]
            return _estimate_points(correct.differences(*names)[kept])
        if len(names) == 1:
            if correct is not None:
                kept = [seed in seeds[0] for seed in correct.common_seeds(names)]
                return _estimate_points(correct.select(names[0])[kept])
            known = self._values_by_seed(compared[0], metric)
            return estimate_over_rounds(
                np.array([known[s] for s in sorted(known) if s in seeds[0]])
            )
        trained = self._list_trained(dict.fromkeys(place.experiment for place in compared))
        ours, base = map(trained.index, compared)
        # The others lend their spread: all that they have of the seeds of either side.
        every_seed = frozenset().union(*seeds)
        used = {ours: seeds[0], base: seeds[1]}
        values = [
            [
                known.get(seed, math.nan) if seed in used.get(row, every_seed) else math.nan
                for seed in sorted(every_seed)
            ]
            for row, known in enumerate(self._values_by_seed(place, metric) for place in trained)
        ]
        model = fit_seed_model(np.array(values), self.study.differences.method)
        image_variance = 0.0
        if correct is not None:
            rows = [correct.variants.index(name) for name in names]
            used_VS = correct.is_trained_VS.copy()
            for row, own in zip(rows, seeds, strict=True):
                used_VS[row] &= [seed in own for seed in correct.seeds]
            image_variance = 1e4 * image_variances(correct.bits_VSN, used_VS)[rows[0], rows[1]]
        found = model.difference(ours, base, image_variance)
        n = int(found.num_seeds)
        if not n:
            raise NotTestable("no common seed")
        spread = n > 1
        return MeanEstimate(
            float(found.mean),
            float(found.seed_variance) if spread else math.nan,
            float(found.image_variance) if spread else math.nan,
            n,
            None if found.seed_df is None else float(found.seed_df),
        )

    def _side_counts(self, by_seed: Sequence[Mapping[int, float]]) -> tuple[int, ...]:
        """The seeds of each side; the paired t-test has only those that both share."""
        paired = self.study.differences.method == PAIRED_T
        return () if paired else tuple(map(len, by_seed))

    def _list_trained(self, experiments: Iterable[Experiment]) -> list[Place]:
        every = [Place(one, name) for one in experiments for name in self.study.variant_names]
        return [place for place in every if self._runs.select(*place)]

    def _values_by_seed(self, place: Place, metric: str) -> dict[int, float]:
        """The values that count, in the unit for readers."""
        column, factor = metric_column(metric), metric_factor(metric)
        rows = counted_rows(self._runs.select(*place))
        return {row["seed"]: factor * row[column] for row in rows if is_known(row[column])}

    def _find_looks(
        self,
        metric: str,
        places: Collection[Place],
        estimate: Callable[[SeedsAtLook], MeanEstimate],
    ) -> tuple[Looks | None, SeedsAtLook]:
        """The looks at one comparison, and the seeds of each side at the last one.

        `estimate` is that of these seeds.
        """
        every = [self._runs.select(*place) for place in places]
        if not (self.study.adaptive and all(p.experiment.kind == "train" for p in places)):
            return None, tuple(frozenset(row["seed"] for row in rows) for rows in every)
        ended = [{r["seed"] for r in rows if r["status"] in SETTLED} for rows in every]
        values = [self._values_by_seed(place, metric) for place in places]
        by_look, next_counts = plan_looks(self.study, ended, values)
        usable = [
            {row["seed"] for row in counted_rows(rows) if is_known(row["test_accuracy"])}
            for rows in every
        ]

        def fewest(seeds: SeedsAtLook) -> int:
            return min(len(own & known) for own, known in zip(seeds, usable, strict=True))

        if not fewest(by_look[-1]):
            raise NotTestable("no common seed in the looks so far")
        estimates = {
            number: estimate(seeds) for number, seeds in enumerate(by_look) if fewest(seeds) > 1
        }
        spread = {number: one for number, one in estimates.items() if one.seed_variance > 0}
        schedule = tuple(self.study.adaptive.schedule(len(self.study.seeds)))
        looks = Looks(schedule, len(by_look), tuple(spread), tuple(spread.values()), next_counts)
        return looks, by_look[-1]

    def _trained_rows(self, place: Place) -> list[Row]:
        experiment, name = place
        rows = self._runs.select(experiment, name)
        if not rows:
            verb = "evaluate" if experiment.kind == "deploy" else "train"
            raise NotTestable(
                f"this study does not {verb} {name} with {experiment.recipe} on {experiment.dataset}"
            )
        counted = counted_rows(rows)
        if not counted:
            raise NotTestable(f"{name}: {'; '.join(training_status(rows))}")
        return counted

    def _training_notes(self, places: Mapping[str, Place]) -> tuple[str, ...]:
        return tuple(
            f"{name}: {problem}"
            for name, place in places.items()
            for problem in training_status(self._runs.select(*place))
        )

    def measure_timed(
        self, metric: str, experiment: Experiment | None, names: Sequence[Side], batch_size: int
    ) -> Measurement:
        """Measure the log of a TimedMetric of one side, or of the ratio of two, over their common rounds."""
        return self._latencies.measure(experiment, names, batch_size, metric)

    def measure_latency(
        self, experiment: Experiment | None, names: Sequence[Side], batch_size: int
    ) -> Measurement:
        """`measure_timed` of the latency, in ms."""
        return self.measure_timed("latency", experiment, names, batch_size)


def _pair_by_seed(
    by_seed: Sequence[Mapping[int, float]],
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The seeds that one variant has, or two share, and their values, or differences."""
    shared = tuple(sorted(set.intersection(*map(set, by_seed))))
    signs = (1.0, -1.0)[: len(by_seed)]
    return shared, tuple(
        sum(sign * known[seed] for sign, known in zip(signs, by_seed, strict=True))
        for seed in shared
    )


def _are_modes(places: Sequence[Place]) -> bool:
    """Whether two places are one network with the same weights, in two deployment modes."""
    if len(places) != 2 or {place.experiment.kind for place in places} != {"deploy"}:
        return False
    weights = {
        (p.experiment.dataset, split_deployment(p.experiment.recipe)[0], p.variant) for p in places
    }
    return len(weights) == 1


def _are_alike(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    """Whether two networks agree on every image; without both, whether there is neither."""
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)


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
