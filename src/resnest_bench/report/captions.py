"""Captions above tables and notes below them: data, devices, software, protocol, and every gap."""

from dataclasses import dataclass

import pandas as pd

from resnest_bench.formats import row_dicts
from resnest_bench.specs import StudySpec
from resnest_bench.stats.intervals import IMAGES
from resnest_bench.tables.comparability import describe_comparability
from resnest_bench.tables.headline import metric_words
from resnest_bench.tables.noise import explain_floor
from resnest_bench.words import list_names

MAX_NAMED = 12
TITLES = {
    "ablation": "Ablation",
    "tradeoff": "Accuracy against latency",
    "transfer": "Transfer",
    "distillation": "Distillation",
    "accuracies": "Accuracies",
}
STALE = "(stale): the spec, code or data of the record are no longer those of the study"
INTERVAL = (
    "[low, high] is the 95 % interval of the mean over n seeds (t on the logit scale)",
    "It is for new seeds on these training and test images",
    "With n=2 both values are shown instead of an interval; equal values have no interval either",
    "std is the sample standard deviation (n − 1), in points",
)
BINOMIAL = (
    "With n=1 it is the binomial 95 % interval (Wilson) of that one network on new test images; it says "
    "nothing about another seed"
)
ADAPTIVE = (
    "Seeds were added while a claim was undecided, so n differs",
    "These intervals assume a fixed number of seeds; those of the claims allow for the interim analyses",
)


@dataclass(frozen=True)
class Caption:
    """What a table shows, in one line, and in further sentences how to read it.

    >>> print(Caption("Ablation, study demo: digits, 360 test images", ("std is in points",)))
    Ablation, study demo: digits, 360 test images. std is in points.
    """

    line: str
    method: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The whole caption as one paragraph."""
        return " ".join(f"{sentence}." for sentence in (self.line, *self.method))


def distinct(frame: pd.DataFrame, column: str) -> list[str]:
    """The known values of a column in their order; empty without such a column."""
    return list(dict.fromkeys(frame[column].dropna())) if column in frame else []


def several(values: list[str]) -> bool:
    """Whether a column of devices or versions has more than one value (' and ' joins those of a row)."""
    return len(values) > 1 or any(" and " in value for value in values)


def caption(name: str, table: pd.DataFrame, study: StudySpec) -> Caption:
    """The caption of one of the tables in TITLES."""
    method = _accuracy(table, study)
    if "latency_p50_ms" in table:
        method += _latency(table, study)
    if "front_probability" in table and table["front_probability"].notna().any():
        method += _front(table)
    if "gain_n" in table:
        base = "without the teacher" if "teacher" in table else "from scratch"
        method.append(
            f"Gain is the accuracy minus that of training {base}, paired by seed, in points, with its "
            "95 % t-interval"
        )
    if "printed_accuracy_percent" in table:
        method.append(
            "'Printed' is the paper's figure (times on a T4), not a measurement of ours; its ms is a "
            "reciprocal throughput"
        )
        if _differs_from_paper(table, study):
            method.append(
                "Data or recipe are not the paper's: the difference says little about the networks"
            )
    return Caption(f"{TITLES[name]}, study {study.study}: {_data(table)}", tuple(method))


def _front(table: pd.DataFrame) -> list[str]:
    seeds, rounds = (
        " or ".join(str(int(n)) for n in distinct(table, name))
        for name in ("front_seeds", "front_rounds")
    )
    return [
        "A row is Pareto-optimal if no row of its device and setting dominates it: at least as good in mean "
        "accuracy and p50, and better in one",
        "P(Pareto-optimal) is its probability for new seeds and new rounds on the same images and machine",
        f"It is estimated from the {seeds} seeds and {rounds} rounds that the compared rows share",
    ]


def _differs_from_paper(table: pd.DataFrame, study: StudySpec) -> bool:
    """Whether trained rows have other data than CIFAR-10's archive, or another recipe."""
    if "gain_n" in table:
        return False
    sources = {study.dataset(name).source for name in distinct(table, "dataset")}
    return sources != {"cifar10"} or set(distinct(table, "recipe")) != {"paper20"}


def _data(table: pd.DataFrame) -> str:
    tests = [f"{int(count):,}" for count in distinct(table, "num_test")]
    images = f"{' or '.join(tests)} test images" if tests else "number of test images still unknown"
    return f"{' and '.join(distinct(table, 'dataset_label')) or 'no data'}, {images}"


def _accuracy(table: pd.DataFrame, study: StudySpec) -> list[str]:
    recipes = [_describe_recipe(study, r) for r in distinct(table, "recipe")]
    if not recipes:
        return []
    devices, torches = distinct(table, "train_device"), distinct(table, "train_torch")
    on = f", on {'; '.join(devices)}" if devices else ""
    on += _describe_torch(torches) if devices else ""
    return [
        f"Test accuracy is in %{_describe_moment(table, study)}, with recipe {', '.join(recipes)}{on}",
        *_headline(study),
        *INTERVAL,
        *([BINOMIAL] if IMAGES in distinct(table, "accuracy_interval_about") else []),
        *(["These trainings ran on several devices"] if several(devices) else []),
        *(ADAPTIVE if study.adaptive else []),
    ]


def _describe_torch(versions: list[str]) -> str:
    return f", torch {', '.join(versions)}" if versions else ""


def _describe_recipe(study: StudySpec, name: str) -> str:
    spec = study.all_recipes.get(name)
    return f"{name} ({spec.epochs} epochs)" if spec else name


