"""Over many studies in which the truth is known: how often is any verdict of a table wrong?"""

import numpy as np
import pytest
from scipy.special import ndtri

from resnest_bench.claims.hypotheses import band_p_values
from resnest_bench.claims.verdicts import combine_p_values, decide_verdicts
from resnest_bench.stats.intervals import MeanEstimate, estimate_mean

STUDIES, SEEDS, IMAGES = 600, 4, 150
IMAGE_SD, SEED_SD, REST_SD = 1.0, 0.1, 0.7
ABOVE = (0.0, np.inf)
# Seven variants, a dozen claims: pairs (first, second) that must all lie in the band, in points.
GREATER = [
    [(0, 1)],
    [(2, 1)],
    [(3, 4)],
    [(5, 6)],
    [(a, b) for a in range(2, 7) for b in (0, 1)],
    [(6, b) for b in (3, 4, 5)],
    [(1, 0), (2, 1), (3, 2)],
    [(a, b) for a in (4, 5) for b in (0, 2, 6)],
    [(2, 6)],
]
ALIKE = [[(2, 3)], [(5, 4)], [(0, 6)]]


def draw_bits(percents, rng):
    """Booleans (studies, variants, seeds, images): images are easy or hard for all alike."""
    sd = np.sqrt(IMAGE_SD**2 + SEED_SD**2 + REST_SD**2)
    quality = sd * ndtri(np.asarray(percents) / 100)[:, None, None]
    shape = (STUDIES, len(percents), SEEDS, IMAGES)
    image = IMAGE_SD * rng.standard_normal((STUDIES, 1, 1, IMAGES))
    seed = SEED_SD * rng.standard_normal((*shape[:3], 1))
    return quality + image + seed + REST_SD * rng.standard_normal(shape) > 0


def claim_p_values(bits, pairs, band):
    """p for and against of one claim in each study, by the functions that make the table."""
    found = []
    for first, second in pairs:
        error = estimate_mean(bits[:, first].astype(np.int8) - bits[:, second])
        points = MeanEstimate(
            100 * error.mean, 1e4 * error.seed_variance, 1e4 * error.image_variance, SEEDS
        )
        found.append(band_p_values(points, *band))
    p_for, p_against = (np.stack(p, axis=-1) for p in zip(*found, strict=True))
    return combine_p_values(p_for, p_against)


def list_words(bits, claims):
    p = [claim_p_values(bits, pairs, band) for pairs, band in claims]
    p_for, p_against = (np.stack(each, axis=-1) for each in zip(*p, strict=True))
    return decide_verdicts(p_for, p_against)[1]


def test_where_all_variants_are_alike_a_wrong_verdict_is_rare():
    """Ties: "greater" is false, so that "supported" is wrong; "alike" is true."""
    bits = draw_bits([60] * 7, np.random.default_rng(0))
    claims = [(pairs, ABOVE) for pairs in GREATER] + [(pairs, (-1.0, 1.0)) for pairs in ALIKE]
    assert len(claims) == 12
    words = list_words(bits, claims)
    wrong = (words[:, : len(GREATER)] == "supported").any(axis=1)
    wrong |= (words[:, len(GREATER) :] == "contradicted").any(axis=1)
    print(f"wrong in {100 * wrong.mean():.1f} % of {STUDIES} studies")
    assert wrong.mean() <= 0.05


def test_where_differences_are_just_the_margin_a_wrong_verdict_is_rare():
    """At the very margin "alike" is false."""
    bits = draw_bits([60, 62, 60, 62, 60, 62, 60], np.random.default_rng(1))
    pairs = [(a, b) for a in (1, 3, 5) for b in (0, 2, 4, 6)]
    words = list_words(bits, [([pair], (-2.0, 2.0)) for pair in pairs])
    wrong = (words == "supported").any(axis=1)
    print(f"wrong in {100 * wrong.mean():.1f} % of {STUDIES} studies")
    assert wrong.mean() <= 0.05


def test_what_is_true_is_found_and_what_is_false_contradicted():
    bits = draw_bits([40, 40, 75, 75, 75, 75, 75], np.random.default_rng(2))
    claims = [([(a, b) for a in range(2, 7) for b in (0, 1)], ABOVE), ([(0, 2)], ABOVE)]
    claims += [([(2, 3)], (-15.0, 15.0)), ([(2, 1)], (-5.0, 5.0))]
    words = list_words(bits, claims)
    for place, word in enumerate(["supported", "contradicted", "supported", "contradicted"]):
        assert (words[:, place] == word).mean() > 0.7
    truth = np.array(["supported", "contradicted", "supported", "contradicted"])
    assert ((words != truth) & (words != "undecided")).any(axis=1).mean() <= 0.05


def wrong_verdicts(num_rounds):
    """In which of 20,000 studies of alike latencies is one of 12 called greater?"""
    rng = np.random.default_rng(3)
    logs = 0.02 * rng.standard_normal((20_000, 12, num_rounds))
    variance = logs.var(axis=-1, ddof=1) / num_rounds
    error = MeanEstimate(logs.mean(axis=-1), variance, np.zeros_like(variance), num_rounds)
    words = decide_verdicts(*band_p_values(error, *ABOVE))[1]
    return (words == "supported").any(axis=1)


@pytest.mark.parametrize("num_rounds", [3, 5])
def test_latencies_without_a_difference_seldom_get_a_verdict(num_rounds):
    assert 0.035 < wrong_verdicts(num_rounds).mean() <= 0.0525


def test_two_rounds_decide_nothing():
    assert not wrong_verdicts(2).any()
