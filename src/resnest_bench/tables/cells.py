"""What stands in a table's row: accuracy over seeds, latency of one variant, and a status in words."""

from typing import Any

import pandas as pd

from resnest_bench.tables.statistics import binomial_standard_error, summarise


def shown(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows whose values count: the ok ones; only where there is none, the stale ones.

    Never both: a mean over two specs, or over two versions of the code, is a mean of nothing.
    """
    ok = rows[rows["status"] == "ok"]
    return ok if len(ok) else rows[rows["status"] == "stale"]


def by_seed(rows: pd.DataFrame) -> dict[int, float]:
    """Seed to test accuracy in %, of the rows that count."""
    used = shown(rows)
    return {
        int(seed): 100 * accuracy
        for seed, accuracy in zip(used["seed"], used["test_accuracy"], strict=True)
        if pd.notna(accuracy)
    }


def accuracy_values(rows: pd.DataFrame) -> dict[str, Any]:
    """Test accuracy of one variant over its seeds, in % and points, with n and the data's size."""
    used, seeds = shown(rows), by_seed(rows)
    summary = summarise(list(seeds.values()))
    num_test = _only(used["num_test"])
    error = None
    if summary.n and num_test:
        error = 100 * binomial_standard_error(summary.mean / 100, int(num_test))
    return {
        "num_params": _only(used["num_params"]),
        "n": summary.n,
        "accuracy_mean_percent": summary.mean,
        "accuracy_std_points": summary.std,
        "accuracy_interval_points": summary.half_width,
        "seeds": list(seeds),
        "seed_accuracies_percent": list(seeds.values()),
        "num_test": num_test,
        "binomial_standard_error_points": error,
        "stale": bool((used["status"] == "stale").any()),
        "train_device": devices_text(used),
        "train_torch": _joined(used["torch"]),
    }


def latency_values(runs: pd.DataFrame, cells: pd.DataFrame) -> dict[str, Any]:
    """Latency of one variant from its latency job's rows in `runs` and in `cells`.

    The p50 is of the primary cell; batch size and setting stand beside it. The throughput is the
    best over the batch sizes of that same setting.
    """
    used = shown(runs)
    primary = cells[cells["primary"].fillna(False)]
    if not len(used) or not len(primary):
        return {"latency_stale": False}
    job, cell = used.iloc[0], primary.iloc[0]
    best = _fastest_batch(cells, cell)
    return {
        "num_params": job["num_params"],
        "num_macs": job["num_macs"],
        "latency_p50_ms": cell["p50_ms"],
        "latency_p90_ms": cell["p90_ms"],
        "latency_iqr_ms": cell["iqr_ms"],
        "latency_n": cell["n"],
        "latency_noisy": cell["noisy"],
        "latency_batch_size": cell["batch_size"],
        "latency_setting": setting_text(cell),
        "latency_stale": job["status"] == "stale",
        "latency_device": devices_text(used),
        "latency_torch": job["torch"],
        "throughput_images_per_second": best["throughput_images_per_second"],
        "throughput_batch_size": best["batch_size"],
        "paper_ms_per_image": job["paper_ms_per_image"],
        "reference_drift": job["reference_drift"],
    }


def _fastest_batch(cells: pd.DataFrame, cell: pd.Series) -> pd.Series:
    axes = ["precision", "layout", "mode"]
    same = cells[cells["available"].fillna(False) & (cells[axes] == cell[axes]).all(axis=1)]
    rates = same["throughput_images_per_second"]
    return same.loc[rates.idxmax()] if rates.notna().any() else cell


def setting_text(cell: pd.Series) -> str:
    """'fp32, channels_last, eager'."""
    return f"{cell['precision']}, {cell['layout']}, {cell['mode']}"


def devices_text(rows: pd.DataFrame) -> str | None:
    """'CPU NAME, 2 threads' or 'GPU NAME'; several joined by ' and '. None without a row."""
    names = []
    for kind, name, threads in zip(
        rows["device_kind"], rows["device_name"], rows["num_cpu_threads"], strict=True
    ):
        if pd.notna(kind):
            names.append(
                f"GPU {name}"
                if kind == "cuda"
                else f"CPU {name}, {threads} thread{'' if threads == 1 else 's'}"
            )
    return " and ".join(dict.fromkeys(names)) or None


def _only(values: pd.Series) -> Any | None:
    known = values.dropna()
    return known.iloc[0] if len(known) else None


def _joined(values: pd.Series) -> str | None:
    return " and ".join(dict.fromkeys(values.dropna())) or None


def training_status(rows: pd.DataFrame) -> list[str]:
    """What is wrong with the seeds of one variant; the empty list where nothing is."""
    if not len(rows):
        return ["training not asked for by the study"]
    bad = rows[rows["status"] != "ok"]
    parts = []
    for (status, reason), group in bad.groupby(["status", "reason"], sort=False):
        seeds = [int(seed) for seed in group["seed"]]
        word = "seed" if len(seeds) == 1 else "seeds"
        parts.append(f"{word} {', '.join(map(str, seeds))} {status}: {reason}")
    if (bad["status"] == "stale").any() and (rows["status"] == "ok").any():
        parts.append("stale seeds are not in the mean")
    return parts


def latency_status(runs: pd.DataFrame, cells: pd.DataFrame) -> list[str]:
    """What is wrong with the latency of one variant."""
    if not len(runs):
        return ["latency not asked for by the study"]
    parts = [
        f"latency {status}: {reason}"
        for status, reason in zip(runs["status"], runs["reason"], strict=True)
        if status != "ok"
    ]
    gaps = cells[~cells["available"].fillna(False) & cells["unavailable_reason"].notna()]
    for (why, *axes), group in gaps.groupby(
        ["unavailable_reason", "precision", "layout", "mode"], sort=False
    ):
        batches = ", ".join(str(b) for b in group["batch_size"] if pd.notna(b)) or "any"
        parts.append(f"latency of batch {batches} in {', '.join(axes)} unavailable: {why}")
    return parts
