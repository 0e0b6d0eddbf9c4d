"""What stands above and below a table: data, devices, software, protocol, and every gap."""

import pandas as pd

from resnest_bench.specs import StudySpec

TITLES = {"ablation": "Ablation", "tradeoff": "Accuracy against latency", "transfer": "Transfer"}
PLUS_MINUS = (
    "± is half of the 95 % t-interval of the mean over n seeds (none for n=1); "
    "std is the sample standard deviation (n − 1), in points"
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
    if "gain_n" in table:
        parts.append("Gain: accuracy minus that from scratch, paired by seed, in points")
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
        PLUS_MINUS,
        *(["These trainings ran on several devices"] if several(devices) else []),
    ]


def _latency(table: pd.DataFrame, study: StudySpec) -> list[str]:
    devices, torches = distinct(table, "latency_device"), distinct(table, "latency_torch")
    if not devices:
        return ["Latency: not measured yet"]
    batches = [str(int(b)) for b in distinct(table, "latency_batch_size")]
    settings = distinct(table, "latency_setting")
    parts = [
        f"Latency: measured, in ms of one call, mean over n rounds (processes of their own) of each "
        f"round's median ± half of its 95 % t-interval (none for n=1) [interquartile range], at batch "
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
    """One line for each row that is not whole, and the marks explained where they occur."""
    found = [
        f"{_row_name(row)}: {row['status']}"
        for row in table.to_dict("records")
        if row["status"] != "ok"
    ]
    if _any(table, "stale") or _any(table, "latency_stale"):
        found.insert(0, "(stale): made by another spec, code or data than the study's is now")
    if _any(table, "latency_noisy"):
        found.insert(0, "(noisy): interquartile range over 10 % of the median")
    return found + _differing_settings(table)


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
