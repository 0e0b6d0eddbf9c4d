"""Does the choice carry over to another device? The same networks ranked by latency on two devices.

Latencies are compared in the setting that both devices have, at each batch size that both have, over the
rounds that all networks share. Rounds of two devices have nothing in common.
"""

import itertools
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd

from resnest_bench.frames.fresh import keep_counted
from resnest_bench.frames.typed import make_frame
from resnest_bench.specs import StudySpec
from resnest_bench.specs.scores import metric_column
from resnest_bench.stats.agreement import (
    Agreement,
    compare_orders,
    find_fronts,
    rank,
    same_front_probability,
)
from resnest_bench.stats.pareto import choose_num_draws, draw_means
from resnest_bench.tables.selection import list_experiments
from resnest_bench.tables.values import name_devices, name_setting

# Pairs of more networks take too long to draw.
MAX_DRAWN = 200
SETTING = ["precision", "layout", "mode"]
PLACE = ["recipe", "device"]
SIDE = ("protocol", "device", "setting", "rounds", "fastest")
RANKING_COLUMNS = {
    "dataset": "str",
    "batch_size": "Int64",
    **{f"{part}_{side}": "Int64" if part == "rounds" else "str" for part in SIDE for side in "ab"},
    "num_networks": "Int64",
    "tau": "float64",
    "tau_low": "float64",
    "tau_high": "float64",
    "tau_without_one_low": "float64",
    "tau_without_one_high": "float64",
    "ratio": "float64",
    "ratio_min": "float64",
    "ratio_max": "float64",
    "num_rank_changes": "Int64",
    "reversed_pairs": "Int64",
    "front_a": "object",
    "front_b": "object",
    "same_front_probability": "float64",
    "note": "str",
}
NETWORK_COLUMNS = {
    "dataset": "str",
    "batch_size": "Int64",
    **dict.fromkeys(["protocol_a", "device_a", "protocol_b", "device_b", "variant"], "str"),
    **dict.fromkeys(["a_ms", "b_ms", "ratio", "ratio_low", "ratio_high"], "float64"),
    **dict.fromkeys(["rank_a", "rank_b", "rank_change"], "Int64"),
    **dict.fromkeys(["rank_change_low", "rank_change_high"], "float64"),
    "beyond_noise": "boolean",
    "accuracy": "float64",
    **dict.fromkeys(["front_a", "front_b"], "boolean"),
}
RANKING_TEXTS = {
    "dataset": "Name of the dataset, for the size of its images",
    "batch_size": "Images per call",
    "protocol_a": "Protocol of the first device's latencies; with a plus: of a bundle on that device",
    "protocol_b": "Of the second one's",
    "device_a": "The first device",
    "device_b": "The second device",
    "setting_a": "Precision, layout and mode on the first device",
    "setting_b": "On the second one; both are the same if the devices have one in common",
    "rounds_a": "Rounds on the first device that all compared networks share",
    "rounds_b": "On the second one",
    "fastest_a": "The fastest network on the first device",
    "fastest_b": "On the second one",
    "num_networks": "Networks that both devices have measured",
    "tau": "Kendall's tau-b of the mean latencies: 1 for the same order, -1 for the reversed one",
    "tau_low": "Lower end of its 95 % interval over rounds",
    "tau_high": "Upper end",
    "tau_without_one_low": "The least tau if one network is left out",
    "tau_without_one_high": "The greatest",
    "ratio": "Median over networks of the second device's latency divided by the first one's",
    "ratio_min": "The least of these ratios",
    "ratio_max": "The greatest",
    "num_rank_changes": "Networks whose rank differs by more than noise, at 95 % for all networks together",
    "reversed_pairs": "Pairs whose order is reversed with a probability of 97.5 % or more",
    "front_a": "Pareto-optimal networks on the first device, by mean accuracy and latency",
    "front_b": "On the second one",
    "same_front_probability": "Probability that both have the same Pareto-optimal networks, given the accuracies",
    "note": "What limits the comparison",
}
NETWORK_TEXTS = {
    **{name: RANKING_TEXTS[name] for name in NETWORK_COLUMNS if name in RANKING_TEXTS},
    "variant": "Name of the network in the config",
    "a_ms": "Latency on the first device: geometric mean over rounds of the median, ms",
    "b_ms": "On the second one, ms",
    "ratio": "The second divided by the first",
    "ratio_low": "Lower end of its 95 % interval over rounds",
    "ratio_high": "Upper end",
    "rank_a": "Rank on the first device, 1 for the fastest",
    "rank_b": "On the second one",
    "rank_change": "The second rank minus the first",
    "rank_change_low": "Lower end of its interval, 95 % for all networks together",
    "rank_change_high": "Upper end",
    "beyond_noise": "Whether the interval leaves out 0",
    "accuracy": "Mean of the study's headline metric over seeds, as in the records",
    "front_a": "Whether it is Pareto-optimal on the first device",
    "front_b": "On the second one",
}
NOTE_SETTINGS = "the devices have no setting in common, so that the runtime differs too"
NOTE_ROUNDS = "fewer than two rounds that all networks share: no interval"
NOTE_MANY = f"more than {MAX_DRAWN} networks: no interval"


