"""The Pareto front, and the probability that a variant is on it, given few seeds and rounds.

Arrays end in _KV (draws, variants) or in _VS (variants, seeds or rounds).
"""

from typing import Literal

import numpy as np
import pandas as pd

DRAWS = 4000
SEED = 0
BLOCK = 250  # draws

Better = Literal["higher", "lower"]


def draw_means(
    values_VS: np.ndarray,
    draws: int,
    rng: np.random.Generator,
    image_cov_VV: np.ndarray | None = None,
) -> np.ndarray:
    """Draw the variants' true means, given their values in the same seeds or rounds.

    The draws are a multivariate t with n - 1 degrees of freedom around the means, with the sample
    covariance divided by n (Kotz and Nadarajah, Multivariate t Distributions and Their Applications,
    2004, ch. 1). So each mean, and each difference of two, is Student's t exactly as in
    `seed_interval` and in the paired test. Whatever all variants share in a seed or a round cancels. A
    bootstrap of the few seeds would give 1 and 0 too often (benchmarks/interval_coverage.py).

    Args:
        values_VS: (variants, seeds or rounds), without gaps.
        draws: the number of draws, K.
        rng: the source of randomness.
        image_cov_VV: (variants, variants), from `image_covariance`; adds a normal component for new
            test images.

    Returns:
        Draws (K, V).

    Raises:
        ValueError: below two seeds, or for a gap among the values.

    >>> values_VS = np.array([[60.0, 61.0, 62.0], [62.5, 63.4, 64.6]])
    >>> drawn_KV = draw_means(values_VS, 4000, np.random.default_rng(0))
    >>> drawn_KV.shape, bool((drawn_KV[:, 1] > drawn_KV[:, 0]).mean() > 0.99)
    ((4000, 2), True)
    """
    values = np.asarray(values_VS, dtype=float)
    num_variants, n = values.shape
    if n < 2 or np.isnan(values).any():
        raise ValueError(f"two values or more of each variant and no gap are required, but got {n}")
    means = values.mean(axis=1)
    centred = (values - means[:, None]) / np.sqrt(n * (n - 1))
    # centred @ centred.T is the covariance of the means, so that no root of it has to be found.
    normal = rng.standard_normal((draws, n)) @ centred.T
    drawn: np.ndarray = means + normal / np.sqrt(rng.chisquare(n - 1, (draws, 1)) / (n - 1))
    if image_cov_VV is not None:
        drawn += rng.standard_normal((draws, num_variants)) @ _root(image_cov_VV).T
    return drawn


def image_covariance(bits_VSN: np.ndarray) -> np.ndarray:
    """Covariance of the variants' mean accuracies that comes from the choice of the test images.

    It is the matrix form of `MeanEstimate.image_variance` (Cornfield and Tukey, Ann. Math. Stat. 27
    (1956) 907): (B - R / S) / N. B is the covariance over images of each image's mean over seeds, and R
    the covariance of the residuals of seed and image means.

    Args:
        bits_VSN: (variants, seeds, images), correct or not.

    Returns:
        Covariances (V, V) of accuracies as fractions.

    Raises:
        ValueError: below two seeds or two images.

    >>> bits_VSN = np.array([[[1, 1, 0, 1], [1, 0, 0, 1]]])
    >>> image_covariance(bits_VSN).round(4).tolist()
    [[0.0417]]
    """
    bits = np.asarray(bits_VSN, dtype=float)
    _, num_seeds, num_images = bits.shape
    if num_seeds < 2 or num_images < 2:
        raise ValueError(
            f"two seeds and two images are required, but got {num_seeds} and {num_images}"
        )
    bits -= bits.mean(axis=2, keepdims=True)
    per_image = bits.mean(axis=1)
    residuals = bits - per_image[:, None]
    between = per_image @ per_image.T / (num_images - 1)
    within = np.einsum("vsn,wsn->vw", residuals, residuals, optimize=True)
    within /= (num_seeds - 1) * (num_images - 1)
    covariance_VV: np.ndarray = (between - within / num_seeds) / num_images
    return covariance_VV


def _root(covariance: np.ndarray) -> np.ndarray:
    """A matrix A such that A A^T is the covariance. Negative eigenvalues of an estimate count as 0."""
    values, vectors = np.linalg.eigh(covariance)
    root: np.ndarray = vectors * np.sqrt(np.maximum(values, 0.0))
    return root


