"""What stands in a table's row: accuracy over seeds, latency of one variant, and a status in words.

Rows come as a frame, or as its dicts: a study can have thousands of variants with a handful of rows
each, and on so few rows dicts are a hundred times faster.
"""

from collections.abc import Iterable
from statistics import fmean
from typing import Any

import pandas as pd

from resnest_bench.formats import is_known, row_dicts
from resnest_bench.frames.fresh import pick_counted
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

# What makes two latencies comparable, the device apart.
CELL_AXES = ["batch_size", "precision", "layout", "mode"]
DEVICE = ["device_kind", "device_name", "num_cpu_threads"]
# What is read here, so that callers needn't carry along the rest of `runs` and of `cells`.
RUN_COLUMNS = [
    "status",
    "reason",
    "seed",
    "test_accuracy",
    "num_test",
    "num_params",
    "num_macs",
    "paper_ms_per_image",
    "reference_drift",
    "torch",
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
]


def _dicts(rows: Rows, columns: list[str]) -> list[Row]:
    return rows if isinstance(rows, list) else row_dicts(rows[columns])


def shown_rows(rows: Rows, columns: list[str] = RUN_COLUMNS) -> list[Row]:
    """The rows that count (`frames.fresh`) as dicts of `columns`."""
    return pick_counted(_dicts(rows, columns), lambda row: row["status"])


def any_stale(rows: Rows) -> bool:
    """Whether stale values are shown."""
    return any(row["status"] == "stale" for row in shown_rows(rows, ["status"]))


def by_seed(rows: Rows) -> dict[int, float]:
    """Seed to test accuracy in %, of the rows that count."""
    return {
        row["seed"]: 100 * row["test_accuracy"]
        for row in shown_rows(rows, ["status", "seed", "test_accuracy"])
        if is_known(row["test_accuracy"])
    }


def accuracy_values(rows: Rows) -> dict[str, Any]:
    """Test accuracy of one variant over its seeds, in % and points, with n and the data's size.

    `accuracy_interval_about` says what the 95 % interval from `accuracy_low_percent` to `_high_` is
    about: new seeds (Student's t on the logit scale), or of one seed new test images (Wilson's); or
    why there is none.
    """
    used = shown_rows(rows)
    seeds = by_seed(used)
    summary = summarise(list(seeds.values()), PERCENT)
    num_test = first_known(used, "num_test")
    error = None
    if summary.mean is not None and num_test:
        error = 100 * binomial_standard_error(summary.mean / 100, int(num_test))
    return {
        "num_params": first_known(used, "num_params"),
        "n": summary.n,
        "accuracy_mean_percent": summary.mean,
        "accuracy_std_points": summary.std,
        **_accuracy_interval(summary, num_test),
        "seeds": list(seeds),
        "seed_accuracies_percent": list(seeds.values()),
        "num_test": num_test,
        "binomial_standard_error_points": error,
        "stale": any_stale(used),
        "train_device": _joined(map(_device_text, used)),
        "train_torch": _joined(row["torch"] for row in used),
    }


def _accuracy_interval(summary: Summary, num_test: int | None) -> dict[str, Any]:
    if summary.low is not None:
        return _interval_columns(summary.low, summary.high, SEEDS)
    if summary.mean is not None and summary.n == 1 and num_test:
        found = wilson_interval(round(summary.mean / 100 * int(num_test)), int(num_test))
        return _interval_columns(100 * float(found.low), 100 * float(found.high), IMAGES)
    missing = TWO_VALUES if summary.n < MIN_FOR_INTERVAL else ALL_ALIKE
    return _interval_columns(None, None, missing if summary.n > 1 else None)


def _interval_columns(low: float | None, high: float | None, about: str | None) -> dict[str, Any]:
    return {
        "accuracy_low_percent": low,
        "accuracy_high_percent": high,
        "accuracy_interval_about": about,
    }