@dataclass(frozen=True)
class DeviceRankings:
    """One row per pair of devices and batch size, and one row for each of their networks."""

    pairs: pd.DataFrame
    networks: pd.DataFrame


@dataclass(frozen=True)
class _Side:
    """Logarithms of the p50 on one device: a row per network, a column per round without gaps."""

    protocol: str
    device: str
    setting: str
    logs: pd.DataFrame

    def facts(self, side: str, fastest: str) -> dict[str, Any]:
        values = (self.protocol, self.device, self.setting, self.logs.shape[1], fastest)
        return {f"{part}_{side}": value for part, value in zip(SIDE, values, strict=True)}


def compare_devices(study: StudySpec, runs: pd.DataFrame, cells: pd.DataFrame) -> DeviceRankings:
    """Compare each two devices that have measured networks on the same dataset.

    `runs` and `cells` are the study's frames. A pair needs two networks in common.
    """
    pairs: list[dict[str, Any]] = []
    networks: list[dict[str, Any]] = []
    timed = cells[cells["available"].eq(True) & cells["p50_ms"].gt(0)]
    counted = keep_counted(timed, ["dataset", "recipe", "variant"])
    counted = counted.assign(device=name_devices(counted).astype("str"))
    for dataset, rows in counted.groupby("dataset", sort=False):
        accuracies = _find_accuracies(study, runs, str(dataset))
        for one, other in itertools.combinations(_list_places(study, rows), 2):
            for sides, batch, note in _list_sides(rows, one, other):
                pair, members = _compare(sides, accuracies, note)
                place = {"dataset": dataset, "batch_size": batch}
                pairs.append({**place, **pair})
                networks += [{**place, **member} for member in members]
    return DeviceRankings(make_frame(pairs, RANKING_COLUMNS), make_frame(networks, NETWORK_COLUMNS))


def _list_places(study: StudySpec, rows: pd.DataFrame) -> list[tuple[str, str]]:
    """(protocol, device) in the study's order: its own latencies come before those of bundles."""
    order = [one.recipe for one in list_experiments(study)[1]]
    found = dict.fromkeys(rows[PLACE].itertuples(index=False, name=None))
    places = sorted(found, key=lambda place: order.index(place[0]))
    # Two protocols on one device are no two devices.
    first: dict[str, tuple[str, str]] = {}
    for protocol, device in places:
        first.setdefault(device, (protocol, device))
    return list(first.values())


def _list_sides(
    rows: pd.DataFrame, one: tuple[str, str], other: tuple[str, str]
) -> list[tuple[tuple[_Side, _Side], int, str]]:
    """Both sides at each common batch size, and a note."""
    both = [
        rows[rows["recipe"].eq(place[0]) & rows["device"].eq(place[1])] for place in (one, other)
    ]
    settings = [list(dict.fromkeys(x[SETTING].itertuples(index=False, name=None))) for x in both]
    common = [setting for setting in settings[0] if setting in settings[1]]
    chosen = (common[0], common[0]) if common else (settings[0][0], settings[1][0])
    both = [
        x[(x[SETTING] == list(setting)).all(axis="columns")]
        for x, setting in zip(both, chosen, strict=True)
    ]
    batches = sorted(set(both[0]["batch_size"]) & set(both[1]["batch_size"]))
    made = []
    for batch in batches:
        logs = [_pivot(x[x["batch_size"] == batch]) for x in both]
        names = [name for name in logs[0].index if name in logs[1].index]
        if len(names) < 2:
            continue
        sides = [
            _Side(*place, name_setting(*setting), log.loc[names].dropna(axis="columns"))
            for place, setting, log in zip((one, other), chosen, logs, strict=True)
        ]
        if all(side.logs.shape[1] for side in sides):
            note = "" if common else NOTE_SETTINGS
            made.append(((sides[0], sides[1]), int(batch), note))
    return made


def _pivot(cells: pd.DataFrame) -> pd.DataFrame:
    table = cells.pivot_table(index="variant", columns="seed", values="p50_ms", sort=False)
    # numpy's functions return a frame for a frame.
    return cast(pd.DataFrame, np.log(table.astype("float64")))


