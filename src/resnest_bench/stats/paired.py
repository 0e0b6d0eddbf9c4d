"""Two of anything, in the same seeds, images or rounds: tests, intervals and probabilities.

Differences are ours minus base; accuracies are fractions.
"""

import numpy as np
from scipy.special import bdtr, nctdtrinc, ndtr, ndtri, stdtr

from resnest_bench.stats.intervals import IMAGES, ROUNDS, Interval, seed_interval
from resnest_bench.stats.summary import CONFIDENCE, Array


def discordant(ours_N: np.ndarray, base_N: np.ndarray) -> tuple[int, int]:
    """Number of images that only `ours` got right, and that only `base` did."""
    ours, base = np.asarray(ours_N, dtype=bool), np.asarray(base_N, dtype=bool)
    if ours.shape != base.shape:
        raise ValueError(f"{ours.shape} and {base.shape} are not the same images")
    return int((ours & ~base).sum()), int((base & ~ours).sum())


def mcnemar_p_value(only_ours: Array, only_base: Array) -> Array:
    """McNemar's exact test: two-sided p that two networks are equally accurate on new images.

    Of the images that one of them alone got right, each has it with probability 1/2: the p-value is
    2 P(X <= min(b, c)), X binomial (b + c, 1/2), and at most 1 (McNemar, Psychometrika 12 (1947) 153).
    It compares one trained network with one other. Two seeds of the *same* variant differ too: a
    small p does not say that the variants do.
    """
    fewer, both = np.minimum(only_ours, only_base), np.add(only_ours, only_base)
    p = np.minimum(2 * bdtr(np.asarray(fewer, dtype=float), both, 0.5), 1.0)
    return p if np.ndim(p) else float(p)


def bonett_price_interval(
    only_ours: Array, only_base: Array, num_images: int, confidence: float = CONFIDENCE
) -> Interval:
    """Interval of the difference in accuracy of two networks over new test images.

    With one image added to each kind of discordant pair, b' = (b + 1) / (n + 2) and
    c' = (c + 1) / (n + 2): b' - c' +- z sqrt((b' + c' - (b' - c')^2) / (n + 2)) (Bonett and Price, J.
    Educ. Behav. Stat. 37 (2012) 479). The estimate is (b - c) / n.
    """
    if num_images < 1 or np.any(np.add(only_ours, only_base) > num_images):
        raise ValueError(f"{only_ours} + {only_base} discordant images of {num_images}")
    ours, base = (np.add(count, 1.0) / (num_images + 2) for count in (only_ours, only_base))
    middle = ours - base
    error = np.sqrt((ours + base - middle**2) / (num_images + 2))
    half = ndtri((1 + confidence) / 2) * error
    estimate = np.subtract(only_ours, only_base, dtype=float) / num_images
    return Interval(
        estimate,
        np.maximum(middle - half, -1.0),
        np.minimum(middle + half, 1.0),
        IMAGES,
        "paired proportions, Bonett and Price",
    )


def pair_probability(
    differences_S: np.ndarray, confidence: float = CONFIDENCE
) -> tuple[Array, Array, Array]:
    """Probability that the next pair, trained with one new seed, is better on these test images.

    Returns the predictive probability, P(t(n - 1) < mean / (sd sqrt(1 + 1/n))), and the ends of the
    exact interval of P(difference > 0) = Phi(mu / sigma) under normal differences, which inverts the
    noncentral t of sqrt(n) mean / sd (Reiser and Guttman, Technometrics 28 (1986) 253). NaN below two
    seeds and where all differences are alike.
    """
    values = np.asarray(differences_S, dtype=float)
    n = values.shape[-1]
    mean = values.mean(axis=-1)
    sd = values.std(axis=-1, ddof=1) if n > 1 else mean * np.nan
    alike = np.ptp(values, axis=-1) == 0
    ratio = np.divide(mean, sd, out=np.full(np.shape(mean), np.nan), where=~alike & (sd > 0))
    expected = stdtr(n - 1, ratio / np.sqrt(1 + 1 / n)) if n > 1 else ratio
    tails = ((1 + confidence) / 2, (1 - confidence) / 2)
    low, high = (ndtr(nctdtrinc(max(n - 1, 1), q, np.sqrt(n) * ratio) / np.sqrt(n)) for q in tails)
    return expected, low, high


def probability_of_improvement(ours: np.ndarray, base: np.ndarray) -> float:
    """Share of all pairs of runs, whatever their seeds, in which `ours` is better; ties count half.

    P(X > Y) of Agarwal et al., Deep RL at the edge of the statistical precipice (arXiv:2108.13264,
    section 4.3; rliable): Mann and Whitney's U / (n m). Without a model, and without an interval: at
    three seeds each it can take ten values only. Raises ValueError without a run on each side.
    """
    ours, base = np.asarray(ours, dtype=float), np.asarray(base, dtype=float)
    if not ours.size or not base.size:
        raise ValueError("needs a run on each side")
    gaps = ours[:, None] - base[None, :]
    return float(((gaps > 0) + 0.5 * (gaps == 0)).mean())


def ratio_interval(
    ours_ms: np.ndarray, base_ms: np.ndarray, confidence: float = CONFIDENCE
) -> Interval:
    """Interval of ours / base of two latencies that were measured in the same rounds.

    exp of Student's interval of the mean of log(ours / base) over rounds, both (..., rounds) in ms:
    what slows a whole round down cancels. Raises ValueError for a latency of 0 or below.
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
