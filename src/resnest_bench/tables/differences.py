"""Every two variants of one experiment: is the difference real, and what could these seeds show?"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from resnest_bench.paths import Job
from resnest_bench.records import Record
from resnest_bench.specs import StudySpec
from resnest_bench.specs.tables import TableSpec
from resnest_bench.tables.accuracies import ACCURACY_COLUMNS, accuracy_intervals
from resnest_bench.tables.correctness import Correctness, correctness_of
from resnest_bench.tables.formats import row_dicts
from resnest_bench.tables.intervals import mean_error
from resnest_bench.tables.outcomes import Outcome
from resnest_bench.tables.pairs import PAIR_COLUMNS, pairs_table
from resnest_bench.tables.power import ALPHA, least_detectable, plan_seeds
from resnest_bench.tables.selection import select

# Every two of 16 are 120 pairs. Of more variants each is compared with one base alone.
MAX_EVERY = 16
# Of more, a table of their records' bits would keep the reader waiting.
MAX_COMPARED = 200
ABOVE, BELOW, UNDECIDED, UNTESTED = "above", "below", "not told apart", "not tested"
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
class Experiment:
    """Trainings (or fine-tunings) of some variants on one dataset by one recipe."""

    kind: str
    dataset: str
    recipe: str
    variants: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Differences:
    """`pairs` has DIFFERENCE_COLUMNS, `accuracies` ACCURACY_COLUMNS; `notes` name what is left out."""

    pairs: pd.DataFrame
    accuracies: pd.DataFrame
    notes: tuple[str, ...]


def headline_experiment(study: StudySpec) -> Experiment | None:
    """What the study's ablation table is about, else its trade-off table, else its first training.

    Of a study without a training it is the first fine-tuning; None without either.
    """
    spec = study.tables.ablation or study.tables.tradeoff or TableSpec()
    chosen = select(study, spec)
    if study.train and chosen.dataset and chosen.recipe:
        return experiment_of(study, ("train", chosen.dataset, chosen.recipe), chosen.variants)
    for block in study.finetune:
        return experiment_of(study, ("finetune", block.dataset, block.recipes[0]))
    return None


def experiment_of(
    study: StudySpec, place: tuple[str, str, str], variants: Sequence[str] | None = None
) -> Experiment:
    """The experiment at (kind, dataset, recipe), of all its variants or of some."""
    asked = {job.variant for job in study.jobs() if (job.kind, job.dataset, job.recipe) == place}
    names = study.variant_names if variants is None else variants
    return Experiment(*place, tuple(name for name in names if name in asked))


def difference_jobs(study: StudySpec, experiment: Experiment) -> list[Job]:
    """The jobs whose records tell single images apart: what `differences_of` needs the outcomes of."""
    names = set(experiment.variants[:MAX_COMPARED])
    place = experiment.kind, experiment.dataset, experiment.recipe
    return [
        j for j in study.jobs() if (j.kind, j.dataset, j.recipe) == place and j.variant in names
    ]


def pairs_of(variants: Sequence[str], base: str | None = None) -> list[tuple[str, str]]:
    """(variant, base): every two, the first to come as the base; or each against `base`.

    Of more than 16 without a `base` that is the first one: every two would be hundreds, and a
    correction over hundreds of pairs leaves nothing to be found.
    """
    if base is None and len(variants) <= MAX_EVERY:
        return [(ours, first) for first, ours in itertools.combinations(variants, 2)]
    base = base or variants[0]
    return [(name, base) for name in variants if name != base]


def differences_of(
    experiment: Experiment, found: Iterable[Outcome], base: str | None = None
) -> Differences:
    """Pairs of `pairs_of` with what they show and what they could, and each variant's accuracy.

    `pairs` are those of `pairs_table` (its columns are explained there), with:
    `verdict`: above or below where Holm's p over this table is at most 5 %, for new seeds on new
    images; of one seed alone McNemar's, which says it of these two networks. Else 'not told apart',
    'not tested' without a test.
    `least_detectable_points`: the true difference that as many seeds find in 80 % of all studies,
    tested at 5 % as a pair by itself. `seeds_needed`: paired seeds in all that the difference seen
    would need for that, `_low` and `_high` at the ends of its spread's 95 % interval; NA where no
    number would do. Nothing is rounded.

    `found` are the outcomes of `difference_jobs`. As in all tables stale records count only where a
    variant has no others.
    """
    chosen, notes = _usable(experiment, found)
    stale = {name for name, outcomes in chosen.items() if outcomes[0].status == "stale"}
    records = [outcome.record for outcomes in chosen.values() for outcome in outcomes]
    try:
        correct = correctness_of(_records(records))
    except ValueError as problem:
        notes.append(f"nothing is compared: {problem}")
        return Differences(_empty(DIFFERENCE_COLUMNS), _empty(ACCURACY_COLUMNS), tuple(notes))
    if base is not None and base not in correct.variants:
        notes.append(f"{base} has no training to compare with")
        wanted: list[tuple[str, str]] = []
    else:
        wanted = pairs_of(correct.variants, base)
    # `correctness_of` takes no record without one.
    first = records[0]
    assert first is not None
    assert first.dataset is not None
    pairs = pairs_table(correct, wanted)
    plans = pd.DataFrame(
        [_planned(correct, *pair) for pair in wanted], columns=list(PLAN_COLUMNS)
    ).astype(PLAN_COLUMNS)
    pairs = pd.concat([pairs, plans], axis="columns").assign(
        verdict=[verdict_of(row) for row in row_dicts(pairs)],
        stale=pairs["variant"].isin(stale) | pairs["base"].isin(stale),
        dataset_label=first.dataset.label,
        recipe=experiment.recipe,
        status=[_status(correct, *pair) for pair in wanted],
    )
    pairs = pairs[list(DIFFERENCE_COLUMNS)].astype(DIFFERENCE_COLUMNS)
    return Differences(pairs, accuracy_intervals(correct), tuple(notes))


def verdict_of(row: dict[str, Any]) -> str:
    """ABOVE, BELOW, UNDECIDED or UNTESTED of a row of `pairs_table`."""
    p = row["networks_holm_p"] if row["n"] == 1 else row["all_holm_p"]
    if pd.isna(p):
        return UNTESTED
    if p > ALPHA:
        return UNDECIDED
    return ABOVE if row["difference_points"] > 0 else BELOW


def _records(found: Iterable[Record | None]) -> list[Record]:
    return [record for record in found if record is not None]


def _usable(
    experiment: Experiment, found: Iterable[Outcome]
) -> tuple[dict[str, list[Outcome]], list[str]]:
    """Variant to its outcomes that count, in the experiment's order; and who is left out, and why."""
    by_variant: dict[str, list[Outcome]] = {name: [] for name in experiment.variants}
    for outcome in found:
        by_variant.setdefault(outcome.job.variant, []).append(outcome)
    chosen, notes = {}, []
    for name, outcomes in by_variant.items():
        trained = [o for o in outcomes if o.usable and o.record and o.record.train]
        fresh = [o for o in trained if o.status == "ok"]
        if used := fresh or trained:
            chosen[name] = used
        elif outcomes:
            notes.append(f"{name} is left out: {outcomes[0].reason or outcomes[0].status}")
    if len(experiment.variants) > MAX_COMPARED:
        notes.append(
            f"the first {MAX_COMPARED} of {len(experiment.variants):,} variants are compared: name "
            "fewer in the study's ablation table"
        )
    return chosen, notes


def _empty(columns: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(columns=list(columns)).astype(columns)


def _status(correct: Correctness, ours: str, base: str) -> str:
    n = len(correct.common_seeds([ours, base]))
    if n == 0:
        return "no seed is in both"
    if n == 1:
        return "one seed in common: it compares two networks, not two variants"
    values = correct.differences(ours, base)
    alike = np.ptp(values.sum(axis=1)) == 0 and values.any()
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
    row: dict[str, Any] = {"least_detectable_points": 100 * least_detectable(sd, n, image_error)}
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