def latency_values(runs: Rows, cells: Rows) -> dict[str, Any]:
    """Latency of one variant from its latency jobs' rows in `runs` and in `cells`, one a round.

    Percentiles and times are means over the rounds. The interval is that of the mean of the rounds'
    p50 of the primary cell, on the log scale, and `latency_round_p50_ms` lists them; the cell's batch
    size and setting stand next to them. The throughput is the best
    over the batch sizes of that same setting. The drift is the largest of any round, with its sign.
    """
    used = shown_rows(runs)
    rounds = {row["seed"] for row in used}
    timed = [cell for cell in _dicts(cells, CELL_COLUMNS) if cell["seed"] in rounds]
    primary = [cell for cell in timed if _is_true(cell["primary"])]
    if not primary:
        no_room = any(_is_true(cell["does_not_fit"]) for cell in timed)
        return {"latency_stale": False, "latency_does_not_fit": no_room}
    job, cell = used[0], primary[0]
    # In one round the first setting may not have been available: such a round is another thing.
    alike = _alike(primary, cell, CELL_AXES)
    p50 = summarise([row["p50_ms"] for row in alike], POSITIVE)
    throughput, batch_size = _fastest_batch(timed, cell)
    return {
        "num_params": job["num_params"],
        "num_macs": job["num_macs"],
        "latency_p50_ms": p50.mean,
        "latency_low_ms": p50.low,
        "latency_high_ms": p50.high,
        "latency_round_p50_ms": list(p50.observed),
        "latency_rounds": p50.n,
        "latency_p90_ms": _mean(alike, "p90_ms"),
        "latency_iqr_ms": _mean(alike, "iqr_ms"),
        "latency_n": sum(row["n"] for row in alike),
        "latency_noisy": any(_is_true(row["noisy"]) for row in alike),
        "latency_batch_size": cell["batch_size"],
        "latency_setting": setting_text(cell),
        "latency_stale": job["status"] == "stale",
        "latency_does_not_fit": False,
        "latency_device": _joined(map(_device_text, used)),
        "latency_torch": _joined(row["torch"] for row in used),
        "throughput_images_per_second": throughput,
        "throughput_batch_size": batch_size,
        "paper_ms_per_image": _mean(used, "paper_ms_per_image"),
        "reference_drift": max(_known(used, "reference_drift"), key=abs, default=None),
    }


def _fastest_batch(cells: list[Row], cell: Row) -> tuple[float | None, int]:
    """The highest throughput, as a mean over rounds in the setting of `cell`, and its batch size."""
    same = [row for row in _alike(cells, cell, CELL_AXES[1:]) if _is_true(row["available"])]
    means = [
        (mean, batch_size)
        for (batch_size,), rows in sorted(_grouped(same, ["batch_size"]).items())
        if (mean := _mean(rows, "throughput_images_per_second")) is not None
    ]
    return max(means, key=lambda pair: pair[0], default=(None, cell["batch_size"]))


def _alike(rows: list[Row], cell: Row, axes: list[str]) -> list[Row]:
    return [row for row in rows if all(_same(row[axis], cell[axis]) for axis in axes)]


def _same(one: Any, other: Any) -> bool:
    return is_known(one) and one == other


def _is_true(value: Any) -> bool:
    return is_known(value) and bool(value)


def _grouped(rows: Iterable[Row], keys: list[str]) -> dict[tuple, list[Row]]:
    """Rows by their values of `keys`, in the order of the first ones; those that lack one are out."""
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        values = tuple(row[key] for key in keys)
        if all(map(is_known, values)):
            groups.setdefault(values, []).append(row)
    return groups


def _known(rows: list[Row], column: str) -> list[Any]:
    return [row[column] for row in rows if is_known(row[column])]


def first_known(rows: list[Row], column: str) -> Any | None:
    """The first value of `column` that is known, or None."""
    return next(iter(_known(rows, column)), None)


def _mean(rows: list[Row], column: str) -> float | None:
    values = _known(rows, column)
    return fmean(values) if values else None


