"""The values of a table's row: accuracy over seeds, latency over rounds, and a status in words.

Rows are a frame or a list of dicts. A study can have thousands of variants with a handful of rows
each, and for so few rows dicts are a hundred times faster.
"""

from collections.abc import Iterable
from statistics import fmean
from typing import Any

import pandas as pd

from resnest_bench.formats import is_known, row_dicts
from resnest_bench.frames.fresh import pick_counted
from resnest_bench.records.imports import UNKNOWN
from resnest_bench.records.metrics import SCORES
from resnest_bench.stats.intervals import ALL_ALIKE, IMAGES, SEEDS, TWO_VALUES, wilson_interval
from resnest_bench.stats.summary import (
    MIN_FOR_INTERVAL,
    PERCENT,
    POSITIVE,
    Summary,
    binomial_standard_error,
    summarise,
)

Row = dict[str, Any]
Rows = pd.DataFrame | list[Row]

# Two latencies are comparable if they agree in these, and in the device.
CELL_AXES = ["batch_size", "precision", "layout", "mode"]
DEVICE = ["device_kind", "device_name", "num_cpu_threads"]
# The columns of `runs` and `cells` that this module reads.
RUN_COLUMNS = [
    "status",
    "reason",
    "seed",
    "test_accuracy",
    "test_loss",
    *SCORES,
    "num_test",
    "num_params",
    "num_macs",
    "paper_ms_per_image",
    "cost_per_million_images",
    "reference_drift",
    "torch",
    "data_fingerprint",
    "remark",
    *DEVICE,
]
CELL_COLUMNS = [
    "seed",
    "primary",
    *CELL_AXES,
    "available",
    "unavailable_reason",
    "does_not_fit",
    "n",
    "p50_ms",
    "p90_ms",
    "iqr_ms",
    "noisy",
    "throughput_images_per_second",
    "peak_memory_bytes",
    "resident_bytes",
    "energy_joules_per_image",
    "cost_per_million_images",
    "consumption_gap",
]


def _dicts(rows: Rows, columns: list[str]) -> list[Row]:
    return rows if isinstance(rows, list) else row_dicts(rows[columns])


def counted_rows(rows: Rows, columns: list[str] = RUN_COLUMNS) -> list[Row]:
    """The rows that count (see `frames.fresh`) as dicts of `columns`."""
    return pick_counted(_dicts(rows, columns), lambda row: row["status"])


def any_stale(rows: Rows) -> bool:
    """Whether the rows that count are stale."""
    return any(row["status"] == "stale" for row in counted_rows(rows, ["status"]))


def accuracies_by_seed(rows: Rows) -> dict[int, float]:
    """Test accuracy in % by seed, for the rows that count."""
    return {
        row["seed"]: 100 * row["test_accuracy"]
        for row in counted_rows(rows, ["status", "seed", "test_accuracy"])
        if is_known(row["test_accuracy"])
    }


def accuracy_values(rows: Rows) -> dict[str, Any]:
    """Test accuracy of one variant over its seeds, in % and points, with n and the number of images.

    `accuracy_low_percent` and `_high_` are a 95 % interval. `accuracy_interval_about` says what it
    generalises to: new seeds (Student's t on the logit scale), or for one seed new test images
    (Wilson's); or why there is none.
    """
    counted = counted_rows(rows)
    seeds = accuracies_by_seed(counted)
    summary = summarise(list(seeds.values()), PERCENT)
    num_test = first_known(counted, "num_test")
    error = None
    if summary.mean is not None and num_test:
        error = 100 * binomial_standard_error(summary.mean / 100, int(num_test))
    return {
        "num_params": first_known(counted, "num_params"),
        "n": summary.n,
        "accuracy_mean_percent": summary.mean,
        "accuracy_std_points": summary.std,
        **_accuracy_interval(summary, num_test),
        "seeds": list(seeds),
        "seed_accuracies_percent": list(seeds.values()),
        "num_test": num_test,
        "binomial_standard_error_points": error,
        "stale": any_stale(counted),
        "train_device": _join_distinct(map(_name_device, counted)),
        "train_torch": _join_distinct(row["torch"] for row in counted),
        "data_fingerprint": _join_distinct(row["data_fingerprint"] for row in counted),
    }


def _accuracy_interval(summary: Summary, num_test: int | None) -> dict[str, Any]:
    if summary.low is not None:
        return _interval_columns(summary.low, summary.high, SEEDS)
    if summary.mean is not None and summary.n == 1 and num_test:
        binomial = wilson_interval(round(summary.mean / 100 * int(num_test)), int(num_test))
        return _interval_columns(100 * float(binomial.low), 100 * float(binomial.high), IMAGES)
    missing = TWO_VALUES if summary.n < MIN_FOR_INTERVAL else ALL_ALIKE
    return _interval_columns(None, None, missing if summary.n > 1 else None)


