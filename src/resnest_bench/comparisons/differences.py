"""Every two variants of one experiment: is the difference real, and what could these seeds show?"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from resnest_bench.comparisons.accuracies import ACCURACY_COLUMNS, accuracy_intervals
from resnest_bench.comparisons.pairs import PAIR_COLUMNS, pairs_table
from resnest_bench.formats import row_dicts
from resnest_bench.frames.correctness import Correctness, build_correctness
from resnest_bench.frames.fresh import pick_counted
from resnest_bench.frames.typed import make_frame
from resnest_bench.paths import Experiment, Job
from resnest_bench.records import Record
from resnest_bench.specs import StudySpec
from resnest_bench.specs.tables import TableSpec
from resnest_bench.stats.intervals import mean_error
from resnest_bench.stats.power import ALPHA, least_detectable, plan_seeds
from resnest_bench.stats.summary import FEWEST_FOR_INTERVAL
from resnest_bench.status.outcomes import Outcome
from resnest_bench.tables.selection import select

# Every two of 16 are 120 pairs. Of more variants each is compared with one base alone.
MAX_EVERY = 16
# Of more, a table of their records' bits would keep the reader waiting.
MAX_COMPARED = 200
ABOVE, BELOW, UNDECIDED, UNTESTED = "above", "below", "not significant", "not tested"
# One seed judges the two networks that it trained, and no variant.
NETWORKS = {
    ABOVE: "these two networks: above",
    BELOW: "these two networks: below",
    UNDECIDED: "these two networks: not significant",
}
PLAN_COLUMNS = {
    "least_detectable_points": "float64",
    **dict.fromkeys(["seeds_needed", "seeds_needed_low", "seeds_needed_high"], "Int64"),
}
DIFFERENCE_COLUMNS = {
    "verdict": "str",
    **PAIR_COLUMNS,
    **PLAN_COLUMNS,
    "stale": "boolean",
    **dict.fromkeys(["dataset_label", "recipe", "status"], "str"),
}


@dataclass(frozen=True)
class Trainings:
    """Trainings (or fine-tunings) of some variants in one experiment."""

    experiment: Experiment
    variants: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Differences:
    """`pairs` has DIFFERENCE_COLUMNS, `accuracies` ACCURACY_COLUMNS; `notes` name what is left out."""

    pairs: pd.DataFrame
    accuracies: pd.DataFrame
    notes: tuple[str, ...]


def main_trainings(study: StudySpec) -> Trainings | None:
    """What the study's ablation table is about, else its trade-off table, else its first training.

    Of a study without a training it is the first fine-tuning; None without either.
    """
    spec = study.tables.ablation or study.tables.tradeoff or TableSpec()
    chosen = select(study, spec)
    if study.train and chosen.training:
        return find_trainings(study, chosen.training, chosen.variants)
    for block in study.finetune:
        return find_trainings(study, Experiment("finetune", block.dataset, block.recipes[0]))
    return None


def find_trainings(
    study: StudySpec, experiment: Experiment, variants: Sequence[str] | None = None
) -> Trainings:
    """The trainings of an experiment, of all its variants or of some."""
    asked = {job.variant for job in study.jobs() if job.experiment == experiment}
    names = study.variant_names if variants is None else variants
    return Trainings(experiment, tuple(name for name in names if name in asked))


def difference_jobs(study: StudySpec, trainings: Trainings) -> list[Job]:
    """The jobs whose records tell single images apart: what `compute_differences` needs the outcomes of."""
    names = set(trainings.variants[:MAX_COMPARED])
    return [
        job
        for job in study.jobs()
        if job.experiment == trainings.experiment and job.variant in names
    ]


def list_pairs(variants: Sequence[str], base: str | None = None) -> list[tuple[str, str]]:
    """(variant, base): every two, the first to come as the base; or each against `base`.

    Of more than 16 without a `base` that is the first one: every two would be hundreds, and a
    correction over hundreds of pairs leaves nothing to be found.
    """
    if base is None and len(variants) <= MAX_EVERY:
        return [(ours, first) for first, ours in itertools.combinations(variants, 2)]
    base = base or variants[0]
    return [(name, base) for name in variants if name != base]


def compute_differences(
    trainings: Trainings, found: Iterable[Outcome], base: str | None = None
) -> Differences:
    """Pairs of `list_pairs` with what they show and what they could, and each variant's accuracy.

    `pairs` are those of `pairs_table` (its columns are explained there), with:
    `verdict`: above or below where Holm's p over this table is at most 5 %, for new seeds on new
    images. Else 'not significant', or 'not tested' without a test, as with two seeds. Of one seed it is
    about these two networks, by McNemar's p, and says so.
    `least_detectable_points`: the true difference that as many seeds find in 80 % of all studies,
    tested at 5 % as a pair by itself. `seeds_needed`: paired seeds in all that the difference seen
    would need for that, `_low` and `_high` at the ends of its spread's 95 % interval; NA where no
    number would do. Nothing is rounded.

    `found` are the outcomes of `difference_jobs`. As in all tables stale records count only where a
    variant has no others.
    """
    chosen, notes = _usable(trainings, found)
    stale = {name for name, outcomes in chosen.items() if outcomes[0].status == "stale"}
    records = [outcome.record for outcomes in chosen.values() for outcome in outcomes]
    try:
        correct = build_correctness(_records(records))
    except ValueError as problem:
        notes.append(f"nothing is compared: {problem}")
        nothing = make_frame([], DIFFERENCE_COLUMNS), make_frame([], ACCURACY_COLUMNS)
        return Differences(*nothing, tuple(notes))
    if base is not None and base not in correct.variants:
        notes.append(f"{base} has no training to compare with")
        wanted: list[tuple[str, str]] = []
    else:
        wanted = list_pairs(correct.variants, base)
    # `build_correctness` takes no record without one.
    first = records[0]
    assert first is not None
    assert first.dataset is not None
    pairs = pairs_table(correct, wanted)
    plans = make_frame([_planned(correct, *pair) for pair in wanted], PLAN_COLUMNS)
    pairs = pd.concat([pairs, plans], axis="columns").assign(
        verdict=[decide_verdict(row) for row in row_dicts(pairs)],
        stale=pairs["variant"].isin(stale) | pairs["base"].isin(stale),
        dataset_label=first.dataset.label,
        recipe=trainings.experiment.recipe,
        status=[_status(correct, *pair) for pair in wanted],
    )
    pairs = make_frame(pairs, DIFFERENCE_COLUMNS)
    return Differences(pairs, accuracy_intervals(correct), tuple(notes))


def decide_verdict(row: dict[str, Any]) -> str:
    """ABOVE, BELOW, UNDECIDED or UNTESTED of a row of `pairs_table`; of one seed a value of NETWORKS."""
    one_seed = row["n"] == 1
    p = row["networks_holm_p"] if one_seed else row["all_holm_p"]
    if pd.isna(p):
        return UNTESTED
    found = ABOVE if row["difference_points"] > 0 else BELOW
    verdict = found if p <= ALPHA else UNDECIDED
    return NETWORKS[verdict] if one_seed else verdict


def _records(found: Iterable[Record | None]) -> list[Record]:
    return [record for record in found if record is not None]


def _usable(
    trainings: Trainings, found: Iterable[Outcome]
) -> tuple[dict[str, list[Outcome]], list[str]]:
    """Variant to its outcomes that count, in the trainings' order; and who is left out, and why."""
    by_variant: dict[str, list[Outcome]] = {name: [] for name in trainings.variants}
    for outcome in found:
        by_variant.setdefault(outcome.job.variant, []).append(outcome)
    chosen, notes = {}, []
    for name, outcomes in by_variant.items():
        trained = [o for o in outcomes if o.record and o.record.train]
        if used := pick_counted(trained, lambda outcome: outcome.status):
            chosen[name] = used
        elif outcomes:
            notes.append(f"{name} is left out: {outcomes[0].reason or outcomes[0].status}")
    if len(trainings.variants) > MAX_COMPARED:
        notes.append(
            f"the first {MAX_COMPARED} of {len(trainings.variants):,} variants are compared: name "
            "fewer in the study's ablation table"
        )
    return chosen, notes


