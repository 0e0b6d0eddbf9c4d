"""Two networks head to head: their pair among all others, their seeds, and the test images one by one.

A network here is a variant as one experiment trains it, so that two recipes of one variant are two of them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from resnest_bench.comparisons.differences import (
    OPPOSITE,
    Differences,
    compare_usable,
    select_usable,
)
from resnest_bench.comparisons.image_outcomes import ImageOutcomes
from resnest_bench.comparisons.pairs import MARGIN_COLUMNS
from resnest_bench.comparisons.scores import ScoreValues, compare_values
from resnest_bench.formats import is_known, row_dicts
from resnest_bench.frames.correctness import build_correctness, share_images
from resnest_bench.frames.fresh import keep_counted
from resnest_bench.frames.predictions import load_predictions
from resnest_bench.frames.typed import make_frame
from resnest_bench.paths import Experiment, Job
from resnest_bench.records import Record
from resnest_bench.specs.differences import DifferencesSpec
from resnest_bench.specs.scores import metric_column, metric_factor
from resnest_bench.status.outcomes import Outcome
from resnest_bench.tables.selection import Experiments

POPULATIONS = ("seeds", "all", "networks")
VALUE_COLUMNS = {"row": "str", "seed": "Int64", "percent": "float64"}


class Network(NamedTuple):
    """A variant and the experiment that trains it; None where the study only times it."""

    variant: str
    experiment: Experiment | None

    @property
    def row(self) -> str:
        """Its name in tables of recipes: 'ResNet-18, paper20'."""
        return self.variant + (f", {self.experiment.recipe}" if self.experiment else "")


@dataclass(frozen=True, eq=False)
class HeadToHead:
    """What the records say of two networks.

    `pair` is their row of `compute_differences`, the first minus the second, among the `num_pairs` that it
    was corrected with; None where `notes` say why there is none. `values` has a row for each network and
    seed. `images` is None where the results for each image aren't known.
    """

    one: Network
    other: Network
    names: tuple[str, str]
    pair: Mapping[str, Any] | None
    num_pairs: int
    differences: Differences | None
    values: pd.DataFrame
    images: ImageOutcomes | None
    notes: tuple[str, ...]


def name_two(one: Network, other: Network) -> tuple[str, str]:
    """Short names that differ: those of the variants or, for the same or other recipes, with the recipe."""
    if one.variant != other.variant and one.experiment == other.experiment:
        return one.variant, other.variant
    names = one.row, other.row
    if names[0] == names[1] and one.experiment and other.experiment:
        return f"{names[0]} ({one.experiment.kind})", f"{names[1]} ({other.experiment.kind})"
    return names


def orient_pair(pairs: pd.DataFrame, one: str, other: str) -> dict[str, Any] | None:
    """The row of two variants as `one` minus `other`, whichever way round the table has it."""
    for row in row_dicts(pairs):
        if (row["variant"], row["base"]) == (one, other):
            return row
        if (row["variant"], row["base"]) == (other, one):
            return mirror_pair(row)
    return None


def mirror_pair(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `compute_differences` with its sides exchanged."""
    mirrored = {
        **row,
        "variant": row["base"],
        "base": row["variant"],
        "variant_n": row["base_n"],
        "base_n": row["variant_n"],
        "difference_points": -row["difference_points"],
        "seed_differences_points": [-value for value in row["seed_differences_points"] or []],
        "verdict": OPPOSITE.get(row["verdict"], row["verdict"]),
        "probability_worse": row["probability_better"],
        "probability_better": row["probability_worse"],
    }
    if is_known(row["effect_size"]):
        mirrored["effect_size"] = -row["effect_size"]
    for about in POPULATIONS:
        low, high = f"{about}_low_points", f"{about}_high_points"
        mirrored |= {low: -row[high], high: -row[low]}
    for name in ("mean_better_seeds", "mean_better_all", "pair_better"):
        mirrored[name] = 1 - row[name]
    mirrored |= {
        "pair_better_low": 1 - row["pair_better_high"],
        "pair_better_high": 1 - row["pair_better_low"],
    }
    assert set(MARGIN_COLUMNS) <= set(mirrored), "every column of a margin is turned round"
    return mirrored


def _find_network(record: Record) -> Network:
    job = record.job
    return Network(job.variant, Experiment(job.kind, job.dataset, job.recipe))


def network_jobs(jobs: Iterable[Job], networks: Sequence[Network]) -> list[Job]:
    """The trainings of these networks."""
    wanted = set(networks)
    return [job for job in jobs if Network(job.variant, job.experiment) in wanted]


def collect_values(
    runs: pd.DataFrame, networks: Mapping[str, Network], metric: str
) -> pd.DataFrame:
    """One row per network (by name) and seed that counts: the value of a measure, a share in %."""
    column, factor = metric_column(metric), metric_factor(metric)
    rows: list[dict[str, Any]] = []
    for name, network in networks.items():
        if network.experiment is None:
            continue
        own = Experiments(network.experiment, None).runs(runs)
        own = keep_counted(own[own["variant"] == network.variant], ["variant"])
        known = own.dropna(subset=[column]).sort_values("seed")
        rows += [
            {"row": name, "seed": seed, "percent": factor * value}
            for seed, value in zip(known["seed"], known[column], strict=True)
        ]
    return make_frame(rows, VALUE_COLUMNS)


