"""The Pareto front, and how probable it is that a variant lies on it, given what seeds and rounds can tell.

Draws end in _KV (draws, variants), values in _VS (variants, seeds or rounds).
"""

from typing import Literal

import numpy as np
import pandas as pd

DRAWS = 4000
SEED = 0
BLOCK = 250  # draws

Better = Literal["higher", "lower"]


def mean_draws(
    values_VS: np.ndarray,
    draws: int,
    rng: np.random.Generator,
    image_cov_VV: np.ndarray | None = None,
) -> np.ndarray:
    """Draws (K, V) of the variants' true means, given their values in the same seeds or rounds.

    A multivariate t with n - 1 degrees of freedom around the means, with the values' sample
    covariance divided by n: each mean, and each difference of two, then is Student's t exactly as
    in `seed_interval` and in the paired test, and what all share in a seed or a round cancels.
    `image_cov_VV` (`image_covariance`) adds a normal part, for new test images.

    A bootstrap of the few seeds would give 1 and 0 too often (benchmarks/interval_coverage.py). Raises
    ValueError below two seeds or for a gap among the values.
    """
    values = np.asarray(values_VS, dtype=float)
    num_variants, n = values.shape
    if n < 2 or np.isnan(values).any():
        raise ValueError(f"needs two values or more of each variant and no gap, but came {n}")
    means = values.mean(axis=1)
    centred = (values - means[:, None]) / np.sqrt(n * (n - 1))
    # centred @ centred.T is the covariance of the means, so that no root of it has to be found.
    normal = rng.standard_normal((draws, n)) @ centred.T
    drawn: np.ndarray = means + normal / np.sqrt(rng.chisquare(n - 1, (draws, 1)) / (n - 1))
    if image_cov_VV is not None:
        drawn += rng.standard_normal((draws, num_variants)) @ _root(image_cov_VV).T
    return drawn


def image_covariance(bits_VSN: np.ndarray) -> np.ndarray:
    """Covariance (V, V) that the choice of the test images gives to the variants' mean accuracies.

    The matrix form of `MeanError.image_part`: (B - R / S) / N, where B is the covariance over images
    of each image's mean over seeds, and R that of what is left of each seed beside seed and image.
    Accuracies as fractions. Raises ValueError below two seeds or two images.
    """
    bits = np.asarray(bits_VSN, dtype=float)
    _, num_seeds, num_images = bits.shape
    if num_seeds < 2 or num_images < 2:
        raise ValueError(f"needs two seeds and two images, but came {num_seeds} and {num_images}")
    bits -= bits.mean(axis=2, keepdims=True)
    per_image = bits.mean(axis=1)
    rest = bits - per_image[:, None]
    between = per_image @ per_image.T / (num_images - 1)
    left = np.einsum("vsn,wsn->vw", rest, rest, optimize=True)
    left /= (num_seeds - 1) * (num_images - 1)
    covariance_VV: np.ndarray = (between - left / num_seeds) / num_images
    return covariance_VV


def _root(covariance: np.ndarray) -> np.ndarray:
    """A matrix A with A A^T the covariance. What estimation made negative counts as 0."""
    values, vectors = np.linalg.eigh(covariance)
    root: np.ndarray = vectors * np.sqrt(np.maximum(values, 0.0))
    return root


def front_probabilities(
    x_KV: np.ndarray, y_KV: np.ndarray, x_better: Better = "lower", y_better: Better = "higher"
) -> np.ndarray:
    """Share of draws (V,) in which each variant is on the front of that draw.

    On the front: no other is no worse in both and better in one, as in `statistics.pareto_front`.
    """
    x, y = np.asarray(x_KV, dtype=float), np.asarray(y_KV, dtype=float)
    x, y = (x if x_better == "lower" else -x), (y if y_better == "higher" else -y)
    counts = np.zeros(x.shape[1])
    # Sorting sees thousands of variants at once, where pairs would take V^2. In blocks: it copies.
    for start in range(0, len(x), BLOCK):
        counts += _times_on_front(x[start : start + BLOCK], y[start : start + BLOCK])
    return counts / len(x)


def _times_on_front(x_KV: np.ndarray, y_KV: np.ndarray) -> np.ndarray:
    """Number of draws (V,) with each variant on the front; less x and more y is better."""
    order_KV = np.lexsort((-y_KV, x_KV), axis=-1)
    x, y = (np.take_along_axis(values, order_KV, axis=1) for values in (x_KV, y_KV))
    is_new = np.ones(x.shape, dtype=bool)
    is_new[:, 1:] = x[:, 1:] > x[:, :-1]
    # Of those with the same x the first has the highest y, which only equals share the front with;
    # it must be above all y of a smaller x.
    first = np.maximum.accumulate(np.where(is_new, np.arange(x.shape[1]), 0), axis=1)
    highest = np.pad(np.maximum.accumulate(y, axis=1), ((0, 0), (1, 0)), constant_values=-np.inf)
    on_front = y > np.take_along_axis(highest, first, axis=1)
    on_front &= y == np.take_along_axis(y, first, axis=1)
    return np.bincount(order_KV[on_front], minlength=x.shape[1])


