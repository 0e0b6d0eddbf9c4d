"""What stands in a table's row: accuracy over seeds, latency of one variant, and a status in words."""

from typing import Any

import pandas as pd

from resnest_bench.tables.statistics import binomial_standard_error, summarise


# What makes two latencies comparable, the device apart.
CELL_AXES = ["batch_size", "precision", "layout", "mode"]


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
    """Latency of one variant from its latency jobs' rows in `runs` and in `cells`, one a round.

    Percentiles and times are means over the rounds; the interval is that of the mean of the rounds'
    p50 of the primary cell, whose batch size and setting stand beside it. The throughput is the best
    over the batch sizes of that same setting. The drift is the largest of any round, with its sign.
    """
    used = shown(runs)
    timed = cells[cells["seed"].isin(used["seed"])]
    primary = timed[timed["primary"].fillna(False)]
    if not len(used) or not len(primary):
        return {"latency_stale": False}
    job, cell = used.iloc[0], primary.iloc[0]
    # In one round the first setting may not have been available: such a round is another thing.
    alike = primary[(primary[CELL_AXES] == cell[CELL_AXES]).all(axis=1)]
    p50 = summarise(alike["p50_ms"])
    best = _fastest_batch(timed, cell)
    return {
        "num_params": job["num_params"],
        "num_macs": job["num_macs"],
        "latency_p50_ms": p50.mean,
        "latency_interval_ms": p50.half_width,
        "latency_rounds": p50.n,
        "latency_p90_ms": alike["p90_ms"].mean(),
        "latency_iqr_ms": alike["iqr_ms"].mean(),
        "latency_n": alike["n"].sum(),
        "latency_noisy": bool(alike["noisy"].any()),
        "latency_batch_size": cell["batch_size"],
        "latency_setting": setting_text(cell),
        "latency_stale": job["status"] == "stale",
        "latency_device": devices_text(used),
        "latency_torch": _joined(used["torch"]),
        "throughput_images_per_second": best["throughput_images_per_second"],
        "throughput_batch_size": best["batch_size"],
        "paper_ms_per_image": used["paper_ms_per_image"].mean(),
        "reference_drift": _largest(used["reference_drift"]),
    }


def _fastest_batch(cells: pd.DataFrame, cell: pd.Series) -> pd.Series:
    """Batch size of the highest throughput, as a mean over rounds, in the setting of `cell`."""
    axes = ["precision", "layout", "mode"]
    same = cells[cells["available"].fillna(False) & (cells[axes] == cell[axes]).all(axis=1)]
    means = same.groupby("batch_size")["throughput_images_per_second"].mean().reset_index()
    rates = means["throughput_images_per_second"]
    return means.loc[rates.idxmax()] if rates.notna().any() else cell


def _largest(values: pd.Series) -> float | None:
    known = values.dropna()
    return known.loc[known.abs().idxmax()] if len(known) else None


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
    bad = runs[runs["status"] != "ok"]
    parts = []
    for (status, reason), group in bad.groupby(["status", "reason"], sort=False):
        every = len(group) == len(runs)
        rounds = "" if every else f" round {', '.join(str(number) for number in group['seed'])}"
        parts.append(f"latency{rounds} {status}: {reason}")
    if (bad["status"] == "stale").any() and (runs["status"] == "ok").any():
        parts.append("stale rounds are not in the mean")
    gaps = cells[~cells["available"].fillna(False) & cells["unavailable_reason"].notna()]
    for (why, *axes), group in gaps.groupby(
        ["unavailable_reason", "precision", "layout", "mode"], sort=False
    ):
        known = group["batch_size"].dropna().unique()
        batches = ", ".join(str(batch) for batch in known) or "any"
        parts.append(f"latency of batch {batches} in {', '.join(axes)} unavailable: {why}")
    return parts
