"""All pairs of variants of one experiment: is the difference real, and what can these seeds show?"""

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from resnest_bench.comparisons.accuracies import ACCURACY_COLUMNS, accuracy_intervals
from resnest_bench.comparisons.pairs import DEFAULT, PAIR_COLUMNS, pairs_table
from resnest_bench.comparisons.standings import STANDING_COLUMNS, Comparison
from resnest_bench.formats import row_dicts
from resnest_bench.frames.correctness import build_correctness, variant_key
from resnest_bench.frames.fresh import pick_counted
from resnest_bench.frames.typed import make_frame
from resnest_bench.paths import Experiment, Job
from resnest_bench.records import Record
from resnest_bench.specs import StudySpec
from resnest_bench.specs.differences import DifferencesSpec
from resnest_bench.specs.tables import TableSpec
from resnest_bench.stats.power import ALPHA
from resnest_bench.stats.seed_model import fit_seed_model, image_variances
from resnest_bench.stats.summary import MIN_FOR_INTERVAL
from resnest_bench.status.outcomes import Outcome
from resnest_bench.tables.headline import metric_words
from resnest_bench.tables.selection import select

# 16 variants have 120 pairs. Of more variants each is compared with one base only.
MAX_EVERY = 16
# Reading the per-image results of more variants takes too long.
MAX_COMPARED = 200
ABOVE, BELOW, UNDECIDED, UNTESTED = "above", "below", "not significant", "not tested"
# With one seed the verdict is about the two trained networks, not about the variants.
NETWORKS = {
    ABOVE: "these two networks: above",
    BELOW: "these two networks: below",
    UNDECIDED: "these two networks: not significant",
}
# The verdict with variant and base exchanged.
OPPOSITE = {
    ABOVE: BELOW,
    BELOW: ABOVE,
    NETWORKS[ABOVE]: NETWORKS[BELOW],
    NETWORKS[BELOW]: NETWORKS[ABOVE],
}
DIFFERENCE_COLUMNS = {
    **dict.fromkeys(["metric", "verdict"], "str"),
    **PAIR_COLUMNS,
    "stale": "boolean",
    # Whether results of single test images are not known, as of imported values.
    "without_images": "boolean",
    **dict.fromkeys(["dataset_label", "recipe", "status"], "str"),
}


@dataclass(frozen=True)
class Trainings:
    """The trainings (or fine-tunings) of some variants in one experiment."""

    experiment: Experiment
    variants: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Differences:
    """Differences of variants: `pairs` has DIFFERENCE_COLUMNS, `accuracies` ACCURACY_COLUMNS.

    `notes` say what is left out, and why; `spec` how differences were tested. `comparison` says where each
    variant stands; None where nothing can be compared.
    """

    pairs: pd.DataFrame
    accuracies: pd.DataFrame
    notes: tuple[str, ...]
    spec: DifferencesSpec = DEFAULT
    comparison: Comparison | None = None

    @cached_property
    def standings(self) -> pd.DataFrame:
        """`Comparison.standings` of all variants."""
        return self.rank()

    def rank(self, among: Collection[str] | None = None) -> pd.DataFrame:
        """`Comparison.standings` of some variants."""
        if self.comparison is None:
            return make_frame([], STANDING_COLUMNS)
        return self.comparison.standings(among)


def main_trainings(study: StudySpec) -> Trainings | None:
    """All trainings of the experiment in the study's ablation table, else in its trade-off table, else first.

    Without a training they are the first fine-tunings; None without either. Whichever variants a table
    shows, the differences are of all that the experiment trains.
    """
    spec = study.tables.ablation or study.tables.tradeoff or TableSpec()
    chosen = select(study, spec)
    if study.trained and chosen.training:
        return find_trainings(study, chosen.training)
    for block in study.finetune:
        return find_trainings(study, Experiment("finetune", block.dataset, block.recipes[0]))
    return None


def find_trainings(
    study: StudySpec, experiment: Experiment, variants: Sequence[str] | None = None
) -> Trainings:
    """The trainings of an experiment, for those variants that the study compares or for some."""
    trained = {job.variant for job in study.jobs() if job.experiment == experiment}
    compared = study.differences.variants
    if variants is None:
        variants = study.variant_names if compared == "all" else compared
    return Trainings(experiment, tuple(name for name in variants if name in trained))


