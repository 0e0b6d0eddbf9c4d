"""The three tables: ablation, trade-off, transfer. No row is dropped: a gap has its reason."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from resnest_bench.frames.data_notes import data_notes
from resnest_bench.frames.typed import make_frame
from resnest_bench.paths import Experiment, Job
from resnest_bench.specs import StudySpec, VariantSpec
from resnest_bench.specs.tables import TableSpec
from resnest_bench.stats.summary import paired_difference
from resnest_bench.tables import paper_values
from resnest_bench.tables.comparability import COMPARABILITY_COLUMNS, add_comparability
from resnest_bench.tables.consumption import INTEGERS, LISTS, consumption_columns
from resnest_bench.tables.fronts import PANEL
from resnest_bench.tables.headline import headline_columns, headline_values
from resnest_bench.tables.noise import NO_REFERENCE, SEVERAL, FloorKey, NoiseFloor, noise_floors
from resnest_bench.tables.points import headline_points
from resnest_bench.tables.selection import RowGroups, Selection, select
from resnest_bench.tables.values import (
    CELL_COLUMNS,
    RUN_COLUMNS,
    Rows,
    accuracies_by_seed,
    accuracy_values,
    any_stale,
    latency_status,
    latency_values,
    training_status,
)

ACCURACY_COLUMNS = [
    "variant",
    "family",
    "setting",
    "dataset",
    "dataset_label",
    "recipe",
    "num_params",
    "n",
    "accuracy_mean_percent",
    "accuracy_std_points",
    "accuracy_low_percent",
    "accuracy_high_percent",
    "accuracy_interval_about",
    "seeds",
    "seed_accuracies_percent",
    "num_test",
    "binomial_standard_error_points",
    "stale",
    "train_device",
    "train_torch",
]
LATENCY_COLUMNS = [
    "latency_dataset",
    "protocol",
    "num_macs",
    "latency_p50_ms",
    "latency_low_ms",
    "latency_high_ms",
    "latency_rounds",
    "latency_round_p50_ms",
    "latency_p90_ms",
    "latency_iqr_ms",
    "latency_n",
    "latency_noisy",
    "latency_batch_size",
    "latency_setting",
    "latency_stale",
    "latency_does_not_fit",
    "latency_device",
    "latency_torch",
    "throughput_images_per_second",
    "throughput_batch_size",
    "paper_ms_per_image",
    "reference_drift",
    "noise_floor_percent",
    "noise_floor_reason",
]
PRINTED_COLUMNS = [
    "printed_params",
    "printed_accuracy_percent",
    "accuracy_minus_printed_points",
    "printed_ms_per_image",
    "printed_images_per_second",
    "printed_device",
]
FRONT_COLUMNS = ["front", "front_probability", "front_seeds", "front_rounds", "front_reason"]
GAIN_COLUMNS = [
    "gain_n",
    "gain_mean_points",
    "gain_std_points",
    "gain_low_points",
    "gain_high_points",
    "gain_seed_points",
]
LAST_COLUMNS = [*COMPARABILITY_COLUMNS, "data_note", "status"]
TYPES = {
    **dict.fromkeys(["num_params", "num_macs", "num_test", "n", "gain_n", "headline_n"], "Int64"),
    **dict.fromkeys(["latency_n", "latency_rounds"], "Int64"),
    **dict.fromkeys(["latency_batch_size", "throughput_batch_size"], "Int64"),
    **dict.fromkeys(["stale", "latency_noisy", "latency_stale", "latency_does_not_fit"], "boolean"),
    **dict.fromkeys(["front_seeds", "front_rounds", *INTEGERS], "Int64"),
    "front": "boolean",
    **dict.fromkeys(
        [
            "seeds",
            "seed_accuracies_percent",
            "latency_round_p50_ms",
            *("gain_seed_points", *LISTS),
            "headline_seeds",
            "headline_seed_percent",
        ],
        "object",
    ),
}
TEXTS = {
    "variant",
    "family",
    "setting",
    "dataset",
    "dataset_label",
    "recipe",
    "train_device",
    "train_torch",
    "latency_dataset",
    "protocol",
    "teacher",
    "teacher_recipe",
    "base_recipe",
    *("latency_setting", "latency_device"),
    *("latency_torch", "consumption_gap"),
    "printed_params",
    "printed_device",
    "weights",
    "accuracy_interval_about",
    "headline_metric",
    "headline_interval_about",
    "noise_floor_reason",
    "front_reason",
    *LAST_COLUMNS,
}


def ablation_table(study: StudySpec, runs: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """One row per variant of `study.tables.ablation`, in its order; empty if that is null.

    `runs` is from `collect`, `cells` from `cells_frame`. Accuracies are in %, their spread is in
    percentage points, and times are in ms; nothing is rounded. `seeds`, `seed_accuracies_percent` and
    `latency_round_p50_ms` hold lists. Stale values are used only without a fresh one, with `stale` set.
    """
    return _variants_table(study, study.tables.ablation, runs, cells, paper_values.ABLATION)


def tradeoff_table(study: StudySpec, runs: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Like `ablation_table`, for `study.tables.tradeoff`.

    `front` says whether the row is Pareto-optimal among this table's rows of its device and setting.
    `front_probability` is the probability of that (`estimate_front_probabilities`), from `front_seeds`
    seeds and `front_rounds` rounds; NaN with a `front_reason`.
    """
    table = _variants_table(study, study.tables.tradeoff, runs, cells, paper_values.TRADEOFF)
    if not (study.trained and study.timed and len(table)):
        return table
    fronts = _front_columns(study, runs, cells).set_index(["variant", *PANEL])
    keys = pd.MultiIndex.from_frame(table[["variant", "latency_device", "latency_setting"]])
    fronts = make_frame(fronts.reindex(keys).reset_index(drop=True), column_types(FRONT_COLUMNS))
    position = table.columns.tolist().index(LAST_COLUMNS[0])
    for column in reversed(FRONT_COLUMNS):
        table.insert(position, column, fronts[column])
    return table


