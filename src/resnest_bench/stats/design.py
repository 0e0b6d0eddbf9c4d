"""What a set of variants can say about factors: which effects it can estimate and which it can't.

`settings` is a frame with a row for each distinct variant and a column for each factor.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Effect:
    """The effect of one level of a factor, compared with the factor's lowest level, the base."""

    factor: str
    base: Any
    level: Any

    def __str__(self) -> str:
        return f"{self.factor} {self.level} against {self.base}"


def list_levels(column: pd.Series) -> list[Any]:
    """List the levels that occur, the lowest first.

    Args:
        column: the levels of one factor, one for each variant.

    Returns:
        Distinct levels in the order of the categories, if the column is categorical, else sorted.

    >>> list_levels(pd.Series(["small", "deep", "small"]))
    ['deep', 'small']
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [level for level in column.cat.categories if (column == level).any()]
    return sorted(column.unique())


def list_effects(settings: pd.DataFrame, factors: Sequence[str]) -> list[Effect]:
    """List every level of every factor against that factor's base.

    Args:
        settings: a row for each variant, a column for each factor.
        factors: names of columns.

    Returns:
        The effects by factor; a factor with one level has none.

    >>> settings = pd.DataFrame({"radix": [0, 1, 2], "width": [64, 64, 64]})
    >>> [str(effect) for effect in list_effects(settings, ["radix", "width"])]
    ['radix 1 against 0', 'radix 2 against 0']
    """
    return [
        Effect(factor, base, level)
        for factor in factors
        for base, *others in [list_levels(settings[factor])]
        for level in others
    ]


def design_matrix(settings: pd.DataFrame, effects: Iterable[Effect]) -> np.ndarray:
    """Design matrix of a linear model with treatment coding.

    Args:
        settings: a row for each variant, a column for each factor.
        effects: from `list_effects`.

    Returns:
        Floats (rows, 1 + effects): a constant, then 1 where the row has the level of the effect.

    >>> settings = pd.DataFrame({"radix": [0, 1, 2]})
    >>> design_matrix(settings, list_effects(settings, ["radix"])).tolist()
    [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 0.0, 1.0]]
    """
    columns = [(settings[e.factor] == e.level).to_numpy(dtype=float) for e in effects]
    return np.column_stack([np.ones(len(settings)), *columns])


def independent_columns(matrix: np.ndarray) -> list[int]:
    """Indices of the columns that are no linear combination of the columns before them.

    Args:
        matrix: (rows, columns).

    >>> independent_columns(np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]))
    [0, 2]
    """
    independent: list[int] = []
    for column in range(matrix.shape[1]):
        if np.linalg.matrix_rank(matrix[:, [*independent, column]]) > len(independent):
            independent.append(column)
    return independent


def find_aliases(settings: pd.DataFrame, effects: Sequence[Effect]) -> list[list[Effect]]:
    """Find groups of effects of which only a combination can be estimated (aliases).

    Args:
        settings: a row for each variant, a column for each factor.
        effects: from `list_effects`.

    Returns:
        For each dependent column of the design matrix: its effect with those that it depends on.
        Empty where every effect can be estimated.

    >>> settings = pd.DataFrame({"radix": [0, 1], "stem": ["conv7", "deep"]})
    >>> groups = find_aliases(settings, list_effects(settings, ["radix", "stem"]))
    >>> [str(effect) for effect in groups[0]]
    ['radix 1 against 0', 'stem deep against conv7']
    """
    matrix = design_matrix(settings, effects)
    independent = independent_columns(matrix)
    groups = []
    for dependent in sorted(set(range(matrix.shape[1])) - set(independent)):
        weights = np.linalg.lstsq(matrix[:, independent], matrix[:, dependent], rcond=None)[0]
        # Column 0 is the constant, no effect.
        partners = [
            column
            for column, weight in zip(independent, weights, strict=True)
            if abs(weight) > 1e-9 and column
        ]
        groups.append([effects[column - 1] for column in sorted([*partners, dependent])])
    return groups


def shared_levels(
    settings: pd.DataFrame, effect: Effect, factors: Sequence[str]
) -> dict[str, list[Any]]:
    """Levels of the other factors at which both the level of `effect` and its base occur.

    Args:
        settings: a row for each variant, a column for each factor.
        effect: the effect.
        factors: names of columns.

    Returns:
        For each other factor its levels, the lowest first.

    >>> settings = pd.DataFrame({"radix": [0, 1, 1], "stem": ["deep", "deep", "conv7"]})
    >>> shared_levels(settings, Effect("radix", 0, 1), ["radix", "stem"])
    {'stem': ['deep']}
    """
    column = settings[effect.factor]
    levels_by_factor = {}
    for factor in factors:
        if factor == effect.factor:
            continue
        at_level = set(settings.loc[column == effect.level, factor])
        at_base = set(settings.loc[column == effect.base, factor])
        shared = at_level & at_base
        levels_by_factor[factor] = [v for v in list_levels(settings[factor]) if v in shared]
    return levels_by_factor


def interaction_ranks(
    settings: pd.DataFrame, effects: Sequence[Effect]
) -> dict[tuple[str, str], tuple[int, int]]:
    """How many interaction effects each pair of factors allows in addition to the main effects.

    Args:
        settings: a row for each variant, a column for each factor.
        effects: from `list_effects`.

    Returns:
        For each pair of factors: how many interaction effects can be estimated, and how many there are.

    >>> settings = pd.DataFrame({"radix": [0, 1, 0], "width": [40, 40, 64]})
    >>> interaction_ranks(settings, list_effects(settings, ["radix", "width"]))
    {('radix', 'width'): (0, 1)}
    """
    main = design_matrix(settings, effects)
    main_rank = np.linalg.matrix_rank(main)
    columns_by_factor: dict[str, list[int]] = {}
    for column, effect in enumerate(effects, start=1):
        columns_by_factor.setdefault(effect.factor, []).append(column)
    ranks = {}
    for one, other in itertools.combinations(columns_by_factor, 2):
        products = [
            main[:, a] * main[:, b]
            for a, b in itertools.product(columns_by_factor[one], columns_by_factor[other])
        ]
        rank = np.linalg.matrix_rank(np.column_stack([main, *products]))
        ranks[one, other] = int(rank - main_rank), len(products)
    return ranks


def describe_design(settings: pd.DataFrame, factors: Sequence[str]) -> list[str]:
    """Say in sentences what these variants can't tell about these factors.

    The sentences name: factors with one level; effects that can't be separated; levels that only one
    variant has; effects that are observed only at some levels of another factor; interactions that
    can't be estimated; a design without degrees of freedom to check that effects add up.

    Args:
        settings: a row for each variant, named by the index; a column for each factor.
        factors: names of columns.

    Returns:
        A list of sentences, empty for a complete design.

    >>> settings = pd.DataFrame({"radix": [0, 1], "width": [64, 64]}, index=["A", "B"])
    >>> describe_design(settings, ["radix", "width"])[0]
    'width is 64 in every variant: it has no effect to estimate.'
    """
    effects = list_effects(settings, factors)
    varied = list(dict.fromkeys(effect.factor for effect in effects))
    notes = [
        f"{factor} is {list_levels(settings[factor])[0]} in every variant: it has no effect to estimate."
        for factor in factors
        if factor not in varied
    ]
    groups = find_aliases(settings, effects)
    notes += [
        f"{_join(group)} can't be separated: in these variants they only change together."
        for group in groups
    ]
    aliased = {effect for group in groups for effect in group}
    if len(varied) > 1:
        notes += [_support_note(settings, e, varied) for e in effects if e not in aliased]
    notes += _interaction_notes(interaction_ranks(settings, effects))
    degrees_of_freedom = len(settings.drop_duplicates(varied)) - np.linalg.matrix_rank(
        design_matrix(settings, effects)
    )
    if effects and not degrees_of_freedom:
        notes.append(
            "There are as many effects as variants: whether effects add up can't be checked."
        )
    return [note for note in notes if note]


def _support_note(settings: pd.DataFrame, effect: Effect, varied: Sequence[str]) -> str:
    sentences = []
    for level in (effect.level, effect.base):
        variants = settings.index[settings[effect.factor] == level]
        if len(variants) == 1:
            sentences.append(f"Only one variant has {effect.factor} {level} ({variants[0]}).")
    partial = []
    for factor, shared in shared_levels(settings, effect, varied).items():
        levels = list_levels(settings[factor])
        if len(shared) < len(levels):
            where = " or ".join(map(str, shared)) or "no common level"
            partial.append(f"{factor} {where} (of {', '.join(map(str, levels))})")
    if partial:
        sentences.append(
            f"{effect} was observed only at {'; '.join(partial)}: elsewhere the effect may differ."
        )
    return " ".join(sentences)


def _interaction_notes(ranks: dict[tuple[str, str], tuple[int, int]]) -> list[str]:
    none = [f"{a} with {b}" for (a, b), (rank, _) in ranks.items() if rank == 0]
    partial = [f"{a} with {b}" for (a, b), (rank, count) in ranks.items() if 0 < rank < count]
    notes = []
    if none:
        notes.append(
            f"These variants can't show whether effects interact for {_join(none)}: the effects are "
            "assumed to add up."
        )
    if partial:
        notes.append(f"They can show it only in part for {_join(partial)}.")
    return notes


def _join(items: Iterable[Any]) -> str:
    """'a, b and c'."""
    *first, last = map(str, items)
    return f"{', '.join(first)} and {last}" if first else last
