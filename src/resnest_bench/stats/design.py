"""What a set of variants can say about factors: which effects are there, which can't be separated.

`settings` has a row for each distinct variant and a column for each factor.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Effect:
    """One level of a factor against its lowest level, the base."""

    factor: str
    base: Any
    level: Any

    def __str__(self) -> str:
        return f"{self.factor} {self.level} against {self.base}"


def list_levels(column: pd.Series) -> list[Any]:
    """Levels that occur, the lowest first: in a categorical's order, else sorted."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [level for level in column.cat.categories if (column == level).any()]
    return sorted(column.unique())


def list_effects(settings: pd.DataFrame, factors: Sequence[str]) -> list[Effect]:
    """Every level of every factor against that factor's base; none for a factor with one level."""
    return [
        Effect(factor, base, level)
        for factor in factors
        for base, *others in [list_levels(settings[factor])]
        for level in others
    ]


def design_matrix(settings: pd.DataFrame, effects: Iterable[Effect]) -> np.ndarray:
    """Floats (rows, 1 + effects): a constant, then 1 where the row has the effect's level."""
    columns = [(settings[e.factor] == e.level).to_numpy(dtype=float) for e in effects]
    return np.column_stack([np.ones(len(settings)), *columns])


def independent_columns(matrix: np.ndarray) -> list[int]:
    """Indices of the columns that are no combination of those before them."""
    kept: list[int] = []
    for column in range(matrix.shape[1]):
        if np.linalg.matrix_rank(matrix[:, [*kept, column]]) > len(kept):
            kept.append(column)
    return kept


def aliases(settings: pd.DataFrame, effects: Sequence[Effect]) -> list[list[Effect]]:
    """Groups of effects of which only a combination can be estimated; empty where all can be.

    For each column of the design that is a combination of others: its effect, with theirs.
    """
    matrix = design_matrix(settings, effects)
    kept = independent_columns(matrix)
    groups = []
    for dropped in sorted(set(range(matrix.shape[1])) - set(kept)):
        weights = np.linalg.lstsq(matrix[:, kept], matrix[:, dropped], rcond=None)[0]
        partners = [k for k, weight in zip(kept, weights, strict=True) if abs(weight) > 1e-9 and k]
        groups.append([effects[k - 1] for k in sorted([*partners, dropped])])
    return groups


def seen_at(settings: pd.DataFrame, effect: Effect, factors: Sequence[str]) -> dict[str, list[Any]]:
    """Other factor to those of its levels at which both the effect's level and its base occur."""
    column = settings[effect.factor]
    found = {}
    for factor in factors:
        if factor == effect.factor:
            continue
        at_level = set(settings.loc[column == effect.level, factor])
        at_base = set(settings.loc[column == effect.base, factor])
        found[factor] = [v for v in list_levels(settings[factor]) if v in at_level & at_base]
    return found


def interaction_ranks(
    settings: pd.DataFrame, effects: Sequence[Effect]
) -> dict[tuple[str, str], tuple[int, int]]:
    """Pair of factors to (interaction effects that can be estimated beside main effects, all)."""
    main = design_matrix(settings, effects)
    base_rank = np.linalg.matrix_rank(main)
    by_factor: dict[str, list[int]] = {}
    for place, effect in enumerate(effects, start=1):
        by_factor.setdefault(effect.factor, []).append(place)
    ranks = {}
    for one, other in itertools.combinations(by_factor, 2):
        products = [
            main[:, a] * main[:, b] for a, b in itertools.product(by_factor[one], by_factor[other])
        ]
        rank = np.linalg.matrix_rank(np.column_stack([main, *products]))
        ranks[one, other] = int(rank - base_rank), len(products)
    return ranks


def design_notes(settings: pd.DataFrame, factors: Sequence[str]) -> list[str]:
    """What these variants can't say of these factors, a sentence each.

    The index of `settings` holds the variants' names. Factors with one level; effects that can't
    be separated; levels that one variant alone has; effects seen at some levels of another factor
    only; interactions that can't be estimated; whether anything is left to check the sum with.
    """
    effects = list_effects(settings, factors)
    varied = list(dict.fromkeys(effect.factor for effect in effects))
    notes = [
        f"{factor} is {list_levels(settings[factor])[0]} in every variant: it has no effect to estimate."
        for factor in factors
        if factor not in varied
    ]
    groups = aliases(settings, effects)
    notes += [
        f"{_listed(group)} can't be separated: in these variants they only change together."
        for group in groups
    ]
    unclear = {effect for group in groups for effect in group}
    if len(varied) > 1:
        notes += [_support_note(settings, e, varied) for e in effects if e not in unclear]
    notes += _interaction_notes(interaction_ranks(settings, effects))
    left = len(settings.drop_duplicates(varied)) - np.linalg.matrix_rank(
        design_matrix(settings, effects)
    )
    if effects and not left:
        notes.append("As many effects as variants: nothing is left to check that they add up.")
    return [note for note in notes if note]


def _support_note(settings: pd.DataFrame, effect: Effect, varied: Sequence[str]) -> str:
    parts = []
    for level in (effect.level, effect.base):
        alone = settings.index[settings[effect.factor] == level]
        if len(alone) == 1:
            parts.append(f"{effect.factor} {level} is in one variant only ({alone[0]})")
    partly = []
    for factor, seen in seen_at(settings, effect, varied).items():
        every = list_levels(settings[factor])
        if len(seen) < len(every):
            where = " or ".join(map(str, seen)) or "no level in common"
            partly.append(f"{factor} {where} (of {', '.join(map(str, every))})")
    if partly:
        parts.append(f"{effect} was seen at {'; '.join(partly)} only: elsewhere it may differ")
    return "; ".join(parts) + "." if parts else ""


def _interaction_notes(ranks: dict[tuple[str, str], tuple[int, int]]) -> list[str]:
    none = [f"{a} with {b}" for (a, b), (rank, _) in ranks.items() if rank == 0]
    partly = [f"{a} with {b}" for (a, b), (rank, every) in ranks.items() if 0 < rank < every]
    notes = []
    if none:
        notes.append(
            f"Whether effects depend on each other can't be estimated for {_listed(none)}: "
            "they are assumed to add up."
        )
    if partly:
        notes.append(f"It can be estimated in part only for {_listed(partly)}.")
    return notes


def _listed(items: Iterable[Any]) -> str:
    *most, last = map(str, items)
    return f"{', '.join(most)} and {last}" if most else last