def other_tables(study: StudySpec, runs: pd.DataFrame, cells: pd.DataFrame) -> list[pd.DataFrame]:
    """One table per training experiment that neither the ablation nor the trade-off table shows.

    So every training of a study is in a table, whatever its `tables` say. Columns are those of
    `ablation_table`, with latencies only if the study times networks on the same dataset.
    """
    selections = [
        select(study, spec) for spec in (study.tables.ablation, study.tables.tradeoff) if spec
    ]
    shown = {chosen.training for chosen in selections}
    trained = dict.fromkeys(Experiment("train", b.dataset, b.recipe) for b in study.trained)
    timed = {block.dataset for block in study.timed}
    tables = []
    for experiment in trained:
        if experiment not in shown:
            is_timed = experiment.dataset in timed
            one = study if is_timed else _without_latencies(study)
            spec = TableSpec(dataset=experiment.dataset, recipe=experiment.recipe)
            tables.append(_variants_table(one, spec, runs, cells, {}))
    return [table for table in tables if len(table)]


def _without_latencies(study: StudySpec) -> StudySpec:
    imported = tuple(study.imported_blocks("train"))
    return study.model_copy(update={"latency": (), "imported": imported})


def _front_columns(study: StudySpec, runs: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    points, _, _ = headline_points(study, runs, cells)
    complete = points.dropna(subset=["x", "y"])
    names = {"front_y_n": "front_seeds", "front_x_n": "front_rounds"}
    return complete.rename(columns=names)[["variant", *PANEL, *FRONT_COLUMNS]]


def _variants_table(
    study: StudySpec,
    spec: TableSpec | None,
    runs: pd.DataFrame,
    cells: pd.DataFrame,
    printed: Mapping[str, paper_values.PrintedRow],
) -> pd.DataFrame:
    columns = [*ACCURACY_COLUMNS, *headline_columns(study)]
    columns += [*LATENCY_COLUMNS, *consumption_columns(study)] if study.timed else []
    if spec is None:
        return make_frame([], column_types([*columns, *LAST_COLUMNS]))
    chosen = select(study, spec)
    groups = RowGroups(runs, RUN_COLUMNS), RowGroups(cells, CELL_COLUMNS)
    rows = [_variant_row(study, chosen, name, *groups) for name in chosen.variants]
    floors = noise_floors(runs)
    rows = [{**row, **_floor_columns(row, floors)} for row in rows]
    if chosen.paper:
        columns += PRINTED_COLUMNS
        rows = [{**row, **_printed(row, printed.get(row["variant"]))} for row in rows]
    noted = complete_rows(study, runs, rows)
    return make_frame(noted, column_types([*columns, *LAST_COLUMNS]))


def _variant_row(
    study: StudySpec, chosen: Selection, name: str, runs: RowGroups, cells: RowGroups
) -> dict[str, Any]:
    trained = runs.select(chosen.training, name)
    status = training_status(trained) if chosen.training else []
    latency: dict[str, Any] = {}
    if chosen.latency:
        timed, measured = (rows.select(chosen.latency, name) for rows in (runs, cells))
        latency = {
            "latency_dataset": chosen.latency.dataset,
            "protocol": chosen.latency.recipe,
            **latency_values(timed, measured),
        }
        status += latency_status(timed, measured)
    accuracy = accuracy_values(trained)
    return {
        **variant_columns(study.variant(name)),
        **data_columns(runs, chosen.training or chosen.latency),
        "recipe": chosen.training and chosen.training.recipe,
        **latency,
        **{key: value for key, value in accuracy.items() if value is not None},
        **headline_values(study, trained),
        "status": "; ".join(status) or "ok",
    }


def _floor_columns(
    row: Mapping[str, Any], floors: Mapping[FloorKey, NoiseFloor | str]
) -> dict[str, Any]:
    """The noise floor of two latencies like this one, in %; or why it is unknown."""
    if not row.get("latency_device"):
        return {}
    key = (row["latency_dataset"], row["protocol"], row["latency_device"])
    floor = floors.get(key) or (SEVERAL if " and " in key[2] else NO_REFERENCE)
    if isinstance(floor, str):
        return {"noise_floor_reason": floor}
    return {
        "noise_floor_percent": floor.percent(row["latency_rounds"]),
        "noise_floor_reason": floor.reason or None,
    }


def variant_columns(variant: VariantSpec) -> dict[str, Any]:
    return {
        "variant": variant.name,
        "family": variant.family,
        "setting": variant.setting if variant.family == "resnest" else None,
    }


def complete_rows(
    study: StudySpec, runs: pd.DataFrame, rows: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Add what each table says last: its comparability, and the notes on its data."""
    rows = add_comparability(study, rows)
    notes = data_notes(study, runs)
    return [{**row, "data_note": notes.get(row["dataset"])} for row in rows]


def data_columns(runs: RowGroups, experiment: Experiment | None) -> dict[str, Any]:
    dataset = experiment and experiment.dataset
    return {"dataset": dataset, "dataset_label": runs.labels.get(dataset, dataset)}


def _printed(row: Mapping[str, Any], printed: paper_values.PrintedRow | None) -> dict[str, Any]:
    if printed is None:
        return {}
    ours = row.get("accuracy_mean_percent")
    return {
        "printed_params": printed.params,
        "printed_accuracy_percent": printed.accuracy_percent,
        "accuracy_minus_printed_points": None if ours is None else ours - printed.accuracy_percent,
        "printed_ms_per_image": printed.ms_per_image,
        "printed_images_per_second": printed.images_per_second,
        "printed_device": printed.device,
    }


def transfer_table(
    study: StudySpec, runs: pd.DataFrame, cells: pd.DataFrame | None = None
) -> pd.DataFrame:
    """One row per fine-tuned variant and recipe, in the study's order; empty without any.

    The gain is the test accuracy minus that of training the same variant from scratch on the same
    data, paired by seed, in percentage points. `gain_n` is the number of seeds that have both. `cells`
    is not used; the signature is that of the other tables.
    """
    printed = study.tables.transfer.paper
    columns = [*ACCURACY_COLUMNS, *headline_columns(study), "weights", *GAIN_COLUMNS]
    columns += PRINTED_COLUMNS[1:3] if printed else []
    groups = dict.fromkeys(
        (job.experiment, job.variant) for job in study.jobs() if job.kind == "finetune"
    )
    row_groups = RowGroups(runs, RUN_COLUMNS)
    rows = [_transfer_row(study, row_groups, *group) for group in groups]
    noted = complete_rows(study, runs, rows)
    return make_frame(noted, column_types([*columns, *LAST_COLUMNS]))


def _transfer_row(
    study: StudySpec, runs: RowGroups, experiment: Experiment, variant: str
) -> dict[str, Any]:
    dataset, recipe = experiment.dataset, experiment.recipe
    tuned = runs.select(experiment, variant)
    values = accuracy_values(tuned)
    status = training_status(tuned)
    row = {
        **variant_columns(study.variant(variant)),
        **data_columns(runs, experiment),
        "recipe": recipe,
        "weights": _describe_weights(study, dataset, variant, recipe),
        **values,
        **headline_values(study, tuned),
    }
    scratch = _scratch_recipe(study, dataset, variant)
    if scratch and scratch != recipe:
        base = runs.select(experiment._replace(recipe=scratch), variant)
        row |= gain_values(tuned, base)
        if any_stale(base):
            status.append(f"the gain is relative to stale values of {scratch}")
    if study.tables.transfer.paper:
        row |= _printed_transfer(variant, recipe, values["accuracy_mean_percent"])
    return {**row, "status": "; ".join(status) or "ok"}


def _printed_transfer(variant: str, recipe: str, ours: float | None) -> dict[str, Any]:
    percent = paper_values.TRANSFER.get((variant, recipe))
    gap = None if percent is None or ours is None else ours - percent
    return {
        "printed_accuracy_percent": percent,
        "accuracy_minus_printed_points": gap,
    }


def _scratch_recipe(study: StudySpec, dataset: str, variant: str) -> str | None:
    """The fine-tuning recipe of this variant that starts from random weights, or None."""
    names = (
        recipe
        for block in study.finetune
        if block.dataset == dataset and variant in block.weights
        for recipe in block.recipes
    )
    return next((name for name in names if study.recipe(name).init == "scratch"), None)


def gain_values(rows: Rows, base: Rows) -> dict[str, Any]:
    """GAIN_COLUMNS: the accuracy of `rows` minus that of `base`, paired by seed, in points."""
    gain = paired_difference(accuracies_by_seed(rows), accuracies_by_seed(base))
    return {
        "gain_n": gain.n,
        "gain_mean_points": gain.mean,
        "gain_std_points": gain.std,
        "gain_low_points": gain.low,
        "gain_high_points": gain.high,
        "gain_seed_points": list(gain.observed),
    }


def _describe_weights(study: StudySpec, dataset: str, variant: str, recipe: str) -> str:
    weights = study.weights(Job("finetune", dataset, recipe, variant, study.seeds[0]))
    if weights is None:
        return "random"
    given = weights.model_dump(exclude_none=True)
    return " ".join(f"{source} {name}" for source, name in given.items())


def column_types(columns: Iterable[str]) -> dict[str, str]:
    return {name: TYPES.get(name, "str" if name in TEXTS else "float64") for name in columns}