def front_probabilities(
    x_KV: np.ndarray, y_KV: np.ndarray, x_better: Better = "lower", y_better: Better = "higher"
) -> np.ndarray:
    """Share of draws in which each variant is on the Pareto front of that draw.

    A variant is on the front unless another is no worse in both metrics and better in one, as in
    `pareto_front`.

    Args:
        x_KV, y_KV: (draws, variants).
        x_better, y_better: which direction of each metric is better.

    Returns:
        Probabilities (V,).

    >>> front_probabilities(np.array([[1.0, 2.0], [1.0, 2.0]]), np.array([[60.0, 61.0], [62.0, 61.0]]))
    array([1. , 0.5])
    """
    x, y = np.asarray(x_KV, dtype=float), np.asarray(y_KV, dtype=float)
    x, y = (x if x_better == "lower" else -x), (y if y_better == "higher" else -y)
    counts = np.zeros(x.shape[1])
    # Sorting handles thousands of variants, while pairs would take V^2. In blocks, since it copies.
    for start in range(0, len(x), BLOCK):
        counts += _count_on_front(x[start : start + BLOCK], y[start : start + BLOCK])
    return counts / len(x)


def _count_on_front(x_KV: np.ndarray, y_KV: np.ndarray) -> np.ndarray:
    """Number of draws (V,) with each variant on the front; less x and more y is better."""
    order_KV = np.lexsort((-y_KV, x_KV), axis=-1)
    x, y = (np.take_along_axis(values, order_KV, axis=1) for values in (x_KV, y_KV))
    is_new = np.ones(x.shape, dtype=bool)
    is_new[:, 1:] = x[:, 1:] > x[:, :-1]
    # Among equal x the first has the highest y, and only its equals share the front with it. That y
    # must exceed every y at a smaller x.
    first = np.maximum.accumulate(np.where(is_new, np.arange(x.shape[1]), 0), axis=1)
    highest = np.pad(np.maximum.accumulate(y, axis=1), ((0, 0), (1, 0)), constant_values=-np.inf)
    on_front = y > np.take_along_axis(highest, first, axis=1)
    on_front &= y == np.take_along_axis(y, first, axis=1)
    return np.bincount(order_KV[on_front], minlength=x.shape[1])


