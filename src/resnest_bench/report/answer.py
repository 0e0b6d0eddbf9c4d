"""Which network to choose within a budget, and how sure that is: as sentences, for every budget at once.

ResNet-18 is the most accurate within 7 ms: 48.6 % [46.6, 50.6]. Two others are tied with it; the fastest
of them is ResNeSt-14-0s1x64d, 2.5 ms. About 6 more seeds of each would separate these two.

Tied are the networks that may be the best too, by the multiple comparison with the best within the budget.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from resnest_bench.comparisons.standings import BEST, MAY_BE_BEST, UNTESTED, Comparison
from resnest_bench.formats import format_significant, is_known, row_dicts
from resnest_bench.stats.intervals import IMAGES
from resnest_bench.stats.summary import MIN_FOR_INTERVAL
from resnest_bench.tables.axes import Axis

MAX_LIMITS = 60
# Of more networks each budget's most accurate ones are compared, so many in all.
MAX_CANDIDATES = 60
MAX_MORE_SEEDS = 100
ON_THESE_IMAGES = " on these test images; on new ones it also takes more test images"
NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
# How a sentence names the network that has least of it, by the column of an axis.
LEAST = {"num_params": "smallest", "num_macs": "one with the fewest operations"}


@dataclass(frozen=True)
class Answer:
    """The answer within one budget; `limit` is None for no budget.

    `standings` has the networks within the budget, the best first, with their standing. `lines` are the
    sentences: the best one, those tied with it, and the seeds that would separate them.
    """

    limit: float | None
    standings: Mapping[str, str]
    lines: tuple[str, ...]

    @property
    def best(self) -> str | None:
        return next(iter(self.standings), None)

    @property
    def tied(self) -> list[str]:
        return [name for name, standing in self.standings.items() if standing == MAY_BE_BEST]


def list_limits(values: pd.Series, extra: float | None = None) -> list[float | None]:
    """At most MAX_LIMITS round budgets from the smallest value to the greatest, with `extra`; then no budget."""
    known = values.dropna().to_numpy(dtype=float)
    known = known[np.isfinite(known)]
    limits: set[float] = set()
    if len(known) and known.min() < known.max():
        low, high = float(known.min()), float(known.max())
        wide = low > 0 and high / low > 3
        space = np.geomspace if wide else np.linspace
        limits = {
            _round_up(float(one), high - low) for one in space(low, high, MAX_LIMITS, endpoint=True)
        }
        # A budget that every network is within is none.
        limits = {limit for limit in limits if limit < high}
    if extra is not None:
        limits.add(extra)
    return [*sorted(limits), None]


def _round_up(value: float, width: float) -> float:
    """To two significant digits, or as many as tell a fiftieth of `width`."""
    digits = math.floor(math.log10(width / 50)) if width > 0 else 0
    places = -digits
    if value > 0:
        places = max(places, 1 - math.floor(math.log10(value)))
    unit = 10.0**-places
    return round(math.ceil(value / unit - 1e-9) * unit, max(places, 0))


def list_candidates(points: pd.DataFrame, y: Axis, limits: Sequence[float | None]) -> list[str]:
    """The networks to compare: all, or of many those with the best means within each budget."""
    ordered = points.dropna(subset=["x", "y"]).sort_values(
        "y", ascending=y.better == "lower", kind="stable"
    )
    if len(ordered) <= MAX_CANDIDATES:
        return ordered["variant"].tolist()
    x, names = ordered["x"].to_numpy(dtype=float), ordered["variant"].to_numpy()
    inside = [np.flatnonzero(x <= (np.inf if limit is None else limit)) for limit in limits]
    chosen: dict[str, None] = {}
    # The best of each budget first, then the second of each, until there are enough.
    for place in range(MAX_CANDIDATES):
        for rows in reversed(inside):
            if place < len(rows) and len(chosen) < MAX_CANDIDATES:
                chosen[names[rows[place]]] = None
    return list(chosen)


def answer_budgets(
    points: pd.DataFrame,
    x: Axis | None,
    y: Axis,
    comparison: Comparison | None,
    limits: Sequence[float | None],
) -> list[Answer]:
    """The answer within each of `limits` on `x`, which less is better of.

    `points` are rows of `points_frame` of one device and setting, one for each network; those without a
    value of x or y are in no answer. `comparison` has the candidates; without one nothing is tested.
    """
    complete = points.dropna(subset=["y"] if x is None else ["x", "y"])
    complete = complete.sort_values("y", ascending=y.better == "lower", kind="stable")
    rows = {row["variant"]: row for row in row_dicts(complete)}
    subsets = [
        [name for name, row in rows.items() if limit is None or row["x"] <= limit]
        for limit in limits
    ]
    compared = comparison.find_best(subsets) if comparison is not None else [{} for _ in limits]
    answers = []
    for limit, names, tested in zip(limits, subsets, compared, strict=True):
        standings = {**tested, **{name: UNTESTED for name in names if name not in tested}}
        if not tested and names:
            standings[names[0]] = BEST
        lines = _Wording(rows, x, y, comparison).describe(limit, standings)
        answers.append(Answer(limit, standings, tuple(lines)))
    return answers


@dataclass(frozen=True)
class _Wording:
    rows: Mapping[str, Mapping[str, Any]]
    x: Axis | None
    y: Axis
    comparison: Comparison | None

    def describe(self, limit: float | None, standings: Mapping[str, str]) -> list[str]:
        if not standings:
            return [self._say_none(limit)]
        best = next(iter(standings))
        lines = [self._say_best(best, limit, alone=len(standings) == 1)]
        if len(standings) == 1:
            return lines
        tied = [name for name, standing in standings.items() if standing == MAY_BE_BEST]
        others = list(standings.values())[1:]
        if all(one == UNTESTED for one in others):
            return [*lines, self._say_untested()]
        if not tied:
            return [*lines, "All others within it are worse." if limit else "All others are worse."]
        rival = self._choose_rival(best, tied)
        lines.append(self._say_tied(best, tied, rival))
        if more := self._say_seeds(best, rival, len(standings)):
            lines.append(more)
        return lines

    def _say_none(self, limit: float | None) -> str:
        if limit is None or self.x is None or not self.rows:
            return f"No network has a value of {_lower(self.y.label)} yet."
        nearest = min(self.rows, key=lambda name: self.rows[name]["x"])
        return (
            f"No network is within {format_limit(limit, self.x)}; the {self._least} is {nearest}, "
            f"{self._format_x(self.rows[nearest]['x'])}."
        )

    def _say_best(self, best: str, limit: float | None, alone: bool) -> str:
        within = f" within {format_limit(limit, self.x)}" if limit is not None and self.x else ""
        row = self.rows[best]
        if alone and within:
            text = f"Only {best} is{within}"
        elif alone:
            text = f"Only {best} has results"
        elif self.y.column == "test_accuracy":
            text = f"{best} is the most accurate{within}"
        else:
            end = "highest" if self.y.better == "higher" else "lowest"
            text = f"{best} has the {end} {_lower(self.y.label)}{within}"
        return f"{text}: {format_interval(row, 'y', self.y)}."

    def _say_untested(self) -> str:
        fewest = min(int(row["y_n"]) for row in self.rows.values())
        if fewest < MIN_FOR_INTERVAL:
            return (
                f"Nothing says yet how sure that is: some networks have only {fewest} "
                f"seed{'s' if fewest > 1 else ''}, and a test takes {MIN_FOR_INTERVAL} of each."
            )
        return "Nothing says how sure that is: the seeds show no spread that can be tested."

    def _choose_rival(self, best: str, tied: Sequence[str]) -> str:
        """Of the tied ones that with the least x; without x the one with the best mean."""
        return tied[0] if self.x is None else min(tied, key=lambda name: self.rows[name]["x"])

    def _say_tied(self, best: str, tied: Sequence[str], rival: str) -> str:
        if len(tied) == 1:
            text = f"{rival} is tied with it"
            if self.x is None:
                return f"{text}: {format_interval(self.rows[rival], 'y', self.y)}."
            return f"{text}, at {self._format_x(self.rows[rival]['x'])}{self._than(best, rival)}."
        count = NUMBERS[len(tied)] if len(tied) < len(NUMBERS) else f"{len(tied):,}"
        text = f"{count} others are tied with it"
        if self.x is None:
            return f"{text}, such as {rival}."
        of_them = f"the {self._least} of them is {rival}, {self._format_x(self.rows[rival]['x'])}"
        return f"{text}; {of_them}{self._than(best, rival)}."

    def _than(self, best: str, rival: str) -> str:
        """What the best one needs, so that the two can be compared at once."""
        ours, theirs = self.rows[best]["x"], self.rows[rival]["x"]
        return f" against {self._format_x(ours)}" if ours > theirs else ""

    def _say_seeds(self, best: str, rival: str, num_compared: int) -> str:
        if self.comparison is None or rival not in self.comparison.variants:
            return ""
        n = min(int(self.rows[name]["y_n"]) for name in (best, rival))
        both = "these two" if num_compared > 2 else "them"
        # A test set of few images limits what any number of seeds can show on new ones.
        for on_new_images, end in ((True, ""), (False, ON_THESE_IMAGES)):
            required = self.comparison.required_seeds(best, rival, num_compared, on_new_images)
            if required is not None and required - n <= MAX_MORE_SEEDS:
                more = max(required - n, 1)
                seeds = f"{more} more seed{'s' if more > 1 else ''}"
                return f"About {seeds} of each would separate {both}{end}."
        return f"Not even {MAX_MORE_SEEDS} more seeds of each would separate {both}."

    @property
    def _least(self) -> str:
        assert self.x is not None
        if self.x.unit in ("ms", "s"):
            return "fastest"
        return LEAST.get(self.x.column, f"one with the lowest {_lower(self.x.label)}")

    def _format_x(self, value: float) -> str:
        assert self.x is not None
        return format_value(value, self.x)


def format_limit(limit: float, axis: Axis) -> str:
    """'7 ms': a budget with the digits that it has."""
    text = f"{limit:.6g}"
    return (
        f"{text} million {_lower(axis.label)}" if axis.unit == "million" else f"{text} {axis.unit}"
    )


def format_value(value: Any, axis: Axis) -> str:
    """'2.5 ms', or '8.1 million parameters': two digits or more, with what the unit counts."""
    whole = abs(value) >= 100
    digits = max(2, math.floor(math.log10(abs(value))) + 1) if value else 2
    number = format_significant(value, digits if whole else max(2, min(digits + 1, 3)))
    if axis.unit == "million":
        return f"{number} million {_lower(axis.label)}"
    return f"{number} {axis.unit}".strip()


def format_interval(row: Mapping[str, Any], name: str, axis: Axis) -> str:
    """'48.6 % [46.6, 50.6]', or '48.6 % (one seed)' where the interval is not about new seeds."""
    percent = axis.unit == "%"

    def write(value: float) -> str:
        return f"{value:.1f}" if percent else format_significant(value, 3)

    text = f"{write(row[name])} {axis.unit}".strip()
    n = int(row[f"{name}_n"]) if is_known(row[f"{name}_n"]) else 0
    if row[f"{name}_about"] == IMAGES or n == 1:
        return f"{text} (one {axis.repeats})"
    if is_known(row[f"{name}_low"]) and is_known(row[f"{name}_high"]):
        return f"{text} [{write(row[f'{name}_low'])}, {write(row[f'{name}_high'])}]"
    return f"{text} (n={n})"


def _lower(label: str) -> str:
    return label if label[:2].isupper() else label[:1].lower() + label[1:]
