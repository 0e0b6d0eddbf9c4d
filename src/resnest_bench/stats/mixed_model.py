"""What a factor does to the accuracy, over all variants at once: a mixed linear model."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import chdtrc, fdtrc, stdtr

from resnest_bench.stats.design import (
    Effect,
    aliases,
    design_matrix,
    design_notes,
    independent_columns,
    list_effects,
)
from resnest_bench.stats.intervals import seed_interval, seed_p_value
from resnest_bench.stats.multiplicity import holm
from resnest_bench.stats.summary import t_quantile

MIXED = "mixed linear model, random seed effect, REML"
BLOCKED = "least squares with a constant for each seed"
# A variance of seeds below this share of the rest's is at the boundary.
SINGULAR_SHARE = 1e-6
DOUBTFUL_P = 0.05
EFFECT_COLUMNS = {
    **dict.fromkeys(["factor", "base_level", "level"], "str"),
    **dict.fromkeys(["effect", "standard_error", "low", "high", "p", "holm_p"], "float64"),
    **dict.fromkeys(["by_seed_low", "by_seed_high", "by_seed_p", "by_seed_holm_p"], "float64"),
    "num_variants": "Int64",
    "reason": "str",
}


@dataclass(frozen=True, eq=False)
class FactorEffects:
    """Effects of factors, and what they rest on.

    `table` has EFFECT_COLUMNS; effects are in the unit of the values. `method` is MIXED or BLOCKED,
    `reason` why it is not MIXED (or why there are no intervals). `seed_sd` and `rest_sd` are the
    standard deviations of what a seed does to all variants and of what is left. `additivity_p` is
    small where effects don't add up (None where nothing is left to tell), `spread_p` where variants
    differ in how much they vary over seeds (None below three complete seeds). `spread_ratio` is the
    largest standard deviation over seeds divided by the smallest, None where that is 0 or where there
    is no such test. `notes` say in words what can't be separated, and which intervals not to trust.
    """

    table: pd.DataFrame
    method: str
    reason: str
    degrees_of_freedom: int
    num_seeds: int
    seed_sd: float | None
    rest_sd: float | None
    additivity_p: float | None
    spread_p: float | None
    spread_ratio: float | None
    notes: list[str]


@dataclass(frozen=True)
class _Fit:
    """Coefficients and their standard errors, in the order of the kept columns."""

    coefficients: np.ndarray
    errors: np.ndarray
    seed_sd: float | None
    rest_sd: float


def factor_effects(
    frame: pd.DataFrame, factors: Sequence[str], value: str = "value"
) -> FactorEffects:
    """Main effects of `factors` on the column `value`, each level against the factor's lowest one.

    `frame` has a row for each training, with `variant`, `seed`, `value` and a column a factor. The
    model is value = constant + sum of effects + seed + rest, with seeds drawn at random and a rest
    that is normal and equally wide for all variants: y ~ X b + Z u (Laird and Ware, Biometrics 38
    (1982) 963), by REML. The 95 % intervals are Student's with rows - rank(X, seeds) degrees of
    freedom, which is exact where every variant has every seed. They speak of new seeds, of these
    test images, and of effects that add up.

    Where the model does not converge, or the seeds' variance comes out as 0, seeds get a constant
    each instead: the ordinary paired analysis. Effects that these variants can't separate are NaN,
    with the reason. `holm_p` is over the estimable effects.

    `by_seed_*` is Student's over the effects that each seed gives by itself, of the seeds that every
    variant has (NaN below three). It needs no equal spread: where one variant varies twice as much as
    the others, the model's interval of an effect that hangs on it covers 85 % instead of 95 %, and this
    one 95 %. So tables lead with it. It has n - 1 degrees of freedom only, and is twice as wide at
    three seeds.

    Raises ValueError where one setting has two values for a seed (give each network once), where one
    name has two settings (comparing recipes, put them into the name), and without a factor that varies.
    """
    data = frame.dropna(subset=[value])
    data = data.assign(value=data[value].astype(float))
    settings = data.drop_duplicates(["variant", *factors]).set_index("variant")[list(factors)]
    effects = list_effects(settings, factors)
    _check(data, settings, effects)
    unclear = {e: group for group in aliases(settings, effects) for e in group}
    matrix = design_matrix(data, effects)
    kept = independent_columns(matrix)
    seeds = pd.get_dummies(data["seed"], dtype=float).to_numpy()
    free = len(data) - int(np.linalg.matrix_rank(np.column_stack([matrix, seeds])))
    fit, method, reason = _fit(data, matrix[:, kept], seeds, free)
    complete = _complete(data)
    table = _table(settings, effects, unclear, kept, fit, free)
    table = _with_by_seed(table, complete, design_matrix(settings, effects)[:, kept], kept)
    additivity_p = _additivity_p(data, matrix, seeds)
    spread_p, spread_ratio = _spreads(complete)
    return FactorEffects(
        table=table,
        method=method,
        reason=reason,
        degrees_of_freedom=free,
        num_seeds=len(data["seed"].unique()),
        seed_sd=fit.seed_sd,
        rest_sd=fit.rest_sd if free else None,
        additivity_p=additivity_p,
        spread_p=spread_p,
        spread_ratio=spread_ratio,
        notes=[*design_notes(settings, factors), *_doubts(additivity_p, spread_p)],
    )


def _doubts(additivity_p: float | None, spread_p: float | None) -> list[str]:
    notes = []
    if additivity_p is not None and additivity_p < DOUBTFUL_P:
        notes.append(
            f"The effects don't add up (p = {additivity_p:.2g}): each is a mean over the settings "
            "that it was seen at. Compare pairs of variants instead."
        )
    if spread_p is not None and spread_p < DOUBTFUL_P:
        notes.append(
            f"Some variants vary more over seeds than others (p = {spread_p:.2g}): the intervals "
            "of the mixed model for effects that hang on them are too short. Those by seed don't assume it."
        )
    return notes


def _check(data: pd.DataFrame, settings: pd.DataFrame, effects: list[Effect]) -> None:
    if not effects:
        raise ValueError(
            f"none of {', '.join(settings.columns)} varies: there is no effect to estimate"
        )
    if settings.index.has_duplicates:
        name = settings.index[settings.index.duplicated()][0]
        raise ValueError(f"{name} has two settings: give each a name of its own in `variant`")
    twice = data.duplicated([*settings, "seed"])
    if twice.any():
        first = data[twice].iloc[0]
        raise ValueError(
            f"{first['variant']} with seed {first['seed']} repeats the setting of another row: "
            "give each network once"
        )


def _fit(
    data: pd.DataFrame, matrix: np.ndarray, seeds: np.ndarray, free: int
) -> tuple[_Fit, str, str]:
    values = data["value"].to_numpy()
    if free and seeds.shape[1] > 1:
        fit, problem = _mixed(values, matrix, data["seed"].to_numpy())
        if fit is not None:
            return fit, MIXED, ""
    elif free:
        problem = "there is one seed only"
    else:
        problem = "as many unknowns as values: no intervals"
    return _blocked(values, matrix, seeds, free), BLOCKED, problem


def _mixed(values: np.ndarray, matrix: np.ndarray, seed: np.ndarray) -> tuple[_Fit | None, str]:
    # A second to import, and whoever looks at a table without effects needn't wait for it.
    from statsmodels.regression.mixed_linear_model import MixedLM

    # The optimiser's steps suit values near 1, and accuracies may be fractions or points.
    unit = float(values.std()) or 1.0
    with warnings.catch_warnings():
        # What they warn of is looked at below.
        warnings.simplefilter("ignore")
        try:
            # One variance is sought: without a gradient it is found even at the boundary.
            found = MixedLM(values / unit, matrix, groups=seed).fit(reml=True, method="powell")
        except (np.linalg.LinAlgError, ValueError) as error:
            return None, f"the mixed model could not be fitted ({error})"
    seed_variance = float(np.asarray(found.cov_re).item())
    if not found.converged:
        return None, "the mixed model did not converge"
    if seed_variance < SINGULAR_SHARE * found.scale:
        return None, "the mixed model is singular: it puts the variance of seeds at 0"
    count = matrix.shape[1]
    return _Fit(
        coefficients=unit * np.asarray(found.fe_params),
        errors=unit * np.asarray(found.bse_fe)[:count],
        seed_sd=unit * seed_variance**0.5,
        rest_sd=unit * float(found.scale) ** 0.5,
    ), ""


def _blocked(values: np.ndarray, matrix: np.ndarray, seeds: np.ndarray, free: int) -> _Fit:
    # The constant is the seeds' own: of theirs, one is left out.
    whole = np.column_stack([matrix, seeds[:, 1:]])
    coefficients = np.linalg.lstsq(whole, values, rcond=None)[0]
    variance = ((values - whole @ coefficients) ** 2).sum() / free if free else np.nan
    covariance = variance * np.linalg.pinv(whole.T @ whole)
    count = matrix.shape[1]
    return _Fit(
        coefficients[:count], np.sqrt(np.diag(covariance))[:count], None, float(np.sqrt(variance))
    )


def _table(
    settings: pd.DataFrame,
    effects: list[Effect],
    unclear: dict[Effect, list[Effect]],
    kept: list[int],
    fit: _Fit,
    free: int,
) -> pd.DataFrame:
    quantile = t_quantile(free) if free else np.nan
    rows = []
    for place, effect in enumerate(effects, start=1):
        row = {
            "factor": effect.factor,
            "base_level": str(effect.base),
            "level": str(effect.level),
            "num_variants": int((settings[effect.factor] == effect.level).sum()),
            "reason": "",
        }
        if effect in unclear:
            others = " and ".join(str(other) for other in unclear[effect] if other != effect)
            row["reason"] = f"can't be told from {others}"
        else:
            size, error = (a[kept.index(place)] for a in (fit.coefficients, fit.errors))
            half = quantile * error
            row |= {
                "effect": size,
                "standard_error": error,
                "low": size - half,
                "high": size + half,
            }
            row["p"] = 2 * stdtr(free, -abs(size) / error) if free and error > 0 else np.nan
        rows.append(row)
    table = pd.DataFrame(rows, columns=list(EFFECT_COLUMNS))
    table["holm_p"] = holm(table["p"].to_numpy(dtype=float))
    return table.astype(EFFECT_COLUMNS)


def _additivity_p(data: pd.DataFrame, matrix: np.ndarray, seeds: np.ndarray) -> float | None:
    """F test of the effects against a mean of its own for every variant, within seeds."""
    values = data["value"].to_numpy()
    variants = pd.get_dummies(data["variant"], dtype=float).to_numpy()
    small, large = np.column_stack([matrix, seeds]), np.column_stack([variants, seeds])
    ranks = [int(np.linalg.matrix_rank(m)) for m in (small, large)]
    more, free = ranks[1] - ranks[0], len(values) - ranks[1]
    if not more or not free:
        return None
    rests = []
    for m in (small, large):
        rest = values - m @ np.linalg.lstsq(m, values, rcond=None)[0]
        rests.append(float(rest @ rest))
    if rests[1] <= 0:
        return None
    return float(fdtrc(more, free, (rests[0] - rests[1]) / more / (rests[1] / free)))


def _complete(data: pd.DataFrame) -> np.ndarray:
    """Values (variants, seeds that every variant has), variants in the order in which they came."""
    wide = data.pivot_table(index="variant", columns="seed", values="value", sort=False)
    return wide.dropna(axis="columns").to_numpy()


def _with_by_seed(
    table: pd.DataFrame, values_VS: np.ndarray, matrix: np.ndarray, kept: list[int]
) -> pd.DataFrame:
    """`table` with the effects that each seed gives by least squares, as one Student's sample each."""
    if values_VS.shape[1] < 2:
        return table
    coefficients = dict(zip(kept, np.linalg.pinv(matrix) @ values_VS, strict=True))
    rows = [
        coefficients[place] if known else np.full(values_VS.shape[1], np.nan)
        for place, known in enumerate(table["effect"].notna(), start=1)
    ]
    over_seeds, p = seed_interval(np.array(rows)), np.asarray(seed_p_value(np.array(rows)))
    return table.assign(
        by_seed_low=over_seeds.low,
        by_seed_high=over_seeds.high,
        by_seed_p=p,
        by_seed_holm_p=holm(p),
    )


def _spreads(values_VS: np.ndarray) -> tuple[float | None, float | None]:
    """p of Bartlett's test of equal variances (Proc. R. Soc. A 160 (1937) 268), and the ratio of the
    largest to the smallest standard deviation, of what is left of each variant beside its mean and
    the seeds'."""
    v, n = values_VS.shape
    if v < 3 or n < 3:
        return None, None
    left = values_VS - values_VS.mean(axis=1, keepdims=True)
    left -= left.mean(axis=0)
    variances = (left**2).sum(axis=1) / (n - 1)
    if not variances.all():
        return None, None
    ratio = float(np.sqrt(variances.max() / variances.min()))
    statistic = (n - 1) * (v * np.log(variances.mean()) - np.log(variances).sum())
    return float(chdtrc(v - 1, statistic / (1 + (v + 1) / (3 * v * (n - 1))))), ratio
