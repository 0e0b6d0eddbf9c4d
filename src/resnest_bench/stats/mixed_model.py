"""The effect of each factor on the accuracy, over all variants at once: a mixed linear model.

Arrays end in _VS (variants, seeds).
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import chdtrc, fdtrc, stdtr

from resnest_bench.stats.design import (
    Effect,
    describe_design,
    design_matrix,
    find_aliases,
    independent_columns,
    list_effects,
)
from resnest_bench.stats.intervals import two_way_interval
from resnest_bench.stats.multiplicity import holm
from resnest_bench.stats.p_values import two_way_p_value
from resnest_bench.stats.seed_model import fit_seed_model
from resnest_bench.stats.summary import t_quantile

MIXED = "mixed linear model, random seed effect, REML"
BLOCKED = "least squares with a constant for each seed"
# A seed variance below this share of the residual variance is at the boundary.
SINGULAR_SHARE = 1e-6
DOUBTFUL_P = 0.05
EFFECT_COLUMNS = {
    **dict.fromkeys(["factor", "base_level", "level"], "str"),
    **dict.fromkeys(["effect", "standard_error", "low", "high", "p", "holm_p"], "float64"),
    **dict.fromkeys(["welch_low", "welch_high", "welch_p", "welch_holm_p"], "float64"),
    "num_variants": "Int64",
    "reason": "str",
}


@dataclass(frozen=True, eq=False)
class FactorEffects:
    """Effects of factors, with the diagnostics of the model behind them.

    `table` has EFFECT_COLUMNS; effects are in the unit of the values. `method` is MIXED or BLOCKED, and
    `reason` says why it is not MIXED, or why there are no intervals. `seed_sd` is the standard
    deviation of the effect that a seed has on all variants, `residual_sd` that of the residuals.

    `additivity_p` is small if effects don't add up; None without degrees of freedom to test it.
    `spread_p` is small if some variants vary more over seeds than others; None below three complete
    seeds. `spread_ratio` is the largest standard deviation over seeds divided by the smallest, None
    without that test. `notes` are sentences: what can't be separated, and which intervals not to trust.
    """

    table: pd.DataFrame
    method: str
    reason: str
    degrees_of_freedom: int
    num_seeds: int
    seed_sd: float | None
    residual_sd: float | None
    additivity_p: float | None
    spread_p: float | None
    spread_ratio: float | None
    notes: list[str]


@dataclass(frozen=True)
class _Fit:
    """Coefficients and their standard errors, in the order of the estimable columns."""

    coefficients: np.ndarray
    errors: np.ndarray
    seed_sd: float | None
    residual_sd: float


def factor_effects(
    frame: pd.DataFrame, factors: Sequence[str], value: str = "value"
) -> FactorEffects:
    """Estimate the main effects of factors, each level against the factor's lowest level.

    The model is value = constant + sum of effects + seed + residual. Seeds are random; residuals are
    normal, with one variance for all variants: y ~ X b + Z u (Laird and Ware, Biometrics 38 (1982)
    963), fitted by REML. The 95 % intervals are Student's with rows - rank(X, seeds) degrees of
    freedom, which is exact if every variant has every seed. They hold for new seeds on these test
    images, assuming that effects add up. If the model does not converge, or estimates the seed
    variance as 0, each seed gets a constant instead: the ordinary paired analysis.

    The columns `welch_*` take an effect as the same weighted sum of the variants' means, each with its own
    variance, moderated as for pairs (`SeedModel.contrast`); NaN below three seeds. This needs no equal
    variance. If one variant varies twice as much as the others, the model's interval of an effect that
    depends on it covers 85 % instead of 95 %. So tables show this one first, and `effect` is its estimate.

    Args:
        frame: a row for each training, with the columns `variant`, `seed`, `value` and a column for
            each factor.
        factors: names of columns.
        value: name of the column to explain.

    Returns:
        The effects. Those that these variants can't separate are NaN, with the reason. `holm_p` is
        corrected over the effects that can be estimated.

    Raises:
        ValueError: if one setting has two values for a seed (give each network once), if one name has
            two settings (to compare recipes, put them into the name), or if no factor varies.

    >>> rows = [("A", 0, 1, 60.0), ("B", 0, 2, 61.0), ("A", 1, 1, 60.4), ("B", 1, 2, 61.8)]
    >>> frame = pd.DataFrame(rows, columns=["variant", "seed", "radix", "value"])
    >>> result = factor_effects(frame, ["radix"])
    >>> [round(float(effect), 3) for effect in result.table["effect"]]
    [1.2]
    """
    data = frame.dropna(subset=[value])
    data = data.assign(value=data[value].astype(float))
    settings = data.drop_duplicates(["variant", *factors]).set_index("variant")[list(factors)]
    effects = list_effects(settings, factors)
    _check_rows(data, settings, effects)
    aliased = {e: group for group in find_aliases(settings, effects) for e in group}
    matrix = design_matrix(data, effects)
    estimable = independent_columns(matrix)
    seeds = pd.get_dummies(data["seed"], dtype=float).to_numpy()
    degrees_of_freedom = len(data) - int(np.linalg.matrix_rank(np.column_stack([matrix, seeds])))
    fit, method, reason = _fit(data, matrix[:, estimable], seeds, degrees_of_freedom)
    complete_VS = _complete_values(data)
    table = _make_table(settings, effects, aliased, estimable, fit, degrees_of_freedom)
    by_variant = design_matrix(settings, effects)[:, estimable]
    table = _add_contrasts(table, data, settings, by_variant, estimable)
    additivity_p = _additivity_p(data, matrix, seeds)
    spread_p, spread_ratio = _compare_spreads(complete_VS)
    return FactorEffects(
        table=table,
        method=method,
        reason=reason,
        degrees_of_freedom=degrees_of_freedom,
        num_seeds=len(data["seed"].unique()),
        seed_sd=fit.seed_sd,
        residual_sd=fit.residual_sd if degrees_of_freedom else None,
        additivity_p=additivity_p,
        spread_p=spread_p,
        spread_ratio=spread_ratio,
        notes=[*describe_design(settings, factors), *_warn_of_assumptions(additivity_p, spread_p)],
    )


def _warn_of_assumptions(additivity_p: float | None, spread_p: float | None) -> list[str]:
    notes = []
    if additivity_p is not None and additivity_p < DOUBTFUL_P:
        notes.append(
            f"The effects don't add up (p = {additivity_p:.2g}): each is an average over the observed "
            "settings. Compare pairs of variants instead."
        )
    if spread_p is not None and spread_p < DOUBTFUL_P:
        notes.append(
            f"Some variants vary more over seeds than others (p = {spread_p:.2g}). The mixed model's "
            "intervals are too short for effects that depend on them; Welch's are not."
        )
    return notes


def _check_rows(data: pd.DataFrame, settings: pd.DataFrame, effects: list[Effect]) -> None:
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
    data: pd.DataFrame, matrix: np.ndarray, seeds: np.ndarray, degrees_of_freedom: int
) -> tuple[_Fit, str, str]:
    values = data["value"].to_numpy()
    if degrees_of_freedom and seeds.shape[1] > 1:
        fit, problem = _fit_mixed(values, matrix, data["seed"].to_numpy())
        if fit is not None:
            return fit, MIXED, ""
    elif degrees_of_freedom:
        problem = "there is only one seed"
    else:
        problem = "there are as many unknowns as values: no intervals"
    return _fit_blocked(values, matrix, seeds, degrees_of_freedom), BLOCKED, problem


def _fit_mixed(values: np.ndarray, matrix: np.ndarray, seed: np.ndarray) -> tuple[_Fit | None, str]:
    # It takes a second to import, and a table without effects needn't wait for it.
    from statsmodels.regression.mixed_linear_model import MixedLM

    # The optimiser's steps suit values near 1, and accuracies may be fractions or points.
    unit = float(values.std()) or 1.0
    with warnings.catch_warnings():
        # The code below checks what they warn of.
        warnings.simplefilter("ignore")
        try:
            # One variance is fitted: a method without a gradient finds it even at the boundary.
            fitted = MixedLM(values / unit, matrix, groups=seed).fit(reml=True, method="powell")
        except (np.linalg.LinAlgError, ValueError) as error:
            return None, f"the mixed model could not be fitted ({error})"
    seed_variance = float(np.asarray(fitted.cov_re).item())
    if not fitted.converged:
        return None, "the mixed model did not converge"
    if seed_variance < SINGULAR_SHARE * fitted.scale:
        return None, "the mixed model is singular: it estimates the seed variance as 0"
    count = matrix.shape[1]
    return _Fit(
        coefficients=unit * np.asarray(fitted.fe_params),
        errors=unit * np.asarray(fitted.bse_fe)[:count],
        seed_sd=unit * seed_variance**0.5,
        residual_sd=unit * float(fitted.scale) ** 0.5,
    ), ""


def _fit_blocked(
    values: np.ndarray, matrix: np.ndarray, seeds: np.ndarray, degrees_of_freedom: int
) -> _Fit:
    # `matrix` has a constant: so one seed needs no column of its own.
    design = np.column_stack([matrix, seeds[:, 1:]])
    coefficients = np.linalg.lstsq(design, values, rcond=None)[0]
    squares = ((values - design @ coefficients) ** 2).sum()
    variance = squares / degrees_of_freedom if degrees_of_freedom else np.nan
    covariance = variance * np.linalg.pinv(design.T @ design)
    count = matrix.shape[1]
    return _Fit(
        coefficients[:count], np.sqrt(np.diag(covariance))[:count], None, float(np.sqrt(variance))
    )


def _make_table(
    settings: pd.DataFrame,
    effects: list[Effect],
    aliased: dict[Effect, list[Effect]],
    estimable: list[int],
    fit: _Fit,
    degrees_of_freedom: int,
) -> pd.DataFrame:
    quantile = t_quantile(degrees_of_freedom) if degrees_of_freedom else np.nan
    rows = []
    for column, effect in enumerate(effects, start=1):
        row = {
            "factor": effect.factor,
            "base_level": str(effect.base),
            "level": str(effect.level),
            "num_variants": int((settings[effect.factor] == effect.level).sum()),
            "reason": "",
        }
        if effect in aliased:
            others = " and ".join(str(other) for other in aliased[effect] if other != effect)
            row["reason"] = f"can't be separated from {others}"
        else:
            size, error = (a[estimable.index(column)] for a in (fit.coefficients, fit.errors))
            half_width = quantile * error
            row |= {
                "effect": size,
                "standard_error": error,
                "low": size - half_width,
                "high": size + half_width,
            }
            testable = degrees_of_freedom and error > 0
            row["p"] = 2 * stdtr(degrees_of_freedom, -abs(size) / error) if testable else np.nan
        rows.append(row)
    table = pd.DataFrame(rows, columns=list(EFFECT_COLUMNS))
    table["holm_p"] = holm(table["p"].to_numpy(dtype=float))
    return table.astype(EFFECT_COLUMNS)


def _additivity_p(data: pd.DataFrame, matrix: np.ndarray, seeds: np.ndarray) -> float | None:
    """F-test of the additive model against one with a mean for every variant, within seeds."""
    values = data["value"].to_numpy()
    variants = pd.get_dummies(data["variant"], dtype=float).to_numpy()
    additive, full = np.column_stack([matrix, seeds]), np.column_stack([variants, seeds])
    ranks = [int(np.linalg.matrix_rank(design)) for design in (additive, full)]
    between, within = ranks[1] - ranks[0], len(values) - ranks[1]
    if not between or not within:
        return None
    squares = []
    for design in (additive, full):
        residuals = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
        squares.append(float(residuals @ residuals))
    if squares[1] <= 0:
        return None
    statistic = (squares[0] - squares[1]) / between / (squares[1] / within)
    return float(fdtrc(between, within, statistic))


def _complete_values(data: pd.DataFrame) -> np.ndarray:
    """Values (variants, seeds that every variant has), variants in the order of the rows."""
    wide = data.pivot_table(index="variant", columns="seed", values="value", sort=False)
    return wide.dropna(axis="columns").to_numpy()


def _add_contrasts(
    table: pd.DataFrame,
    data: pd.DataFrame,
    settings: pd.DataFrame,
    matrix: np.ndarray,
    estimable: list[int],
) -> pd.DataFrame:
    """Add intervals and p-values of the effects as weighted sums of the variants' means."""
    wide = data.pivot_table(index="variant", columns="seed", values="value", sort=False)
    model = fit_seed_model(wide.reindex(settings.index).to_numpy())
    weights = dict(zip(estimable, np.linalg.pinv(matrix), strict=True))
    is_estimable = table["effect"].notna().to_numpy()
    columns = np.flatnonzero(is_estimable) + 1
    # Rounding leaves a weight of 1e-17 to a variant that has no part in an effect.
    every = np.array([weights[int(column)] for column in columns]).reshape(
        len(columns), len(matrix)
    )
    estimate = model.contrast(np.where(np.abs(every) < 1e-12, 0.0, every))
    interval = two_way_interval(estimate)
    found = pd.DataFrame(
        {
            "effect": estimate.mean,
            "welch_low": interval.low,
            "welch_high": interval.high,
            "welch_p": two_way_p_value(estimate),
        },
        index=table.index[is_estimable],
        dtype=float,
    )
    found["welch_holm_p"] = holm(found["welch_p"].to_numpy())
    return table.assign(
        **{str(name): values.reindex(table.index) for name, values in found.items()}
    )


def _compare_spreads(values_VS: np.ndarray) -> tuple[float | None, float | None]:
    """p of Bartlett's test of equal variances (Proc. R. Soc. A 160 (1937) 268), and the ratio of the
    largest to the smallest standard deviation. The residuals are those of variant and seed means."""
    v, n = values_VS.shape
    if v < 3 or n < 3:
        return None, None
    residuals = values_VS - values_VS.mean(axis=1, keepdims=True)
    residuals -= residuals.mean(axis=0)
    variances = (residuals**2).sum(axis=1) / (n - 1)
    if not variances.all():
        return None, None
    ratio = float(np.sqrt(variances.max() / variances.min()))
    statistic = (n - 1) * (v * np.log(variances.mean()) - np.log(variances).sum())
    return float(chdtrc(v - 1, statistic / (1 + (v + 1) / (3 * v * (n - 1))))), ratio
