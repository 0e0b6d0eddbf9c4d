"""How probably the next step of seeds decides a claim, given the records so far."""

import math

from scipy.special import ndtr, ndtri, stdtrit

from resnest_bench.claims.hypotheses import HypothesisTest
from resnest_bench.stats.intervals import weighted_quantile
from resnest_bench.stats.power import ALPHA
from resnest_bench.stats.sequential import Looks, nominal_levels


def decision_probability(
    test: HypothesisTest, looks: Looks, family_size: int, num_tests: int
) -> float | None:
    """Probability that the next look decides a hypothesis, one way or the other.

    The mean of n' seeds in all is predicted from the n so far: it is normal around their mean, with the
    variance s^2 (n' - n) / (n n') under a flat prior for the true difference (predictive power; Spiegelhalter,
    Freedman and Blackburn, Control. Clin. Trials 7 (1986) 8). The test images stay the same. The spread is
    taken as it is. It is an estimate: the other hypotheses of a claim are not considered.

    Args:
        test: of the hypothesis, with its measurement.
        looks: those of its comparison.
        family_size: the number of claims that are corrected together.
        num_tests: of the claim's hypotheses, by which a p-value against it is multiplied.

    Returns:
        The probability; None without a spread, or if no further look is planned.
    """
    measurement = test.measurement
    if measurement is None or looks.taken >= looks.planned:
        return None
    estimate, n = measurement.estimate, int(measurement.estimate.num_seeds)
    if n < 2 or not estimate.seed_variance > 0:
        return None
    # Of each side on average.
    n = max(n, looks.schedule[looks.taken - 1])
    total = looks.schedule[looks.taken]
    # The two-sided nominal level is twice that of one side.
    level = nominal_levels(looks.schedule, 2 * ALPHA / family_size)[looks.taken] / 2
    seed_variance = float(estimate.seed_variance) * n / total
    image_variance = float(estimate.image_variance)
    df = float(estimate.degrees_of_freedom) * (total - 1) / (n - 1)
    error = math.sqrt(seed_variance + image_variance)
    share = seed_variance / (seed_variance + image_variance)
    support, contradict = (
        float(weighted_quantile(share, -stdtrit(df, one), -ndtri(one))) * error
        for one in (level, level / num_tests)
    )
    spread = math.sqrt(seed_variance * max(total - n, 1) / n)
    mean, low, high = float(estimate.mean), test.hypothesis.low, test.hypothesis.high

    def below(limit: float) -> float:
        return float(ndtr((limit - mean) / spread)) if math.isfinite(limit) else float(limit > 0)

    inside = max(below(high - support) - below(low + support), 0.0)
    outside = below(low - contradict) + 1 - below(high + contradict)
    return min(inside + outside, 1.0)