def _interval_columns(low: float | None, high: float | None, about: str | None) -> dict[str, Any]:
    return {
        "accuracy_low_percent": low,
        "accuracy_high_percent": high,
        "accuracy_interval_about": about,
    }


def latency_values(runs: Rows, cells: Rows) -> dict[str, Any]:
    """Latency of one variant, from the rows of its latency jobs in `runs` and in `cells`, one per round.

    Percentiles and times are means over the rounds, in the setting of the primary cell. The interval
    is that of the mean of the rounds' p50, on the log scale; `latency_round_p50_ms` lists them. The
    throughput is the best over the batch sizes of that setting. The drift is the largest of any round,
    with its sign.
    """
    counted = counted_rows(runs)
    rounds = {row["seed"] for row in counted}
    timed = [cell for cell in _dicts(cells, CELL_COLUMNS) if cell["seed"] in rounds]
    primary = [cell for cell in timed if _is_true(cell["primary"])]
    if not primary:
        does_not_fit = any(_is_true(cell["does_not_fit"]) for cell in timed)
        return {"latency_stale": False, "latency_does_not_fit": does_not_fit}
    job, cell = counted[0], primary[0]
    # A round in which the first setting was not available is not comparable.
    comparable = _matching(primary, cell, CELL_AXES)
    p50 = summarise([row["p50_ms"] for row in comparable], POSITIVE)
    throughput, batch_size = _fastest_batch(timed, cell)
    return {
        "num_params": job["num_params"],
        "num_macs": job["num_macs"],
        "latency_p50_ms": p50.mean,
        "latency_low_ms": p50.low,
        "latency_high_ms": p50.high,
        "latency_round_p50_ms": list(p50.observed),
        "latency_rounds": p50.n,
        "latency_p90_ms": _mean(comparable, "p90_ms"),
        "latency_iqr_ms": _mean(comparable, "iqr_ms"),
        "latency_n": sum(_known_values(comparable, "n")) or None,
        "latency_noisy": any(_is_true(row["noisy"]) for row in comparable),
        "latency_batch_size": cell["batch_size"],
        "latency_setting": describe_setting(cell),
        "latency_stale": job["status"] == "stale",
        "latency_does_not_fit": False,
        "latency_device": _join_distinct(map(_name_device, counted)),
        "latency_torch": _join_distinct(row["torch"] for row in counted),
        "throughput_images_per_second": throughput,
        "throughput_batch_size": batch_size,
        **_consumption_values(comparable, [row["cost_per_million_images"] for row in counted]),
        "paper_ms_per_image": _mean(counted, "paper_ms_per_image"),
        "reference_drift": max(_known_values(counted, "reference_drift"), key=abs, default=None),
    }


def _consumption_values(cells: list[Row], costs: list[Any]) -> dict[str, Any]:
    """Energy and memory in the cells of the latency, and cost: means over rounds with their 95 % intervals."""
    energy = summarise(_known_values(cells, "energy_joules_per_image"), POSITIVE)
    cost = summarise([one for one in costs if is_known(one)], POSITIVE)
    gaps = [row["consumption_gap"] for row in cells if row["consumption_gap"]]
    return {
        "energy_joules_per_image": energy.mean,
        "energy_low_joules": energy.low,
        "energy_high_joules": energy.high,
        "energy_rounds": energy.n,
        "energy_round_joules": list(energy.observed),
        "cost_per_million_images": cost.mean,
        "cost_low": cost.low,
        "cost_high": cost.high,
        "cost_rounds": cost.n,
        "cost_round_values": list(cost.observed),
        "resident_bytes": _mean(cells, "resident_bytes"),
        "consumption_gap": _join_distinct(gaps),
    }


def _fastest_batch(cells: list[Row], cell: Row) -> tuple[float | None, int]:
    """The highest throughput (a mean over rounds) in the setting of `cell`, and its batch size."""
    same = [row for row in _matching(cells, cell, CELL_AXES[1:]) if _is_true(row["available"])]
    means = [
        (mean, batch_size)
        for (batch_size,), rows in sorted(_group(same, ["batch_size"]).items())
        if (mean := _mean(rows, "throughput_images_per_second")) is not None
    ]
    return max(means, key=lambda pair: pair[0], default=(None, cell["batch_size"]))


def _matching(rows: list[Row], cell: Row, axes: list[str]) -> list[Row]:
    return [row for row in rows if all(_is_same(row[axis], cell[axis]) for axis in axes)]


def _is_same(one: Any, other: Any) -> bool:
    return is_known(one) and one == other


def _is_true(value: Any) -> bool:
    return is_known(value) and bool(value)


