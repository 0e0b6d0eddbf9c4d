"""Devices compared, and what bounds a latency, for readers: as files, sentences and rounded tables."""

from pathlib import Path
from typing import Any

import pandas as pd

from resnest_bench.comparisons.device_ranking import DeviceRankings
from resnest_bench.files import write_text
from resnest_bench.formats import (
    GAP,
    escape_paragraph,
    format_probability,
    format_significant,
    is_known,
    markdown_bullets,
    markdown_table,
    row_dicts,
)
from resnest_bench.frames.files import write_csv
from resnest_bench.report.captions import Caption
from resnest_bench.results import StudyResults
from resnest_bench.tables.roofline import ROOFLINE_METHOD, describe_bounds
from resnest_bench.words import list_names

MAX_NAMED = 6
RANKING_CAPTION = Caption(
    "The same networks ranked by latency on two devices",
    (
        "tau is Kendall's tau-b of the mean latencies: 1 for the same order, 0 for orders that have nothing in "
        "common, -1 for the reversed one",
        "Its 95 % interval is over rounds: for these networks on these devices, in new rounds",
        "'Without one' is the least and the greatest tau if one network is left out: what rests on a single network",
        "A rank changes beyond noise if the interval of its change leaves out 0, at 95 % for all networks together",
        "'Same front' is the probability that both devices have the same Pareto-optimal networks, given the mean "
        "accuracies",
    ),
)
NETWORKS_CAPTION = Caption(
    "The networks on both devices",
    (
        "Latencies are geometric means over rounds of the median",
        "[low, high] of a ratio is its 95 % interval over rounds, for one network by itself",
        "A rank change in brackets has its interval, at 95 % for all networks together",
    ),
)
ROOFLINE_CAPTION = Caption("What bounds each latency", (ROOFLINE_METHOD,))


def write_devices(results: StudyResults) -> list[Path]:
    """Write the tables of devices and of the roofline, those that have a row."""
    written: list[Path] = []
    folder, found = results.paths.tables, results.device_rankings
    if len(found.pairs):
        written += [folder / "device_ranking.csv", folder / "device_networks.csv"]
        write_csv(written[0], found.pairs)
        write_csv(written[1], found.networks)
        lines = ["## Devices", "", *markdown_bullets(describe_rankings(found)), ""]
        for caption, display in (
            (RANKING_CAPTION, ranking_display(found.pairs)),
            (NETWORKS_CAPTION, networks_display(found.networks)),
        ):
            lines += [escape_paragraph(str(caption)), "", markdown_table(display), ""]
        written.append(folder / "device_ranking.md")
        write_text(written[-1], "\n".join(lines))
    table = results.roofline
    if len(table):
        files = [folder / "roofline.csv", folder / "roofline.md"]
        write_csv(files[0], table)
        lines = ["## What bounds each latency", "", *markdown_bullets(describe_bounds(table)), ""]
        lines += [escape_paragraph(str(ROOFLINE_CAPTION)), ""]
        lines += [markdown_table(roofline_display(table)), ""]
        write_text(files[1], "\n".join(lines))
        written += files
    return written


def describe_rankings(found: DeviceRankings) -> list[str]:
    """For each pair of devices and batch size: does the choice carry over?"""
    return [_describe_pair(row, found.networks) for row in row_dicts(found.pairs)]


def _describe_pair(row: dict[str, Any], networks: pd.DataFrame) -> str:
    text = (
        f"{row['device_a']} and {row['device_b']}, batch {row['batch_size']}: "
        f"tau = {_interval(row['tau'], row['tau_low'], row['tau_high'])} over "
        f"{row['num_networks']} networks. "
    )
    fastest = row["fastest_a"], row["fastest_b"]
    text += (
        f"{fastest[0]} is the fastest on both"
        if fastest[0] == fastest[1]
        else f"{fastest[0]} is the fastest on the first, {fastest[1]} on the second"
    )
    if not is_known(row["num_rank_changes"]):
        return f"{text}; {row['note']}."
    changed = _select(networks, row)
    names = list(changed.loc[changed["beyond_noise"].eq(True), "variant"])
    text += (
        f"; the rank of {list_names(names, MAX_NAMED)} changes by more than noise."
        if names
        else "; no rank changes by more than noise."
    )
    if is_known(row["same_front_probability"]):
        a, b = row["front_a"], row["front_b"]
        if set(a) == set(b):
            text += f" Both have the same Pareto-optimal networks: {list_names(a, MAX_NAMED)}"
        else:
            text += (
                f" Pareto-optimal are {list_names(a, MAX_NAMED)} on the first and "
                f"{list_names(b, MAX_NAMED)} on the second"
            )
        text += (
            f" (probability of the same ones {format_probability(row['same_front_probability'])})."
        )
    return f"{text} Note: {row['note']}." if row["note"] else text


