"""Two networks head to head, for readers: their pair among the study's tables, and the verdict in words."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from resnest_bench.comparisons.differences import (
    ABOVE,
    BELOW,
    MAX_EVERY,
    NETWORKS,
    UNTESTED,
    Differences,
    Trainings,
    describe_population,
    find_trainings,
    name_measure,
    show_population,
)
from resnest_bench.comparisons.head_to_head import (
    HeadToHead,
    Network,
    collect_images,
    collect_values,
    compare_networks,
    list_spec_differences,
    name_two,
    network_jobs,
    orient_pair,
)
from resnest_bench.comparisons.image_outcomes import ImageOutcomes
from resnest_bench.errors import UserError
from resnest_bench.formats import (
    format_p_value,
    format_probability,
    format_signed,
    format_significant,
    is_known,
    row_dicts,
)
from resnest_bench.frames.fresh import keep_counted
from resnest_bench.frames.typed import make_frame
from resnest_bench.results import MAX_RANKED, StudyResults
from resnest_bench.specs import StudySpec
from resnest_bench.specs.scores import metric_column
from resnest_bench.tables.selection import Experiments

if TYPE_CHECKING:
    from resnest_bench.data.prepared import PreparedDataset

SPEC_COLUMNS = dict.fromkeys(["part", "key", "one", "other"], "str")


def compare_two(results: StudyResults, one: Network, other: Network) -> HeadToHead:
    """Everything that the records say of two networks.

    Where a table of the study compares them, the pair is its row, with its correction. Of many variants
    each is compared with `other`, as with that base on the page of differences.
    """
    names = name_two(one, other)
    networks = dict(zip(names, (one, other), strict=True))
    metric = results.spec.headline_metric
    values = collect_values(results.runs, networks, metric)
    if obstacle := _name_obstacle(one, other):
        return HeadToHead(one, other, names, None, 0, None, values, None, (obstacle,))
    outcomes = results.read_outcomes(network_jobs(results.spec.jobs(), [one, other]))
    pair, differences = None, _find_differences(results, one, other)
    if differences:
        rows = names if one.experiment == other.experiment else (one.row, other.row)
        pair = orient_pair(differences.pairs, *rows)
    if differences is None or pair is None:
        spec = results.spec.differences
        differences = compare_networks(networks, outcomes, values, results.runs, metric, spec)
        pair = orient_pair(differences.pairs, *names)
    images = collect_images(networks, outcomes)
    notes = list(differences.notes) if pair is None else []
    notes += [images] if isinstance(images, str) else []
    known = None if isinstance(images, str) else _add_labels(results, one, images)
    count = len(differences.pairs)
    return HeadToHead(one, other, names, pair, count, differences, values, known, tuple(notes))


def open_images(results: StudyResults, dataset: str, fingerprint: str) -> "PreparedDataset | None":
    """The prepared data of a dataset, where it is on this machine and has these images."""
    if results.fingerprints.get(dataset) != fingerprint:
        return None
    # Pages without pictures need not wait for it.
    from resnest_bench.data.prepared import open_prepared

    try:
        return open_prepared(results.spec.prepared(dataset))
    except UserError:
        return None


def _add_labels(results: StudyResults, one: Network, images: ImageOutcomes) -> ImageOutcomes:
    """Old records don't say the label of each image; the data may."""
    if images.labels_N is not None or one.experiment is None:
        return images
    prepared = open_images(results, one.experiment.dataset, images.fingerprint)
    if prepared is None or len(prepared.test) != images.num_images:
        return images
    return images.with_labels(prepared.test.labels, prepared.meta.classes)


def _name_obstacle(one: Network, other: Network) -> str:
    """Why two networks can't have a difference in accuracy; empty if they may have one."""
    untrained = [network.variant for network in (one, other) if network.experiment is None]
    if untrained:
        return f"this study does not train {' or '.join(untrained)}"
    if one == other:
        return "they are the same network"
    assert one.experiment, "it is trained"
    assert other.experiment, "it is trained"
    data = one.experiment.dataset, other.experiment.dataset
    return (
        "" if len(set(data)) == 1 else f"they are tested on different images ({' and '.join(data)})"
    )


def _find_differences(results: StudyResults, one: Network, other: Network) -> Differences | None:
    """The table of the study that may have this pair."""
    if one.experiment == other.experiment and one.experiment:
        trainings = find_trainings(results.spec, one.experiment)
        if not {one.variant, other.variant} <= set(trainings.variants):
            return None
        if len(trainings.variants) <= MAX_EVERY:
            return results.compare(trainings)
        if len(trainings.variants) > MAX_RANKED:
            wanted = {one.variant, other.variant, *_rank(results, trainings)[:MAX_RANKED]}
            names = [name for name in trainings.variants if name in wanted]
            trainings = find_trainings(results.spec, one.experiment, names)
        return results.compare(trainings, other.variant)
    if one.variant == other.variant:
        for _, differences in results.recipe_comparisons:
            if orient_pair(differences.pairs, one.row, other.row):
                return differences
    return None


def _rank(results: StudyResults, trainings: Trainings) -> list[str]:
    """The variants of an experiment by their mean headline metric, the highest first."""
    column = metric_column(results.spec.headline_metric)
    rows = keep_counted(Experiments(trainings.experiment, None).runs(results.runs), ["variant"])
    means = rows.groupby("variant", sort=False)[column].mean().dropna()
    return [str(name) for name in means.sort_values(ascending=False, kind="stable").index]


