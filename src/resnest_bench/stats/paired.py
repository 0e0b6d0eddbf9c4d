"""Comparisons of two networks or variants that share seeds, test images or rounds.

Differences are ours minus base; accuracies are fractions.
"""

import numpy as np
from scipy.special import bdtr, nctdtrinc, ndtr, ndtri, stdtr

from resnest_bench.stats.intervals import IMAGES, ROUNDS, Interval, seed_interval
from resnest_bench.stats.summary import CONFIDENCE, Array


def count_discordant(ours_N: np.ndarray, base_N: np.ndarray) -> tuple[int, int]:
    """Count the images that exactly one of two networks classifies correctly.

    Args:
        ours_N, base_N: (images,), booleans: correct or not.

    Returns:
        The number that only `ours` classifies correctly, and the number that only `base` does.

    Raises:
        ValueError: for two different shapes.

    >>> count_discordant(np.array([True, True, False]), np.array([False, True, True]))
    (1, 1)
    """
    ours, base = np.asarray(ours_N, dtype=bool), np.asarray(base_N, dtype=bool)
    if ours.shape != base.shape:
        raise ValueError(f"{ours.shape} and {base.shape} are not the same images")
    return int((ours & ~base).sum()), int((base & ~ours).sum())


def mcnemar_p_value(only_ours: Array, only_base: Array) -> Array:
    """McNemar's exact test that two networks are equally accurate on new images.

    Under the hypothesis each discordant image goes to either network with probability 1/2. The
    p-value is 2 P(X <= min(b, c)) for X binomial (b + c, 1/2), at most 1 (McNemar, Psychometrika 12
    (1947) 153). It compares one trained network with one other. Two seeds of the *same* variant
    differ too, so a small p-value does not say that the variants do.

    Args:
        only_ours, only_base: counts from `count_discordant`, any shape.

    Returns:
        Two-sided p-values in the same shape.

    >>> round(mcnemar_p_value(2, 10), 4)
    0.0386
    """
    fewer, both = np.minimum(only_ours, only_base), np.add(only_ours, only_base)
    p = np.minimum(2 * bdtr(np.asarray(fewer, dtype=float), both, 0.5), 1.0)
    return p if np.ndim(p) else float(p)


def bonett_price_interval(
    only_ours: Array, only_base: Array, num_images: int, confidence: float = CONFIDENCE
) -> Interval:
    """Interval of the difference in accuracy of two networks over new test images.

    One image is added to each kind of discordant pair: b' = (b + 1) / (n + 2), c' = (c + 1) / (n + 2).
    The interval is b' - c' ± z sqrt((b' + c' - (b' - c')^2) / (n + 2)) (Bonett and Price, J. Educ.
    Behav. Stat. 37 (2012) 479). The estimate is (b - c) / n.

    Args:
        only_ours, only_base: counts from `count_discordant`, any shape.
        num_images: number of test images.
        confidence: the coverage, as a fraction.

    Returns:
        The interval, as fractions in the shape of the counts.

    Raises:
        ValueError: for more discordant images than images.

    >>> interval = bonett_price_interval(10, 2, num_images=100)
    >>> float(interval.estimate), round(float(interval.low), 3), round(float(interval.high), 3)
    (0.08, 0.008, 0.149)
    """
    if num_images < 1 or np.any(np.add(only_ours, only_base) > num_images):
        raise ValueError(f"{only_ours} + {only_base} discordant images of {num_images}")
    ours, base = (np.add(count, 1.0) / (num_images + 2) for count in (only_ours, only_base))
    middle = ours - base
    error = np.sqrt((ours + base - middle**2) / (num_images + 2))
    half_width = ndtri((1 + confidence) / 2) * error
    estimate = np.subtract(only_ours, only_base, dtype=float) / num_images
    return Interval(
        estimate,
        np.maximum(middle - half_width, -1.0),
        np.minimum(middle + half_width, 1.0),
        IMAGES,
        "paired proportions, Bonett and Price",
    )


