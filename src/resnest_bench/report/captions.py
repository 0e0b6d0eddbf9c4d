"""What stands above and below a table: data, devices, software, protocol, and every gap."""

import pandas as pd

from resnest_bench.specs import StudySpec
from resnest_bench.stats.intervals import IMAGES
from resnest_bench.tables.noise import explain_floor
from resnest_bench.words import list_names

MAX_NAMED = 12
TITLES = {
    "ablation": "Ablation",
    "tradeoff": "Accuracy against latency",
    "transfer": "Transfer",
    "accuracies": "Accuracies",
}
INTERVAL = (
    "[low, high] is the 95 % interval of the mean over n seeds (t on the logit scale; for new seeds on "
    "these training and test images; none where all are alike); with n=2 both values are shown, without "
    "an interval; std is the sample standard deviation (n − 1), in points"
)
BINOMIAL = (
    "[low, high] with n=1 is the binomial 95 % interval (Wilson) of that one network on new test "
    "images: it says nothing of another seed"
)

ADAPTIVE = (
    "Seeds were added where a claim was undecided, so that n differs; these intervals are as of seeds "
    "that were fixed beforehand: those of the claims allow for the looks"
)


def distinct(frame: pd.DataFrame, column: str) -> list[str]:
    """Known values of a column in their order; empty where there is no such column."""
    return list(dict.fromkeys(frame[column].dropna())) if column in frame else []


def several(values: list[str]) -> bool:
    """Whether a column of devices or versions names more than one (' and ' joins those of a row)."""
    return len(values) > 1 or any(" and " in value for value in values)


def caption(name: str, table: pd.DataFrame, study: StudySpec) -> str:
    """One paragraph above the table: without it, its figures say nothing."""
    parts = [f"{TITLES[name]}, study {study.study}: {_data(table)}", *_accuracy(table, study)]
    if "latency_p50_ms" in table:
        parts += _latency(table, study)
    if "front_probability" in table and table["front_probability"].notna().any():
        parts.append(_front_text(table))
    if "gain_n" in table:
        parts.append(
            "Gain: accuracy minus that from scratch, paired by seed, in points, with its 95 % t-interval"
        )
    if "printed_accuracy_percent" in table:
        parts.append(
            "'Printed' is the paper's own figure (on a T4, where it is a time), not a measurement of "
            "ours; its ms are a reciprocal throughput"
        )
        if _other_than_the_paper(table, study):
            parts.append(
                "Data or recipe here are not the paper's: differences to it say little of the networks"
            )
    return ". ".join(parts) + "."


def _front_text(table: pd.DataFrame) -> str:
    counts = [
        " or ".join(str(int(n)) for n in distinct(table, name))
        for name in ("front_seeds", "front_rounds")
    ]
    return (
        "On the front: on the Pareto front of mean accuracy and mean p50, among the rows of one device and "
        "setting; P: the probability of lying on it, for new seeds and new rounds on the same images (training and test) and "
        f"machine, from the {counts[0]} seeds and {counts[1]} rounds that the compared rows share"
    )


def _other_than_the_paper(table: pd.DataFrame, study: StudySpec) -> bool:
    """Whether trained rows are of other data than CIFAR-10's archive, or of another recipe."""
    if "gain_n" in table:
        return False
    sources = {study.dataset(name).source for name in distinct(table, "dataset")}
    return sources != {"cifar10"} or set(distinct(table, "recipe")) != {"paper20"}


def _data(table: pd.DataFrame) -> str:
    tests = [f"{int(count):,}" for count in distinct(table, "num_test")]
    images = f"{' or '.join(tests)} test images" if tests else "number of test images unknown yet"
    return f"{' and '.join(distinct(table, 'dataset_label')) or 'no data'}, {images}"


def _accuracy(table: pd.DataFrame, study: StudySpec) -> list[str]:
    recipes = [f"{r} ({study.recipe(r).epochs} epochs)" for r in distinct(table, "recipe")]
    if not recipes:
        return []
    devices, torches = distinct(table, "train_device"), distinct(table, "train_torch")
    on = f", on {'; '.join(devices)}, torch {', '.join(torches)}" if devices else ""
    return [
        f"Test accuracy in % after the last epoch, recipe {', '.join(recipes)}{on}",
        INTERVAL,
        *([BINOMIAL] if IMAGES in distinct(table, "accuracy_interval_about") else []),
        *(["These trainings ran on several devices"] if several(devices) else []),
        *([ADAPTIVE] if study.adaptive else []),
    ]


def _latency(table: pd.DataFrame, study: StudySpec) -> list[str]:
    devices, torches = distinct(table, "latency_device"), distinct(table, "latency_torch")
    if not devices:
        return ["Latency: not measured yet"]
    batches = [str(int(b)) for b in distinct(table, "latency_batch_size")]
    settings = distinct(table, "latency_setting")
    parts = [
        f"Latency: measured, in ms of one call, mean over n rounds (processes of their own) of each "
        f"round's median with its 95 % interval (t on the log scale; with n=2 both values instead) and "
        f"the mean interquartile range (IQR) within a round, at batch "
        f"{' or '.join(batches)}, {' or '.join(settings)}, "
        f"protocol {', '.join(distinct(table, 'protocol'))}, images and classes as in "
        f"{', '.join(distinct(table, 'latency_dataset'))}, on {'; '.join(devices)}, "
        f"torch {', '.join(torches)}",
        "Throughput: batch size over median time, best batch size",
    ]
    if distinct(table, "paper_ms_per_image"):
        parts.append(
            "ms/image: the paper's protocol, consecutive large batches, a reciprocal throughput"
        )
    if several(devices):
        parts.append("These latencies are from several devices: don't compare them across devices")
    if len(batches) > 1 or len(settings) > 1:
        parts.append("These latencies are of several settings: see the notes")
    return parts


def notes(table: pd.DataFrame) -> list[str]:
    """What is to know of the data, one line for each row that is not whole, and what marks mean."""
    found = [
        f"{_row_name(row)}: {row['status']}"
        for row in table.to_dict("records")
        if row["status"] != "ok"
    ]
    if _any(table, "stale") or _any(table, "latency_stale"):
        found.insert(0, "(stale): made by another spec, code or data than the study's is now")
    if _any(table, "latency_noisy"):
        found.insert(0, "(noisy): interquartile range over 10 % of the median")
    return (
        distinct(table, "data_note")
        + found
        + _front_notes(table)
        + _floor_notes(table)
        + _differing_settings(table)
    )


def _front_notes(table: pd.DataFrame) -> list[str]:
    """Why rows have no probability of lying on the front: those of one reason together."""
    if "front_reason" not in table:
        return []
    gaps = table[table["front"].notna() & table["front_probability"].isna()]
    return [
        f"{_who(rows, table)}: no probability of lying on the front: {reason}"
        for reason, rows in gaps.groupby("front_reason", sort=False)
    ]


def _who(rows: pd.DataFrame, table: pd.DataFrame) -> str:
    names = rows["variant"].tolist()
    if len(names) == len(table) > 1:
        return "all"
    return list_names(names, MAX_NAMED)


def _floor_notes(table: pd.DataFrame) -> list[str]:
    """What two latencies must differ by to be more than noise: a line a device and n."""
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
        f"{variant}: latency of batch {batch}, {setting}, on {device}"
        for variant, batch, setting, device in zip(
            timed["variant"], *(timed[a] for a in axes), strict=True
        )
    ]