def _group(rows: Iterable[Row], keys: list[str]) -> dict[tuple, list[Row]]:
    """Group rows by their values of `keys`, in order of appearance; rows without a value are left out."""
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        values = tuple(row[key] for key in keys)
        if all(map(is_known, values)):
            groups.setdefault(values, []).append(row)
    return groups


def _known_values(rows: list[Row], column: str) -> list[Any]:
    return [row[column] for row in rows if is_known(row[column])]


def first_known(rows: list[Row], column: str) -> Any | None:
    """The first known value of `column`, or None."""
    return next(iter(_known_values(rows, column)), None)


def _mean(rows: list[Row], column: str) -> float | None:
    values = _known_values(rows, column)
    return fmean(values) if values else None


def _join_distinct(texts: Iterable[str | None]) -> str | None:
    return (
        " and ".join(dict.fromkeys(text for text in texts if text is not None and is_known(text)))
        or None
    )


def describe_setting(cell: Row) -> str:
    """'fp32, channels_last, eager'; of imported results 'unknown setting', where nothing is stated."""
    return name_setting(cell["precision"], cell["layout"], cell["mode"])


def name_setting(precision: str, layout: str, mode: str) -> str:
    known = [text for text in (precision, layout, mode) if text != UNKNOWN]
    return ", ".join(known) or "unknown setting"


def _name_device(row: Row) -> str | None:
    """'CPU NAME, 2 threads' or 'GPU NAME'; None without a record. Of imported results as they state it."""
    if not is_known(row["device_kind"]):
        return None
    if row["device_kind"] == UNKNOWN:
        return str(row["device_name"])
    if row["device_kind"] == "cuda":
        return f"GPU {row['device_name']}"
    threads = row["num_cpu_threads"]
    return f"CPU {row['device_name']}, {threads} thread{'' if threads == 1 else 's'}"


def name_devices(rows: pd.DataFrame) -> pd.Series:
    """'CPU NAME, 2 threads' or 'GPU NAME' for each row; NA if the device is unknown."""
    texts = map(_name_device, _dicts(rows, DEVICE))
    return pd.Series(list(texts), index=rows.index, dtype="string")


def join_devices(rows: Rows) -> str | None:
    """The distinct `name_devices`, joined by ' and '; None without a row."""
    return _join_distinct(map(_name_device, _dicts(rows, DEVICE)))


def training_status(rows: Rows) -> list[str]:
    """Problems with the seeds of one variant; an empty list without any."""
    if not len(rows):
        return ["the study does not train it"]
    bad = _bad(rows)
    parts = []
    for (status, reason), group in _group(bad, ["status", "reason"]).items():
        word = "seed" if len(group) == 1 else "seeds"
        parts.append(f"{word} {_join_seeds(group)} {status}: {reason}")
    if _mixed(rows, bad):
        parts.append("stale seeds are not in the mean")
    return parts + _remarks(rows, "seed", "seeds")


def latency_status(runs: Rows, cells: Rows) -> list[str]:
    """Problems with the latency of one variant; an empty list without any."""
    if not len(runs):
        return ["the study does not time it"]
    bad = _bad(runs)
    parts = []
    for (status, reason), group in _group(bad, ["status", "reason"]).items():
        rounds = "" if len(group) == len(runs) else f" round {_join_seeds(group)}"
        parts.append(f"latency{rounds} {status}: {reason}")
    if _mixed(runs, bad):
        parts.append("stale rounds are not in the mean")
    parts += _remarks(runs, "latency round", "latency rounds")
    gaps = [row for row in _dicts(cells, CELL_COLUMNS) if not _is_true(row["available"])]
    keys = ["unavailable_reason", *CELL_AXES[1:]]
    for (why, *axes), group in _group(gaps, keys).items():
        batches = ", ".join(map(str, dict.fromkeys(_known_values(group, "batch_size")))) or "any"
        fits = not any(_is_true(row["does_not_fit"]) for row in group)
        parts.append(
            f"latency of batch {batches} in {', '.join(axes)} {'unavailable: ' if fits else ''}{why}"
        )
    return parts


def _remarks(rows: Rows, one: str, several: str) -> list[str]:
    """Caveats about values that count, by seed or round."""
    counted = counted_rows(rows, ["status", "seed", "remark"])
    return [
        f"{one if len(group) == 1 else several} {_join_seeds(group)}: {remark}"
        for (remark,), group in _group(counted, ["remark"]).items()
        if remark
    ]


def _bad(rows: Rows) -> list[Row]:
    every = _dicts(rows, ["status", "reason", "seed"])
    return [row for row in every if row["status"] != "ok"]


def _mixed(rows: Rows, bad: list[Row]) -> bool:
    """Whether some rows are stale and others ok."""
    return len(bad) < len(rows) and any(row["status"] == "stale" for row in bad)


def _join_seeds(rows: list[Row]) -> str:
    return ", ".join(str(row["seed"]) for row in rows)