def _describe_moment(table: pd.DataFrame, study: StudySpec) -> str:
    """When accuracies were measured, and which come from elsewhere."""
    shown = {(row["dataset"], row["recipe"], row["variant"]) for row in row_dicts(table)}
    trained_on = {block.dataset: block.trained_on for block in study.imported if block.trained_on}
    foreign = {
        (j.dataset, j.recipe, j.variant)
        for j in study.imported_jobs()
        if j.kind == "train" and j.dataset not in trained_on
    }
    foreign &= shown
    if not foreign:
        sources = {trained_on[dataset] for dataset, *_ in shown if dataset in trained_on}
        names = list_names(sorted(sources), 10)
        return ", after the last epoch" + (f" on {names}, whose weights these are" if names else "")
    names = list_names(sorted(name for *_, name in foreign), 10)
    if foreign == shown:
        return ", imported from elsewhere and not measured here"
    return (
        f", after the last epoch; that of {names} is imported from elsewhere and not measured here"
    )


def _headline(study: StudySpec) -> list[str]:
    if study.headline_metric == "accuracy":
        return []
    return [
        f"The study's headline metric is the {metric_words(study.headline_metric)}, in %, on the same images; "
        "its interval is for new seeds"
    ]


def _latency(table: pd.DataFrame, study: StudySpec) -> list[str]:
    devices, torches = distinct(table, "latency_device"), distinct(table, "latency_torch")
    if not devices:
        return ["Latency is not measured yet"]
    batches = [str(int(b)) for b in distinct(table, "latency_batch_size")]
    settings = distinct(table, "latency_setting")
    sentences = [
        f"Latency is in ms per call, at batch size {' or '.join(batches)}, {' or '.join(settings)}, on "
        f"{'; '.join(devices)}{_describe_torch(torches)}",
        f"The protocol is {', '.join(distinct(table, 'protocol'))}, with images and classes as in "
        f"{', '.join(distinct(table, 'latency_dataset'))}",
        "Latency p50 is the mean of the medians of n rounds (separate processes), with its 95 % interval (t "
        "on the log scale; with n=2 both values)",
        "IQR is the mean interquartile range within a round",
        "images/s is the batch size divided by the median time, at the best batch size",
    ]
    if distinct(table, "paper_ms_per_image"):
        sentences.append(
            "ms/image follows the paper's protocol: a reciprocal throughput of consecutive large batches"
        )
    if several(devices):
        sentences.append("Latencies of several devices can't be compared with each other")
    if len(batches) > 1 or len(settings) > 1:
        sentences.append("These latencies have several settings: see the notes")
    return sentences


def notes(table: pd.DataFrame) -> list[str]:
    """Notes on the data, one line per incomplete row, and the meaning of the marks."""
    lines = [
        f"{_row_name(row)}: {row['status']}"
        for row in table.to_dict("records")
        if row["status"] != "ok"
    ]
    if _any(table, "stale") or _any(table, "latency_stale"):
        lines.insert(0, STALE)
    if _any(table, "latency_noisy"):
        lines.insert(0, "(noisy): the interquartile range exceeds 10 % of the median")
    return (
        distinct(table, "data_note")
        + lines
        + _front_notes(table)
        + _floor_notes(table)
        + _consumption_notes(table)
        + _differing_settings(table)
        + describe_comparability(table)
    )


def _front_notes(table: pd.DataFrame) -> list[str]:
    """Why rows have no probability of being Pareto-optimal, one line per reason."""
    if "front_reason" not in table:
        return []
    gaps = table[table["front"].notna() & table["front_probability"].isna()]
    return [
        f"{_name_rows(rows, table)}: no probability of being Pareto-optimal: {reason}"
        for reason, rows in gaps.groupby("front_reason", sort=False)
    ]


def _consumption_notes(table: pd.DataFrame) -> list[str]:
    """Why rows have no memory or energy, one line per reason."""
    if "consumption_gap" not in table:
        return []
    gaps = table[table["consumption_gap"].notna()]
    return [
        f"{_name_rows(rows, table)}: no {reason}"
        for reason, rows in gaps.groupby("consumption_gap", sort=False)
    ]


def _name_rows(rows: pd.DataFrame, table: pd.DataFrame) -> str:
    names = rows["variant"].tolist()
    if len(names) == len(table) > 1:
        return "all"
    return list_names(names, MAX_NAMED)


def _floor_notes(table: pd.DataFrame) -> list[str]:
    """The noise floor of two latencies: one line per device and n."""
    if "noise_floor_percent" not in table:
        return []
    keys = [
        "protocol",
        "latency_device",
        "noise_floor_percent",
        "latency_rounds",
        "noise_floor_reason",
    ]
    timed = table.dropna(subset=["latency_device"])[keys].drop_duplicates()
    return [
        f"Noise floor, protocol {protocol}, on {device}: {explain_floor(*floor)}"
        for protocol, device, *floor in timed.itertuples(index=False, name=None)
    ]


def _any(table: pd.DataFrame, column: str) -> bool:
    return column in table and bool(table[column].fillna(False).any())


def _row_name(row: dict) -> str:
    return f"{row['variant']}, {row['recipe']}" if "gain_n" in row else row["variant"]


def _differing_settings(table: pd.DataFrame) -> list[str]:
    if "latency_setting" not in table:
        return []
    axes = ["latency_batch_size", "latency_setting", "latency_device"]
    timed = table.dropna(subset=axes)
    if len(timed[axes].drop_duplicates()) < 2:
        return []
    return [
        f"{variant}: latency at batch size {batch}, {setting}, on {device}"
        for variant, batch, setting, device in zip(
            timed["variant"], *(timed[a] for a in axes), strict=True
        )
    ]