def difference_jobs(study: StudySpec, trainings: Trainings) -> list[Job]:
    """The jobs whose outcomes `compute_differences` needs: their records hold per-image results."""
    names = set(trainings.variants[:MAX_COMPARED])
    return [
        job
        for job in study.jobs()
        if job.experiment == trainings.experiment and job.variant in names
    ]


def list_pairs(variants: Sequence[str], base: str | None = None) -> list[tuple[str, str]]:
    """List pairs (variant, base): all pairs, with the earlier variant as the base; or each against `base`.

    For more than 16 variants the default base is the first one. All pairs would be hundreds, and after
    a correction over hundreds of pairs hardly anything is significant.
    """
    if base is None and len(variants) <= MAX_EVERY:
        return [(ours, first) for first, ours in itertools.combinations(variants, 2)]
    base = base or variants[0]
    return [(name, base) for name in variants if name != base]


def compute_differences(
    trainings: Trainings,
    job_outcomes: Iterable[Outcome],
    base: str | None = None,
    spec: DifferencesSpec = DEFAULT,
) -> Differences:
    """Compare the pairs of `list_pairs`, and plan the seeds that they require.

    `pairs` has the columns of `pairs_table`, and these. `verdict` is 'above' or 'below' if the p-value
    corrected over this table is at most 5 %, for new seeds on new images; else 'not significant', or 'not
    tested' without a test, as with two seeds. With one seed the verdict is about these two networks, by
    McNemar's test, and says so. Nothing is rounded.

    `job_outcomes` are those of `difference_jobs`. As in all tables, stale records count only if a
    variant has no others.
    """
    usable, notes = select_usable(trainings.variants, job_outcomes)

    def choose_pairs(names: Sequence[str]) -> list[tuple[str, str]]:
        if base is None or base in names:
            return list_pairs(names, base)
        notes.append(f"{base} has no training to compare with")
        return []

    return compare_usable(usable, choose_pairs, notes, spec, trainings.experiment.recipe)


def compare_usable(
    usable: Mapping[str, Sequence[Outcome]],
    choose_pairs: Callable[[Sequence[str]], list[tuple[str, str]]],
    notes: list[str],
    spec: DifferencesSpec,
    recipe: str,
    name: Callable[[Record], str] = variant_key,
) -> Differences:
    """Compare outcomes that count, by the name of their row; `notes` grow by what can't be compared."""
    stale = {row for row, outcomes in usable.items() if outcomes[0].status == "stale"}
    records = [o.record for outcomes in usable.values() for o in outcomes if o.record is not None]
    try:
        correct = build_correctness(records, name)
    except ValueError as error:
        notes.append(f"nothing is compared: {error}")
        return no_differences(notes, spec)
    names = choose_pairs(correct.variants)
    # `build_correctness` takes no record without one.
    first = records[0]
    assert first.dataset is not None
    pairs = pairs_table(correct, names, spec)
    pairs = pairs.assign(
        metric="accuracy",
        verdict=[decide_verdict(row) for row in row_dicts(pairs)],
        stale=pairs["variant"].isin(stale) | pairs["base"].isin(stale),
        dataset_label=first.dataset.label,
        recipe=recipe,
        status=[describe_status(row) for row in row_dicts(pairs)],
    )
    pairs = make_frame(pairs, DIFFERENCE_COLUMNS)
    model = fit_seed_model(100 * correct.accuracies_VS, spec.method)
    images_VV = 1e4 * image_variances(correct.bits_VSN, correct.is_trained_VS)
    comparison = Comparison(correct.variants, model, images_VV, spec)
    return Differences(pairs, accuracy_intervals(correct), tuple(notes), spec, comparison)


def no_differences(notes: Iterable[str], spec: DifferencesSpec) -> Differences:
    """Empty frames, with notes that say why."""
    return Differences(
        make_frame([], DIFFERENCE_COLUMNS),
        make_frame([], ACCURACY_COLUMNS),
        tuple(notes),
        spec,
    )


def find_over_seeds(pairs: pd.DataFrame) -> pd.Series:
    """Which rows are for new seeds alone: of other measures than accuracy, and without images to test on."""
    # Where nothing was imported it is not stated.
    without = pairs["without_images"].fillna(False).astype(bool)
    over_seeds: pd.Series = pairs["metric"].ne("accuracy") | without
    return over_seeds