def spec_table(study: StudySpec, one: Network, other: Network) -> pd.DataFrame:
    """One row per key of the config in which two networks differ: of the variant, then of the recipe."""
    parts = {"network": [study.variant(n.variant).model_dump(mode="json") for n in (one, other)]}
    for spec in parts["network"]:
        for key in ("name", "note"):
            spec.pop(key, None)
    if one.experiment and other.experiment:
        recipes = [one.experiment.recipe, other.experiment.recipe]
        if recipes[0] != recipes[1] and all(name in study.all_recipes for name in recipes):
            parts["recipe"] = [study.recipe(name).model_dump(mode="json") for name in recipes]
    tables = [list_spec_differences(*specs).assign(part=part) for part, specs in parts.items()]
    return make_frame(pd.concat(tables, ignore_index=True), SPEC_COLUMNS)


def describe_pair(found: HeadToHead) -> str:
    """The verdict on two networks in a sentence: which is better, by how much, and how sure that is."""
    one, other = found.names
    if found.pair is None:
        return f"{one} and {other} can't be compared: {found.notes[0] if found.notes else 'no result'}."
    table = make_frame([found.pair], dict.fromkeys(found.pair, "object"))
    row = row_dicts(show_population(table))[0]
    measure = name_measure(table)
    verdict, points = row["verdict"], row["difference_points"]
    if not is_known(points):
        return f"{one} and {other} can't be compared yet: {row['status']}."
    if verdict in (ABOVE, BELOW):
        better, worse = (one, other) if verdict == ABOVE else (other, one)
        size = f"{abs(points):.2f} points {_interval(row, verdict == ABOVE)}".strip()
        return f"{better} is better than {worse}: {size} higher in {measure}."
    size = f"{format_signed(points)} points {_interval(row)}".strip()
    if verdict in NETWORKS.values():
        words = {
            NETWORKS[ABOVE]: f"this one {one} is better than this one {other}",
            NETWORKS[BELOW]: f"this one {other} is better than this one {one}",
        }
        what = words.get(verdict, "the two trained networks are not distinguishable")
        return (
            f"One seed gives no verdict on the variants; on new test images {what} ({one} minus "
            f"{other}: {size})."
        )
    if verdict == UNTESTED:
        return f"{one} and {other} have not been tested ({row['status']}): {one} minus {other} is {size}."
    return f"No significant difference in {measure}: {one} minus {other} is {size}."


def _interval(row: Mapping[str, Any], upright: bool = True) -> str:
    """'[0.4, 4.8]' for the population of the verdict; empty without an interval."""
    about = "networks" if row["n"] == 1 else "all"
    low, high = row[f"{about}_low_points"], row[f"{about}_high_points"]
    if not is_known(low):
        return ""
    low, high = (low, high) if upright else (-high, -low)
    return f"[{low:.1f}, {high:.1f}]"


def explain_pair(found: HeadToHead) -> list[str]:
    """How sure the verdict is, and what would make it surer, as sentences."""
    if found.pair is None or not is_known(found.pair["difference_points"]):
        return []
    table = make_frame([found.pair], dict.fromkeys(found.pair, "object"))
    row = row_dicts(show_population(table))[0]
    if row["n"] == 1:
        return [f"{_p_text('p', row['networks_corrected_p'])} (McNemar's test), one seed each."]
    numbers = f"{row['variant_n']} and {row['base_n']}"
    seeds = f"{row['n']} seeds each" if row["variant_n"] == row["base_n"] else f"{numbers} seeds"
    lines = [f"For {describe_population(table)}, {seeds}."]
    if is_known(row["all_corrected_p"]):
        pairs = "this pair alone" if found.num_pairs == 1 else f"{found.num_pairs} pairs"
        better = _p_text(
            f"P({found.names[0]} is better)", row["mean_better_all"], format_probability
        )
        lines[0] = (
            f"For {describe_population(table)}: {_p_text('corrected p', row['all_corrected_p'])} over {pairs}, "
            f"{better}, {seeds}."
        )
    if row["verdict"] not in (ABOVE, BELOW) and is_known(row["least_detectable_points"]):
        lines.append(
            f"These seeds detect a difference of {format_significant(row['least_detectable_points'], 2)} "
            "points; a smaller one may well exist."
        )
        if is_known(row["seeds_needed"]):
            lines.append(
                f"If the observed difference is the true one, about {row['seeds_needed']:,} seeds of each "
                "would show it."
            )
    if is_known(row["probability_alike"]):
        lines.append(
            f"Within the study's margin with probability {format_probability(row['probability_alike'])}."
        )
    return lines


def _p_text(name: str, value: Any, write: Callable[[Any], str] = format_p_value) -> str:
    """'p=0.04' or 'p<0.001'."""
    text = write(value)
    return f"{name}{text}" if text[0] in "<>" else f"{name}={text}"


def describe_ratio(row: Mapping[str, Any]) -> str:
    """A row of `ratios_by_batch` in a sentence; empty without a ratio."""
    if not is_known(row["time_ratio"]):
        return ""
    low, high = row["low_ratio"], row["high_ratio"]
    bounds = f" [{low:.2f}, {high:.2f}]" if is_known(low) else ""
    return (
        f"At batch size {row['batch_size']}, {row['variant']} takes {row['time_ratio']:.2f}{bounds} times as "
        f"long as {row['base']}: {row['noise']} (n={row['n']} rounds)."
    )