def _find_accuracies(study: StudySpec, runs: pd.DataFrame, dataset: str) -> pd.Series:
    """Mean headline metric by variant in the dataset's first experiment of trainings."""
    column = metric_column(study.headline_metric)
    trained = [one for one in list_experiments(study)[0] if one.dataset == dataset]
    if not trained:
        return pd.Series(dtype="float64")
    rows = runs[(runs[["kind", "dataset", "recipe"]] == list(trained[0])).all(axis="columns")]
    counted = keep_counted(rows, ["variant"])
    means: pd.Series = counted.groupby("variant", sort=False)[column].mean().dropna()
    return means


def _draw(logs: pd.DataFrame, seed: int) -> np.ndarray | None:
    if logs.shape[1] < 2 or len(logs) > MAX_DRAWN:
        return None
    rng = np.random.default_rng(seed)
    return draw_means(logs.to_numpy(), choose_num_draws(len(logs)), rng)


def _compare(
    sides: tuple[_Side, _Side], accuracies: pd.Series, note: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    a, b = sides
    names = list(a.logs.index)
    means = [side.logs.mean(axis="columns").to_numpy() for side in sides]
    drawn = [_draw(side.logs, seed) for seed, side in enumerate(sides)]
    if any(draws is None for draws in drawn):
        drawn = [None, None]
        note = "; ".join(filter(None, [note, NOTE_MANY if len(names) > MAX_DRAWN else NOTE_ROUNDS]))
    found = compare_orders(means[0], means[1], drawn[0], drawn[1])
    fronts, same_front = _compare_fronts(names, accuracies, means, drawn)
    ratios = np.exp(means[1] - means[0])
    beyond = (found.rank_change_low > 0) | (found.rank_change_high < 0)
    pair = {
        **a.facts("a", names[int(np.argmin(means[0]))]),
        **b.facts("b", names[int(np.argmin(means[1]))]),
        "num_networks": len(names),
        "tau": found.tau,
        "tau_low": found.tau_interval[0],
        "tau_high": found.tau_interval[1],
        "tau_without_one_low": found.without_one[0],
        "tau_without_one_high": found.without_one[1],
        "ratio": float(np.median(ratios)),
        "ratio_min": float(ratios.min()),
        "ratio_max": float(ratios.max()),
        "num_rank_changes": int(beyond.sum()) if drawn[0] is not None else None,
        "reversed_pairs": found.reversed_pairs,
        **{
            f"front_{side}": [name for name in names if front.get(name)]
            for side, front in zip("ab", fronts, strict=True)
        },
        "same_front_probability": same_front,
        "note": note,
    }
    place = {name: pair[name] for name in ("protocol_a", "device_a", "protocol_b", "device_b")}
    members = _list_members(names, means, drawn, found)
    for name, member, changes in zip(names, members, beyond, strict=True):
        member |= {
            **place,
            "variant": name,
            "beyond_noise": bool(changes) if drawn[0] is not None else None,
            "accuracy": accuracies.get(name),
            "front_a": fronts[0].get(name),
            "front_b": fronts[1].get(name),
        }
    return pair, members


def _list_members(
    names: list[str], means: list[np.ndarray], drawn: list[np.ndarray | None], found: Agreement
) -> list[dict[str, Any]]:
    low = high = np.full(len(names), np.nan)
    if drawn[0] is not None and drawn[1] is not None:
        low, high = np.exp(np.quantile(drawn[1] - drawn[0], (0.025, 0.975), axis=0))
    ranks = [rank(values) for values in means]
    return [
        {
            "a_ms": float(np.exp(means[0][i])),
            "b_ms": float(np.exp(means[1][i])),
            "ratio": float(np.exp(means[1][i] - means[0][i])),
            "ratio_low": float(low[i]),
            "ratio_high": float(high[i]),
            "rank_a": int(ranks[0][i]),
            "rank_b": int(ranks[1][i]),
            "rank_change": int(found.rank_change[i]),
            "rank_change_low": float(found.rank_change_low[i]),
            "rank_change_high": float(found.rank_change_high[i]),
        }
        for i in range(len(names))
    ]


def _compare_fronts(
    names: list[str],
    accuracies: pd.Series,
    means: list[np.ndarray],
    drawn: list[np.ndarray | None],
) -> tuple[list[dict[str, bool]], float | None]:
    """Which networks with an accuracy are Pareto-optimal on each device, and whether that is the same."""
    trained = [i for i, name in enumerate(names) if name in accuracies.index]
    if len(trained) < 2:
        return [{}, {}], None
    accuracy = accuracies[[names[i] for i in trained]].to_numpy(dtype=float)
    fronts = [
        dict(
            zip(
                [names[i] for i in trained],
                map(bool, find_fronts(accuracy, values[None, trained])[0]),
                strict=True,
            )
        )
        for values in means
    ]
    if drawn[0] is None or drawn[1] is None:
        return fronts, None
    return fronts, same_front_probability(accuracy, drawn[0][:, trained], drawn[1][:, trained])