def compare_networks(
    networks: Mapping[str, Network],
    job_outcomes: Sequence[Outcome],
    values: pd.DataFrame,
    runs: pd.DataFrame,
    metric: str,
    spec: DifferencesSpec,
) -> Differences:
    """Two networks that no table of the study compares, such as two variants by two recipes."""
    one, other = networks
    by_network = {network: name for name, network in networks.items()}
    recipes = [network.experiment.recipe for network in networks.values() if network.experiment]
    recipe = " and ".join(dict.fromkeys(recipes))

    def name_job(job: Job) -> str:
        return by_network[Network(job.variant, job.experiment)]

    def name_record(record: Record) -> str:
        return by_network[_find_network(record)]

    usable, notes = select_usable([other, one], job_outcomes, name_job)
    if metric == "accuracy" and share_images(
        o.record for outcomes in usable.values() for o in outcomes if o.record
    ):

        def choose_pairs(known: Sequence[str]) -> list[tuple[str, str]]:
            return [(one, other)] if len(known) > 1 else []

        return compare_usable(usable, choose_pairs, notes, spec, recipe, name_record)
    by_row: dict[str, dict[int, float]] = {
        str(name): dict(zip(rows["seed"], rows["percent"], strict=True))
        for name, rows in values.groupby("row", sort=False)
    }
    stale = {name for name, outcomes in usable.items() if outcomes[0].status == "stale"}
    tests = runs.loc[runs["variant"].isin([n.variant for n in networks.values()]), "num_test"]
    labels = runs.loc[runs["dataset"].isin([j.job.dataset for j in job_outcomes]), "dataset_label"]
    found = ScoreValues(
        metric,
        by_row,
        frozenset(stale),
        int(tests.dropna().iloc[0]) if tests.notna().any() else None,
        str(labels.dropna().iloc[0]) if labels.notna().any() else "",
        (),
    )
    pairs = [(one, other)] if len(by_row) > 1 else []
    return compare_values(found, pairs, notes, spec, recipe)


def collect_images(
    networks: Mapping[str, Network], job_outcomes: Sequence[Outcome]
) -> ImageOutcomes | str:
    """Right and wrong answers of two networks for each test image; or why they can't be matched."""
    by_network = {network: name for name, network in networks.items()}

    def name_job(job: Job) -> str:
        return by_network[Network(job.variant, job.experiment)]

    usable, _ = select_usable(list(networks), job_outcomes, name_job)
    missing = [name for name in networks if name not in usable]
    if missing:
        return f"{' and '.join(missing)} {'has' if len(missing) == 1 else 'have'} no training that counts"
    counted = {name: [o for o in usable[name] if o.record] for name in networks}
    records = [o.record for outcomes in counted.values() for o in outcomes if o.record]
    if not share_images(records):
        return "the results were imported without one for each test image, or for other images"
    try:
        correct = build_correctness(records, lambda record: by_network[_find_network(record)])
    except ValueError as error:
        return str(error)
    first = records[0].dataset
    assert first is not None, "`build_correctness` takes no record without a dataset"
    labels, predicted = _collect_predictions(counted)
    seeds = {name: tuple(sorted(o.job.seed for o in counted[name])) for name in networks}
    return ImageOutcomes(
        {name: correct.select(name) for name in networks},
        seeds,
        correct.fingerprint,
        first.label,
        tuple(" ".join(name.split()) for name in first.classes),
        labels,
        predicted,
    )


def _collect_predictions(
    counted: Mapping[str, Sequence[Outcome]],
) -> tuple[np.ndarray | None, dict[str, np.ndarray]]:
    """Labels, where one record has them, and the predictions of networks of which every seed has them."""
    labels: np.ndarray | None = None
    predicted: dict[str, np.ndarray] = {}
    for name, outcomes in counted.items():
        found = [
            load_predictions(outcome)[0] for outcome in sorted(outcomes, key=lambda o: o.job.seed)
        ]
        known = [one for one in found if one is not None]
        if known and labels is None:
            labels = known[0].labels_N.astype(int)
        if known and len(known) == len(found):
            predicted[name] = np.array([one.predicted_N for one in known]).astype(int)
    return labels, predicted


def list_spec_differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> pd.DataFrame:
    """One row per key of two specs whose values differ, nested keys with dots; '–' where one has none."""
    flat = [_flatten(spec) for spec in (one, other)]
    keys = list(dict.fromkeys([*flat[0], *flat[1]]))
    rows = [
        {"key": key, "one": _text(flat[0], key), "other": _text(flat[1], key)}
        for key in keys
        if flat[0].get(key, "") != flat[1].get(key, "") or (key in flat[0]) != (key in flat[1])
    ]
    return make_frame(rows, dict.fromkeys(["key", "one", "other"], "str"))


def _flatten(spec: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in spec.items():
        if isinstance(value, dict) and value:
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _text(flat: Mapping[str, Any], key: str) -> str:
    if key not in flat:
        return "–"
    value = flat[key]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
