import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from resnest_bench.stats.intervals import IMAGES, ROUNDS
from resnest_bench.stats.paired import (
    bonett_price_interval,
    count_discordant,
    mcnemar_p_value,
    pair_probability,
    probability_of_improvement,
    ratio_interval,
)

# Airway hyper-responsiveness of 21 children before and after stem cell transplantation (Bentur et
# al.): 1 only before, 7 only after. Fagerland, Lydersen and Laake, BMC Med. Res. Methodol. 13 (2013) 91.
ONLY_BEFORE, ONLY_AFTER, CHILDREN = 1, 7, 21


def test_mcnemars_exact_p_of_a_published_example():
    # 2 (1 + 8) / 2^8.
    assert mcnemar_p_value(ONLY_BEFORE, ONLY_AFTER) == pytest.approx(18 / 256)
    assert mcnemar_p_value(ONLY_AFTER, ONLY_BEFORE) == pytest.approx(18 / 256)


@pytest.mark.parametrize("counts", [(0, 0), (3, 3), (40, 62), (0, 9), (512, 700)])
def test_mcnemars_exact_p_as_statsmodels_has_it(counts):
    table = [[5, counts[0]], [counts[1], 5]]
    assert mcnemar_p_value(*counts) == pytest.approx(mcnemar(table, exact=True).pvalue)


def test_discordant_images_are_counted_on_both_sides():
    ours, base = [True, True, False, True, False], [True, False, False, False, True]
    assert count_discordant(ours, base) == (2, 1)
    with pytest.raises(ValueError, match="same images"):
        count_discordant([True], [True, False])


def test_bonett_and_prices_interval_by_hand():
    # (2 - 8) / 23 = -0.260870; error sqrt((10 / 23 - 0.068053) / 23) = 0.126273.
    seen = bonett_price_interval(ONLY_BEFORE, ONLY_AFTER, CHILDREN)
    assert seen.estimate == pytest.approx(-6 / 21)
    assert (seen.low, seen.high) == pytest.approx(
        (-0.260870 - 1.959964 * 0.126273, -0.260870 + 1.959964 * 0.126273), abs=5e-6
    )
    assert seen.population == IMAGES
    with pytest.raises(ValueError, match="discordant"):
        bonett_price_interval(3, 4, 5)


def test_the_next_pair_by_its_predictive_t_and_an_exact_interval():
    differences = np.array([1.0, 2.0, 4.0, 1.0])
    better, low, high = pair_probability(differences)
    # Mean 2, sd sqrt(2), four pairs: t = 2 / (sqrt(2) sqrt(5 / 4)).
    assert better == pytest.approx(stats.t.cdf(2 / (2 * 1.25) ** 0.5, 3))
    # The interval's ends are where the t that was seen, 2 sqrt(2), has a tail of 2.5 %.
    seen = 2 * 2**0.5
    for end, tail in ((low, 0.975), (high, 0.025)):
        shift = 2 * stats.norm.ppf(end)
        assert stats.nct.cdf(seen, 3, shift) == pytest.approx(tail, abs=1e-5)
    assert low < better < high


def test_the_next_pair_turns_with_the_sides_and_has_gaps():
    differences = np.array([[0.01, 0.03, -0.01], [-0.01, -0.03, 0.01], [0.0, 0.0, 0.0]])
    better, low, high = pair_probability(differences)
    assert better[0] == pytest.approx(1 - better[1])
    assert low[0] == pytest.approx(1 - high[1], abs=1e-6)
    assert np.isnan([better[2], low[2], high[2]]).all()
    assert all(np.isnan(value) for value in pair_probability([0.3]))


def test_the_probability_of_improvement_is_mann_and_whitneys_share():
    rng = np.random.default_rng(0)
    ours, base = rng.integers(0, 9, 7), rng.integers(0, 9, 5)  # with ties
    u = stats.mannwhitneyu(ours, base).statistic
    assert probability_of_improvement(ours, base) == pytest.approx(u / 35)
    with pytest.raises(ValueError, match="on each side"):
        probability_of_improvement([], [1])


def test_what_slows_down_a_whole_round_cancels():
    base = np.array([1.0, 1.3, 0.9])
    seen = ratio_interval(2 * base, base)
    assert np.isnan(seen.low)
    assert seen.estimate == pytest.approx(2)
    seen = ratio_interval(base * [2.0, 2.1, 1.9], base)
    logs = np.log([2.0, 2.1, 1.9])
    t = stats.ttest_1samp(logs, 0).confidence_interval()
    assert (seen.low, seen.high) == pytest.approx((np.exp(t.low), np.exp(t.high)))
    assert seen.population == ROUNDS
    with pytest.raises(ValueError, match="above 0"):
        ratio_interval([0.0], [1.0])