def pair_probability(
    differences_S: np.ndarray, confidence: float = CONFIDENCE
) -> tuple[Array, Array, Array]:
    """Probability that the next pair, trained with one new seed, is better on these test images.

    The probability is predictive: P(t(n - 1) < mean / (sd sqrt(1 + 1/n))). Its interval is the exact
    one of P(difference > 0) = Phi(mu / sigma) for normal differences. It inverts the noncentral t of
    sqrt(n) mean / sd (Reiser and Guttman, Technometrics 28 (1986) 253).

    Args:
        differences_S: (..., seeds), paired differences.
        confidence: the coverage of the interval, as a fraction.

    Returns:
        The probability and the limits of its interval, each in shape (...). NaN below two seeds, and
        where all differences are equal.

    >>> probability, low, high = pair_probability(np.array([0.5, 1.0, 1.8]))
    >>> round(float(probability), 2), round(float(low), 2), round(float(high), 2)
    (0.86, 0.4, 1.0)
    """
    values = np.asarray(differences_S, dtype=float)
    n = values.shape[-1]
    mean = values.mean(axis=-1)
    sd = values.std(axis=-1, ddof=1) if n > 1 else mean * np.nan
    equal = np.ptp(values, axis=-1) == 0
    ratio = np.divide(mean, sd, out=np.full(np.shape(mean), np.nan), where=~equal & (sd > 0))
    expected = stdtr(n - 1, ratio / np.sqrt(1 + 1 / n)) if n > 1 else ratio
    tails = ((1 + confidence) / 2, (1 - confidence) / 2)
    low, high = (ndtr(nctdtrinc(max(n - 1, 1), q, np.sqrt(n) * ratio) / np.sqrt(n)) for q in tails)
    return expected, low, high


def probability_of_improvement(ours: np.ndarray, base: np.ndarray) -> float:
    """Share of all pairs of runs, whatever their seeds, in which `ours` is better; ties count half.

    P(X > Y) in Agarwal et al., Deep RL at the edge of the statistical precipice (arXiv:2108.13264,
    section 4.3; rliable), which is Mann and Whitney's U / (n m). It assumes no model and has no
    interval. With three seeds each it has only ten possible values.

    Args:
        ours: (runs,), any number of them.
        base: (other runs,).

    Returns:
        A share from 0 to 1.

    Raises:
        ValueError: without a run on each side.

    >>> probability_of_improvement(np.array([0.63, 0.65]), np.array([0.62, 0.63]))
    0.875
    """
    ours, base = np.asarray(ours, dtype=float), np.asarray(base, dtype=float)
    if not ours.size or not base.size:
        raise ValueError("at least one run is required on each side")
    gaps = ours[:, None] - base[None, :]
    return float(((gaps > 0) + 0.5 * (gaps == 0)).mean())


def ratio_interval(
    ours_ms: np.ndarray, base_ms: np.ndarray, confidence: float = CONFIDENCE
) -> Interval:
    """Interval of the ratio ours / base of two latencies that were measured in the same rounds.

    It is the exponential of Student's interval (Biometrika 6 (1908) 1) of the mean of log(ours / base).
    Whatever slows a whole round down cancels.

    Args:
        ours_ms, base_ms: (..., rounds), in ms.
        confidence: the coverage, as a fraction.

    Returns:
        The interval in shape (...); the estimate is the geometric mean.

    Raises:
        ValueError: for a latency of 0 or below.

    >>> interval = ratio_interval(np.array([2.0, 2.2, 4.1]), np.array([1.0, 1.1, 2.0]))
    >>> round(float(interval.low), 2), round(float(interval.high), 2)
    (1.95, 2.09)
    """
    ours, base = np.asarray(ours_ms, dtype=float), np.asarray(base_ms, dtype=float)
    if np.any(ours <= 0) or np.any(base <= 0):
        raise ValueError("a latency must be above 0 ms")
    logs = seed_interval(np.log(ours / base), confidence, ROUNDS)
    return Interval(
        np.exp(logs.estimate),
        np.exp(logs.low),
        np.exp(logs.high),
        ROUNDS,
        f"geometric mean, {logs.method}",
    )