def _joined(texts: Iterable[str | None]) -> str | None:
    return (
        " and ".join(dict.fromkeys(text for text in texts if text is not None and is_known(text)))
        or None
    )


def setting_text(cell: Row) -> str:
    """'fp32, channels_last, eager'."""
    return f"{cell['precision']}, {cell['layout']}, {cell['mode']}"


def _device_text(row: Row) -> str | None:
    """'CPU NAME, 2 threads' or 'GPU NAME'; None where the device is not known."""
    if not is_known(row["device_kind"]):
        return None
    if row["device_kind"] == "cuda":
        return f"GPU {row['device_name']}"
    threads = row["num_cpu_threads"]
    return f"CPU {row['device_name']}, {threads} thread{'' if threads == 1 else 's'}"


def device_texts(rows: pd.DataFrame) -> pd.Series:
    """'CPU NAME, 2 threads' or 'GPU NAME' of each row; NA where the device is not known."""
    texts = map(_device_text, _dicts(rows, DEVICE))
    return pd.Series(list(texts), index=rows.index, dtype="string")


def devices_text(rows: Rows) -> str | None:
    """`device_texts` without repetition; several joined by ' and '. None without a row."""
    return _joined(map(_device_text, _dicts(rows, DEVICE)))


def training_status(rows: Rows) -> list[str]:
    """What is wrong with the seeds of one variant; the empty list where nothing is."""
    if not len(rows):
        return ["training not asked for by the study"]
    bad = _bad(rows)
    parts = []
    for (status, reason), group in _grouped(bad, ["status", "reason"]).items():
        word = "seed" if len(group) == 1 else "seeds"
        parts.append(f"{word} {_seeds_text(group)} {status}: {reason}")
    if _mixed(rows, bad):
        parts.append("stale seeds are not in the mean")
    return parts + _remarks(rows, "seed", "seeds")


def latency_status(runs: Rows, cells: Rows) -> list[str]:
    """What is wrong with the latency of one variant."""
    if not len(runs):
        return ["latency not asked for by the study"]
    bad = _bad(runs)
    parts = []
    for (status, reason), group in _grouped(bad, ["status", "reason"]).items():
        rounds = "" if len(group) == len(runs) else f" round {_seeds_text(group)}"
        parts.append(f"latency{rounds} {status}: {reason}")
    if _mixed(runs, bad):
        parts.append("stale rounds are not in the mean")
    parts += _remarks(runs, "latency round", "latency rounds")
    gaps = [row for row in _dicts(cells, CELL_COLUMNS) if not _is_true(row["available"])]
    keys = ["unavailable_reason", *CELL_AXES[1:]]
    for (why, *axes), group in _grouped(gaps, keys).items():
        batches = ", ".join(map(str, dict.fromkeys(_known(group, "batch_size")))) or "any"
        fits = not any(_is_true(row["does_not_fit"]) for row in group)
        parts.append(
            f"latency of batch {batches} in {', '.join(axes)} {'unavailable: ' if fits else ''}{why}"
        )
    return parts


def _remarks(rows: Rows, one: str, several: str) -> list[str]:
    """What must be said of values that count, by seed or round."""
    used = shown_rows(rows, ["status", "seed", "remark"])
    return [
        f"{one if len(group) == 1 else several} {_seeds_text(group)}: {remark}"
        for (remark,), group in _grouped(used, ["remark"]).items()
        if remark
    ]


def _bad(rows: Rows) -> list[Row]:
    every = _dicts(rows, ["status", "reason", "seed"])
    return [row for row in every if row["status"] != "ok"]


def _mixed(rows: Rows, bad: list[Row]) -> bool:
    """Whether some are stale and others ok."""
    return len(bad) < len(rows) and any(row["status"] == "stale" for row in bad)


def _seeds_text(rows: list[Row]) -> str:
    return ", ".join(str(row["seed"]) for row in rows)