def _status(correct: Correctness, ours: str, base: str) -> str:
    n = len(correct.common_seeds([ours, base]))
    if n == 0:
        return "no seed is in both"
    if n == 1:
        return "one seed in common: it compares two networks, not two variants"
    values = correct.differences(ours, base)
    if not values.any():
        return "the same predictions in every seed: p is for these networks, not for new seeds"
    if n < FEWEST_FOR_INTERVAL:
        return "two seeds in common: no interval and no test"
    alike = np.ptp(values.sum(axis=1)) == 0
    return "every seed has the same difference: nothing tells the spread" if alike else "ok"


def _planned(correct: Correctness, ours: str, base: str) -> dict[str, Any]:
    """What n paired seeds could show, and how many this difference needs."""
    values = correct.differences(ours, base)
    n, num_images = values.shape
    if n < 2 or num_images < 2:
        return {}
    error = mean_error(values)
    sd, image_error = math.sqrt(float(error.seed_part) * n), math.sqrt(float(error.image_part))
    if sd == 0:
        return {}
    row: dict[str, Any] = {}
    if n >= FEWEST_FOR_INTERVAL:
        row["least_detectable_points"] = 100 * least_detectable(sd, n, image_error)
    if error.mean:
        needed = plan_seeds(float(error.mean), sd, n, image_error)
        row |= {
            "seeds_needed": needed.seeds,
            "seeds_needed_low": needed.at_low_sd,
            "seeds_needed_high": needed.at_high_sd,
        }
    return row


def typical_detectable(pairs: pd.DataFrame) -> tuple[int, float] | None:
    """(seeds, points): the median least detectable difference of the pairs with the most seeds."""
    tested = pairs.dropna(subset=["least_detectable_points"])
    if not len(tested):
        return None
    most = int(tested["n"].max())
    return most, float(np.median(tested.loc[tested["n"] == most, "least_detectable_points"]))