def num_draws(num_variants: int) -> int:
    """DRAWS up to 500 variants, then fewer, and 1,000 at least: 0.016 is a probability's error then."""
    return max(DRAWS // 4, min(DRAWS, DRAWS * 500 // max(num_variants, 1)))


def probable_front(
    accuracy: pd.DataFrame,
    latency: pd.DataFrame,
    bits_VSN: np.ndarray | None = None,
    x_better: Better = "lower",
    y_better: Better = "higher",
    draws: int = DRAWS,
    seed: int = SEED,
    repeats: tuple[str, str] = ("seeds", "rounds"),
) -> pd.DataFrame:
    """For each variant the probability of lying on the front of accuracy and latency.

    `accuracy` has a row a variant and a column a seed, `latency` a row a variant and a column a
    round, NaN where there is none; any two metrics will do, in any unit. The probability speaks of
    new seeds and new rounds on the same images and machine; with `bits_VSN` of new images too:
    correctness in the order of `accuracy`'s rows and columns, of which `accuracy` then must hold the
    means, as fractions. Raises ValueError where it doesn't.

    The rows are those of `accuracy`, with `probability`, `n_seeds`, `n_rounds` (those that all
    compared variants share), `on_front` (by the means over these) and `reason`. A variant without
    two seeds or two rounds has NaN and its reason: it is compared with none, and the others'
    probabilities are among themselves. `repeats` is what the reasons call the columns of the two.
    The same `seed` gives the same figures.
    """
    latency = latency.reindex(accuracy.index)
    reasons = _reasons(accuracy, latency, repeats)
    kept = [name for name in accuracy.index if not reasons[name]]
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
    if not kept:
        return result
    seeds, rounds = (frame.loc[kept].dropna(axis="columns") for frame in (accuracy, latency))
    if min(seeds.shape[1], rounds.shape[1]) < 2:
        counts = seeds.shape[1], rounds.shape[1]
        result.loc[kept, "reason"] = _too_few(counts, repeats, " common to all")
        return result
    covariance = None
    if bits_VSN is not None:
        places = accuracy.index.get_indexer(pd.Index(kept))
        columns = accuracy.columns.get_indexer(seeds.columns)
        bits = np.asarray(bits_VSN)[np.ix_(places, columns)]
        if not np.allclose(bits.mean(axis=2), seeds.to_numpy(dtype=float)):
            raise ValueError(
                "accuracy is not the mean of the bits, in their order and as fractions"
            )
        covariance = image_covariance(bits)
    rng = np.random.default_rng(seed)
    y = mean_draws(seeds.to_numpy(dtype=float), draws, rng, covariance)
    x = mean_draws(rounds.to_numpy(dtype=float), draws, rng)
    means = pd.DataFrame({"x": rounds.mean(axis="columns"), "y": seeds.mean(axis="columns")})
    turned = means.assign(
        x=means["x"] if x_better == "lower" else -means["x"],
        y=means["y"] if y_better == "higher" else -means["y"],
    )
    result.loc[kept, "probability"] = front_probabilities(x, y, x_better, y_better)
    result.loc[kept, ["n_seeds", "n_rounds"]] = seeds.shape[1], rounds.shape[1]
    result.loc[kept, "on_front"] = pareto_front(turned, "x", "y").to_numpy()
    return result


def _reasons(
    accuracy: pd.DataFrame, latency: pd.DataFrame, repeats: tuple[str, str]
) -> dict[str, str]:
    n_seeds = accuracy.notna().sum(axis="columns")
    n_rounds = latency.notna().sum(axis="columns")
    return {
        name: ""
        if min(n_seeds[name], n_rounds[name]) >= 2
        else _too_few((n_seeds[name], n_rounds[name]), repeats)
        for name in accuracy.index
    }


def _too_few(counts: tuple[int, int], repeats: tuple[str, str], where: str = "") -> str:
    found = [f"{word}{where}: {n}" for word, n in zip(repeats, counts, strict=True)]
    return f"{', '.join(found)}; two of each are needed"


def pareto_front(frame: pd.DataFrame, x: str, y: str) -> pd.Series:
    """Boolean mask of the rows that no other row dominates: x is minimised, y maximised.

    A row is dominated by one that is no worse in both and better in one. So two rows with the same
    x and y are both on the front, or both off it. A row that lacks x or y is never on it.
    """
    xs = frame[x].to_numpy(dtype=float, na_value=np.nan)
    ys = frame[y].to_numpy(dtype=float, na_value=np.nan)
    # [i, j]: does row j dominate row i? Comparisons with NaN are False.
    no_worse = (xs[None, :] <= xs[:, None]) & (ys[None, :] >= ys[:, None])
    better = (xs[None, :] < xs[:, None]) | (ys[None, :] > ys[:, None])
    dominated = (no_worse & better).any(axis=1)
    known = ~(np.isnan(xs) | np.isnan(ys))
    return pd.Series(known & ~dominated, index=frame.index, dtype=bool)