def choose_num_draws(num_variants: int) -> int:
    """Choose the number of draws: 4,000 up to 500 variants, then fewer, at least 1,000.

    With 1,000 draws the Monte Carlo standard error of a probability is at most 0.016.

    Args:
        num_variants: the number of variants.

    >>> choose_num_draws(9), choose_num_draws(5000)
    (4000, 1000)
    """
    return max(DRAWS // 4, min(DRAWS, DRAWS * 500 // max(num_variants, 1)))


def estimate_pareto_front(
    accuracy: pd.DataFrame,
    latency: pd.DataFrame,
    bits_VSN: np.ndarray | None = None,
    x_better: Better = "lower",
    y_better: Better = "higher",
    draws: int = DRAWS,
    seed: int = SEED,
    repeats: tuple[str, str] = ("seeds", "rounds"),
) -> pd.DataFrame:
    """Estimate for each variant the probability of being on the Pareto front of accuracy and latency.

    The probability is for new seeds and new rounds on the same images and machine; with `bits_VSN`
    for new images too. It is the share of joint draws of `draw_means` in which the variant is on the
    front.

    Args:
        accuracy: a row for each variant, a column for each seed, NaN without a value. Any metric in
            any unit will do.
        latency: a row for each variant, a column for each round, NaN without a value.
        bits_VSN: (variants, seeds, images), in the order of the rows and columns of `accuracy`, which
            then must hold their means as fractions.
        x_better, y_better: which direction of latency and of accuracy is better.
        draws: the number of draws.
        seed: the seed of the draws; the same seed gives the same figures.
        repeats: what the reasons call the columns of the two frames.

    Returns:
        The rows of `accuracy` with `probability`, `on_front` (by the means), `reason`, and the `n_seeds`
        and `n_rounds` that all compared variants share. A variant without two seeds or two rounds has
        NaN and a reason, and the others are compared without it.

    Raises:
        ValueError: if `accuracy` does not hold the means of `bits_VSN`.

    >>> accuracy = pd.DataFrame([[60.0, 60.4, 60.9], [58.0, 58.5, 58.8]], index=["A", "B"])
    >>> latency = pd.DataFrame([[1.0, 1.1, 1.0], [2.0, 2.1, 2.0]], index=["A", "B"])
    >>> estimate_pareto_front(accuracy, latency)["on_front"].tolist()
    [True, False]
    """
    latency = latency.reindex(accuracy.index)
    reasons = _explain_gaps(accuracy, latency, repeats)
    compared = [name for name in accuracy.index if not reasons[name]]
    result = pd.DataFrame(
        {
            "probability": np.nan,
            "n_seeds": 0,
            "n_rounds": 0,
            "on_front": False,
            "reason": [reasons[name] for name in accuracy.index],
        },
        index=accuracy.index,
    )
    if not compared:
        return result
    seeds, rounds = (frame.loc[compared].dropna(axis="columns") for frame in (accuracy, latency))
    if min(seeds.shape[1], rounds.shape[1]) < 2:
        counts = seeds.shape[1], rounds.shape[1]
        result.loc[compared, "reason"] = _describe_too_few(counts, repeats, " common to all")
        return result
    covariance = None
    if bits_VSN is not None:
        rows = accuracy.index.get_indexer(pd.Index(compared))
        columns = accuracy.columns.get_indexer(seeds.columns)
        bits = np.asarray(bits_VSN)[np.ix_(rows, columns)]
        if not np.allclose(bits.mean(axis=2), seeds.to_numpy(dtype=float)):
            raise ValueError(
                "accuracy must be the mean of the bits, in their order and as fractions"
            )
        covariance = image_covariance(bits)
    rng = np.random.default_rng(seed)
    y = draw_means(seeds.to_numpy(dtype=float), draws, rng, covariance)
    x = draw_means(rounds.to_numpy(dtype=float), draws, rng)
    means = pd.DataFrame({"x": rounds.mean(axis="columns"), "y": seeds.mean(axis="columns")})
    oriented = means.assign(
        x=means["x"] if x_better == "lower" else -means["x"],
        y=means["y"] if y_better == "higher" else -means["y"],
    )
    result.loc[compared, "probability"] = front_probabilities(x, y, x_better, y_better)
    result.loc[compared, ["n_seeds", "n_rounds"]] = seeds.shape[1], rounds.shape[1]
    result.loc[compared, "on_front"] = pareto_front(oriented, "x", "y").to_numpy()
    return result


def _explain_gaps(
    accuracy: pd.DataFrame, latency: pd.DataFrame, repeats: tuple[str, str]
) -> dict[str, str]:
    n_seeds = accuracy.notna().sum(axis="columns")
    n_rounds = latency.notna().sum(axis="columns")
    return {
        name: ""
        if min(n_seeds[name], n_rounds[name]) >= 2
        else _describe_too_few((n_seeds[name], n_rounds[name]), repeats)
        for name in accuracy.index
    }


def _describe_too_few(counts: tuple[int, int], repeats: tuple[str, str], where: str = "") -> str:
    parts = [f"{word}{where}: {n}" for word, n in zip(repeats, counts, strict=True)]
    return f"{', '.join(parts)}; two of each are required"


def pareto_front(frame: pd.DataFrame, x: str, y: str) -> pd.Series:
    """Find the rows that no other row dominates, with x minimised and y maximised.

    A row dominates another if it is no worse in both and better in one. So two rows with the same
    x and y are both Pareto-optimal, or neither is. A row without x or y is not.

    Args:
        frame: a row for each variant.
        x, y: names of columns.

    Returns:
        Booleans with the index of `frame`.

    >>> frame = pd.DataFrame({"ms": [1.0, 2.0, 3.0], "accuracy": [60.0, 59.0, 62.0]})
    >>> pareto_front(frame, "ms", "accuracy").tolist()
    [True, False, True]
    """
    xs = frame[x].to_numpy(dtype=float, na_value=np.nan)
    ys = frame[y].to_numpy(dtype=float, na_value=np.nan)
    # [i, j]: does row j dominate row i? Comparisons with NaN are False.
    no_worse = (xs[None, :] <= xs[:, None]) & (ys[None, :] >= ys[:, None])
    better = (xs[None, :] < xs[:, None]) | (ys[None, :] > ys[:, None])
    dominated = (no_worse & better).any(axis=1)
    complete = ~(np.isnan(xs) | np.isnan(ys))
    return pd.Series(complete & ~dominated, index=frame.index, dtype=bool)