def _select(networks: pd.DataFrame, row: dict[str, Any]) -> pd.DataFrame:
    keys = ["dataset", "batch_size", "protocol_a", "device_a", "protocol_b", "device_b"]
    keep = pd.Series(True, index=networks.index)
    for key in keys:
        keep &= networks[key].eq(row[key])
    return networks[keep]


def _interval(value: Any, low: Any, high: Any, digits: int = 2) -> str:
    if not is_known(value):
        return GAP
    text = format_significant(value, digits)
    if not (is_known(low) and is_known(high)):
        return text
    return f"{text} [{format_significant(low, digits)}, {format_significant(high, digits)}]"


def ranking_display(pairs: pd.DataFrame) -> pd.DataFrame:
    """The pairs of devices as texts with readable headings."""
    return pd.DataFrame(
        [
            {
                "first device": row["device_a"],
                "second device": row["device_b"],
                "setting": row["setting_a"]
                if row["setting_a"] == row["setting_b"]
                else f"{row['setting_a']} and {row['setting_b']}",
                "batch": str(row["batch_size"]),
                "networks": str(row["num_networks"]),
                "rounds": f"{row['rounds_a']} and {row['rounds_b']}",
                "tau": _interval(row["tau"], row["tau_low"], row["tau_high"]),
                "without one": f"{format_significant(row['tau_without_one_low'], 2)} to "
                f"{format_significant(row['tau_without_one_high'], 2)}",
                "ratio (range)": f"{format_significant(row['ratio'])} "
                f"({format_significant(row['ratio_min'])} to {format_significant(row['ratio_max'])})",
                "rank changes beyond noise": _count(row["num_rank_changes"]),
                "reversed pairs": _count(row["reversed_pairs"]),
                "same front": format_probability(row["same_front_probability"])
                if is_known(row["same_front_probability"])
                else GAP,
            }
            for row in row_dicts(pairs)
        ]
    )


def _count(value: Any) -> str:
    return str(value) if is_known(value) else GAP


def networks_display(networks: pd.DataFrame) -> pd.DataFrame:
    """The networks on each pair of devices as texts with readable headings."""
    rows = []
    for row in row_dicts(networks):
        change = f"{row['rank_change']:+d}" if row["rank_change"] else "0"
        if is_known(row["rank_change_low"]):
            change += f" [{row['rank_change_low']:+.0f}, {row['rank_change_high']:+.0f}]"
        rows.append(
            {
                "first device": row["device_a"],
                "second device": row["device_b"],
                "batch": str(row["batch_size"]),
                "variant": row["variant"],
                "first (ms)": format_significant(row["a_ms"]),
                "second (ms)": format_significant(row["b_ms"]),
                "ratio": _interval(row["ratio"], row["ratio_low"], row["ratio_high"], 3),
                "ranks": f"{row['rank_a']} and {row['rank_b']}",
                "rank change": change,
                "beyond noise": {True: "yes", False: "no"}.get(row["beyond_noise"], GAP)
                if is_known(row["beyond_noise"])
                else GAP,
                "Pareto-optimal": _describe_front(row),
            }
        )
    return pd.DataFrame(rows)


def _describe_front(row: dict[str, Any]) -> str:
    if not is_known(row["front_a"]):
        return GAP
    return {
        (True, True): "on both",
        (True, False): "on the first",
        (False, True): "on the second",
        (False, False): "no",
    }[bool(row["front_a"]), bool(row["front_b"])]


def roofline_display(table: pd.DataFrame) -> pd.DataFrame:
    """What bounds each latency, as texts with readable headings."""
    parts = {
        "arithmetic_ms": "arithmetic (ms)",
        "memory_ms": "memory (ms)",
        "overhead_ms": "overhead (ms)",
    }
    return pd.DataFrame(
        [
            {
                "device": row["device"],
                "mode": row["mode"],
                "batch": str(row["batch_size"]),
                "variant": row["variant"],
                "latency (ms)": format_significant(row["p50_ms"]),
                **{text: format_significant(row[name], 2) for name, text in parts.items()},
                "bound by": row["bound_by"],
                "share of the ceiling": f"{format_significant(100 * row['share'], 2)} %",
                "GFLOP/s": format_significant(row["gflops_per_second"]),
                "operations per byte": format_significant(row["operations_per_byte"]),
                "activations (M)": format_significant(row["num_activations"] / 1e6)
                if is_known(row["num_activations"])
                else GAP,
            }
            for row in row_dicts(table)
        ]
    )