def show_population(pairs: pd.DataFrame) -> pd.DataFrame:
    """For display: with the population of the verdict in the columns of `all_`.

    Of another measure than the accuracy it is that of `seeds_`: it is not tested for new images.
    """
    scored = find_over_seeds(pairs)
    if not scored.any():
        return pairs
    names = {
        "seeds_low_points": "all_low_points",
        "seeds_high_points": "all_high_points",
        "seeds_p": "all_p",
        "seeds_corrected_p": "all_corrected_p",
        "mean_better_seeds": "mean_better_all",
    }
    return pairs.assign(
        **{into: pairs[into].mask(scored, pairs[name]) for name, into in names.items()}
    )


def describe_population(pairs: pd.DataFrame) -> str:
    """What the verdicts on variants are about: 'new seeds on new test images'."""
    images = "these" if find_over_seeds(pairs).any() else "new"
    return f"new seeds on {images} test images"


def population(column: str) -> str:
    """What verdicts on a column of `runs` are about."""
    return f"new seeds on {'new' if column == 'test_accuracy' else 'these'} test images"


def name_measure(pairs: pd.DataFrame) -> str:
    """'test accuracy', 'balanced accuracy' or another headline metric, in words."""
    return metric_words(pairs["metric"].iloc[0] if len(pairs) else "accuracy")


def decide_verdict(row: dict[str, Any]) -> str:
    """ABOVE, BELOW, UNDECIDED or UNTESTED for a row of `pairs_table`; with one seed a value of NETWORKS."""
    one_seed = row["n"] == 1
    p = row["networks_corrected_p"] if one_seed else row["all_corrected_p"]
    if pd.isna(p):
        return UNTESTED
    direction = ABOVE if row["difference_points"] > 0 else BELOW
    verdict = direction if p <= ALPHA else UNDECIDED
    return NETWORKS[verdict] if one_seed else verdict


def _variant_row(job: Job) -> str:
    return job.variant


def select_usable(
    rows: Sequence[str], job_outcomes: Iterable[Outcome], name: Callable[[Job], str] = _variant_row
) -> tuple[dict[str, list[Outcome]], list[str]]:
    """The outcomes that count, by row in the order of `rows`; and notes on what is left out."""
    by_row: dict[str, list[Outcome]] = {row: [] for row in rows}
    for outcome in job_outcomes:
        by_row.setdefault(name(outcome.job), []).append(outcome)
    usable, notes = {}, []
    for row, outcomes in by_row.items():
        trained = [o for o in outcomes if o.record and o.record.is_trained]
        if counted := pick_counted(trained, lambda outcome: outcome.status):
            usable[row] = counted
        elif outcomes:
            notes.append(f"{row} is left out: {outcomes[0].reason or outcomes[0].status}")
    if len(rows) > MAX_COMPARED:
        notes.append(
            f"only the first {MAX_COMPARED} of {len(rows):,} variants are compared: name "
            "others under differences.variants"
        )
    return usable, notes


def describe_status(row: dict[str, Any]) -> str:
    """Why a row of `pairs_table` or `score_pairs` has no test; 'ok' if it has one."""
    n, images = row["n"], "networks_p" in row
    if n == 0:
        return "no common seed"
    if n == 1:
        about = ": it compares two networks, not two variants" if images else ": no test"
        return f"only one seed{about}"
    if images and row["seeds_p"] == 1 and pd.isna(row["seeds_low_points"]):
        return "the same predictions in every seed: p is for these networks, not for new seeds"
    if n < MIN_FOR_INTERVAL:
        return "only two seeds: no interval and no test"
    p = row["seeds_p"] if images else row["p"]
    return "no seed differs from another, so the spread is unknown" if pd.isna(p) else "ok"


def median_detectable_difference(pairs: pd.DataFrame) -> tuple[int, float] | None:
    """(seeds, points): the median minimum detectable difference of the pairs with the most seeds."""
    tested = pairs.dropna(subset=["least_detectable_points"])
    if not len(tested):
        return None
    num_seeds = int(tested["n"].max())
    points = tested.loc[tested["n"] == num_seeds, "least_detectable_points"]
    return num_seeds, float(np.median(points))
