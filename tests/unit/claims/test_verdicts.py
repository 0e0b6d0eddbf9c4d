"""Every kind of claim on records made by hand: p-values, verdicts, and what would decide it."""

import math

import numpy as np
import pytest
from scipy import stats

from resnest_bench.claims.hypotheses import ALIKE, ONE_ROUND, ONE_SEED
from resnest_bench.claims.tables import claims_table, comparisons_table
from resnest_bench.claims.verdicts import claim_jobs, combine_p_values, decide_verdicts, smaller_p
from resnest_bench.comparisons.pairs import pairs_table
from resnest_bench.frames.correctness import build_correctness
from resnest_bench.paths import Job
from resnest_bench.stats.power import plan_seeds
from support.claims_study import claim, claims_study, make_results, some_bits, timed, trained
from support.records_factory import CONFIG, GPU, make_failed_record

GREATER = claim("greater", a=["B"], b=["A"])


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture
def bits(rng):
    """A and T at 60 %, B and C at 70 %: seeds half a point apart."""
    made = {name: some_bits(percent, 0.5, rng) for name, percent in (("A", 60), ("B", 70))}
    # As accurate on the whole, and not in each seed: other seeds, other images.
    for name, alike in (("T", "A"), ("C", "B")):
        made[name] = made[alike][::-1, ::-1].copy()
    return made


def only(study, made, **more):
    (result,) = make_results(study, made, **more)
    return result


def reasons(result):
    return [c.reason for c in result.tests]


def test_greater_is_half_of_the_pairs_two_sided_p(bits):
    study = claims_study(GREATER)
    made = trained(study, bits)
    result = only(study, made)
    pair = pairs_table(build_correctness(made.values()), [("B", "A")]).iloc[0]
    assert result.p_for == pytest.approx(pair["all_p"] / 2)
    assert result.p_against == pytest.approx(1 - pair["all_p"] / 2)
    assert result.p == result.corrected_p == pytest.approx(pair["all_p"] / 2)
    assert result.verdict == "supported"
    measured = result.deciding_test.measurement
    assert measured.estimate.mean == pytest.approx(pair["difference_points"])
    assert np.std(measured.seed_values, ddof=1) == pytest.approx(pair["std_points"])


def test_the_reverse_is_contradicted_and_a_tie_undecided(bits):
    claims = [
        claim("greater", name="reverse", a=["A"], b=["B"]),
        claim("greater", name="tie", a=["C"], b=["B"]),
    ]
    study = claims_study(*claims)
    assert [r.verdict for r in make_results(study, trained(study, bits))] == [
        "contradicted",
        "undecided",
    ]


def test_all_must_hold_and_one_that_does_not_is_enough(bits):
    study = claims_study(claim("greater", a=["B", "C"], b=["A", "T"]))
    made = trained(study, bits)
    result = only(study, made)
    assert len(result.tests) == 4
    assert result.p_for == max(c.p_for for c in result.tests)
    assert result.verdict == "supported"
    # A is not above C, though C is above T.
    study = claims_study(claim("greater", a=["A", "C"], b=["T", "B"]))
    result = only(study, trained(study, bits))
    assert result.verdict == "contradicted"
    assert result.p_against == 4 * min(c.p_against for c in result.tests)
    assert result.deciding_test.hypothesis.text == "A > B"


def test_ordered_compares_neighbours_alone(bits):
    study = claims_study(claim("ordered", variants=["A", "B", "C"]))
    result = only(study, trained(study, bits))
    assert [c.hypothesis.text for c in result.tests] == ["B > A", "C > B"]
    assert result.verdict == "undecided"
    assert result.deciding_test.hypothesis.text == "C > B"


@pytest.mark.parametrize(
    ("direction", "text", "verdict"),
    [("rising", "B > A", "supported"), ("falling", "A > B", "contradicted")],
)
def test_monotone_compares_levels_of_a_factor(bits, direction, text, verdict):
    study = claims_study(claim("monotone", factor="radix", direction=direction))
    result = only(study, trained(study, bits))
    # C differs in two factors; D is the same network as A, which stands for both.
    assert [c.hypothesis.text for c in result.tests] == [text]
    assert result.verdict == verdict


def test_monotone_of_chosen_variants(bits):
    rising = claim(
        "monotone", factor="cardinality", direction="rising", variants=["C", "A", "Gone"]
    )
    study = claims_study(rising)
    assert only(study, trained(study, bits)).deciding_test.hypothesis.text == "C > A"
    study = claims_study(claim("monotone", factor="layers", direction="rising"))
    result = only(study, trained(study, bits))
    assert (result.verdict, result.tests) == ("untested", ())


def test_equivalent_is_two_one_sided_tests(bits):
    claims = [
        claim("equivalent", name="wide", a="B", b="C", margin=4),
        claim("equivalent", name="narrow", a="B", b="C", margin=0.5),
        claim("equivalent", name="far", a="B", b="A", margin=4),
    ]
    study = claims_study(*claims)
    wide, narrow, far = make_results(study, trained(study, bits))
    assert [r.verdict for r in (wide, narrow, far)] == ["supported", "undecided", "contradicted"]
    error = wide.deciding_test.measurement.estimate
    # Where the images add nothing it would be Student's test of both ends; they add some.
    se = math.sqrt(error.seed_variance + error.image_variance)
    least = max(stats.norm.sf((error.mean + 4) / se), stats.norm.sf((4 - error.mean) / se))
    most = max(stats.t.sf((error.mean + 4) / se, 4), stats.t.sf((4 - error.mean) / se, 4))
    assert least < wide.p_for < most
    assert far.p_against < 0.01


def test_within_is_about_one_variant(bits):
    claims = [
        claim("within", name="holds", a="A", value=60.0, margin=5),
        claim("within", name="far", a="A", value=80.0, margin=5),
    ]
    study = claims_study(*claims)
    holds, far = make_results(study, trained(study, bits))
    assert (holds.verdict, far.verdict) == ("supported", "contradicted")
    assert holds.deciding_test.measurement.estimate.mean == pytest.approx(100 * bits["A"].mean())
    assert holds.deciding_test.hypothesis.variants == ("A",)


def test_at_equal_asks_for_alike_pairs_alone(bits):
    study = claims_study(claim("at_equal", a=["B"], b=["A", "T"], equal="params", within=0.1))
    sizes = {"B": {"num_params": 1000}, "A": {"num_params": 1100}, "T": {"num_params": 1101}}
    result = only(study, trained(study, bits, **sizes))
    alike, other = result.tests
    assert alike.has_result
    assert other.excluded
    assert all(part in other.reason for part in ("1,000", "1,101", "10 %"))
    assert result.required_tests == [alike]
    assert result.verdict == "supported"
    # Without any pair at equal size there is nothing to test.
    study = claims_study(claim("at_equal", a=["B"], b=["T"], equal="params", within=0.05))
    result = only(study, trained(study, bits, **sizes))
    assert result.verdict == "untested"
    assert math.isnan(result.p)


def test_counts_have_no_error_and_take_nothing_from_the_others(bits):
    sizes = {"B": {"num_params": 2000}, "A": {"num_params": 1000}}
    counts = [
        claim("greater", metric="params", name="more", a=["B"], b=["A"]),
        claim("greater", metric="params", name="less", a=["A"], b=["B"]),
        claim("within", metric="params", name="about", a="B", value=2100, margin=0.1),
        claim("greater", metric="macs", name="unknown", a=["B"], b=["A"]),
    ]
    study = claims_study(*counts, GREATER)
    results = make_results(study, trained(study, bits, **sizes))
    assert [r.verdict for r in results] == [
        "supported",
        "contradicted",
        "supported",
        "untested",
        "supported",
    ]
    (reason,) = reasons(results[3])
    assert "MACs of B" in reason
    assert results[4].corrected_p == results[4].p
    study = claims_study(claim("equivalent", metric="macs", a="A", b="B", margin=0.01))
    assert only(study, timed(study, {"A": [1.0], "B": [2.0]})).verdict == "supported"


def test_latency_is_students_test_of_log_ratios_over_rounds():
    a, b = [2.0, 2.1, 1.9, 2.0, 2.05], [2.4, 2.6, 2.2, 2.5, 2.3]
    slower = claim("greater", metric="latency", a=["B"], b=["A"], batch_size=8)
    study = claims_study(slower)
    made = timed(study, {"A": a, "B": b}, batch_size=8)
    result = only(study, made)
    expected = stats.ttest_1samp(np.log(b) - np.log(a), 0, alternative="greater")
    assert result.p_for == pytest.approx(expected.pvalue)
    assert (
        result.deciding_test.measurement.device == "CPU Testium 3000 (2 logical cores), 2 threads"
    )
    assert result.verdict == "supported"
    study = claims_study(claim("within", metric="latency", a="A", value=2.0, margin=0.2))
    assert only(study, timed(study, {"A": a})).verdict == "supported"
    study = claims_study(claim("greater", metric="latency", a=["B"], b=["A"]))
    (reason,) = reasons(only(study, made))
    assert reason.startswith("B has no latency")
    assert reason.endswith(" 1")


def test_latencies_are_compared_on_one_device_in_one_setting():
    study = claims_study(claim("greater", metric="latency", a=["B"], b=["A"]))
    times = {"A": [1.0, 1.1, 1.2], "B": [2.0, 2.1, 2.2]}
    made = timed(study, times, B={"device": GPU})
    assert "several devices" in reasons(only(study, made))[0]
    assert reasons(only(study, timed(study, {"A": [1.0], "B": [2.0]}))) == [ONE_ROUND]


def test_the_correction_is_over_the_tested_claims_of_a_family(bits):
    pairs = [("B", "A"), ("C", "B"), ("T", "A"), ("A", "C")]
    claims = [claim("greater", name=f"c{i}", a=[a], b=[b]) for i, (a, b) in enumerate(pairs)]
    claims.append(claim("greater", name="untested", a=["Gone"], b=["A"]))
    study = claims_study(*claims)
    results = make_results(study, trained(study, bits))
    expected = [min(4 * r.p, 1) for r in results[:-1]]
    assert [r.corrected_p for r in results[:-1]] == pytest.approx(expected)
    assert math.isnan(results[-1].corrected_p)
    assert results[-1].verdict == "untested"


def test_what_lacks_records_says_so(bits):
    named = {
        "gone": (["Gone"], ["A"]),
        "unasked": (["D"], ["A"]),
        "alone": (["C"], ["A"]),
        "apart": (["T"], ["C"]),
        "failed": (["B"], ["T"]),
    }
    claims = [claim("greater", name=n, a=a, b=b) for n, (a, b) in named.items()]
    study = claims_study(
        *claims, train=[{"dataset": "low", "recipe": "quick", "variants": ["A", "B", "C", "T"]}]
    )
    made = trained(study, {**bits, "C": bits["C"][:1]})
    for seed in study.seeds:
        job = Job("train", "low", "quick", "B", seed)
        made[job] = make_failed_record(job, study.job_spec(job), "it diverged")
    made.pop(Job("train", "low", "quick", "T", 0))
    found = {r.claim.name: reasons(r)[0] for r in make_results(study, made)}
    assert found["gone"].startswith("Gone ")
    assert found["unasked"].endswith("D with quick on low")
    assert found["alone"] == ONE_SEED
    assert found["apart"] == ONE_SEED
    assert found["failed"] == "B: seeds 0, 1, 2, 3, 4 failed: it diverged"


def test_only_the_seeds_that_both_have_count(bits):
    study = claims_study(GREATER)
    made = trained(study, bits)
    made.pop(Job("train", "low", "quick", "A", 1))
    measured = only(study, made).deciding_test.measurement
    assert measured.seeds == (0, 2, 3, 4)
    assert measured.notes == ("A: seed 1 missing: no record yet",)
    expected = 100 * (bits["B"].mean(axis=1) - bits["A"].mean(axis=1))[[0, 2, 3, 4]]
    assert measured.seed_values == pytest.approx(tuple(expected))


def test_stale_records_count_where_there_are_no_others(bits):
    study = claims_study(GREATER)
    made = trained(study, bits)
    stale = {Job("train", "low", "quick", "A", seed) for seed in study.seeds}
    result = only(study, made, stale=stale)
    assert result.verdict == "supported"
    assert result.deciding_test.measurement.stale
    assert (
        "A: seeds 0, 1, 2, 3, 4 stale: code changed since" in result.deciding_test.measurement.notes
    )
    # Never beside fresh ones.
    stale.pop()
    assert only(study, made, stale=stale).tests[0].reason == ONE_SEED


def test_other_data_cannot_be_compared(bits):
    study = claims_study(GREATER)
    other = {
        "name": "low",
        "label": "x",
        "fingerprint": "e" * 64,
        "num_train": 1,
        "num_validation": 0,
        "num_test": 2000,
        "classes": ["a"],
    }
    made = trained(study, bits, A={"dataset": other})
    (reason,) = reasons(only(study, made))
    assert "only trainings on the same data can be compared" in reason


def test_one_value_in_every_seed_has_no_spread():
    study = claims_study(GREATER)
    images = np.arange(100)
    alike = {"A": np.tile(images < 60, (3, 1)), "B": np.tile(images < 70, (3, 1))}
    result = only(study, trained(study, alike))
    assert reasons(result) == [ALIKE.format("seed")]
    assert result.deciding_test.measurement.estimate.mean == pytest.approx(10)


def test_the_same_predictions_in_every_seed(bits):
    claims = [
        claim("equivalent", name="same", a="A", b="D", margin=1),
        claim("greater", name="above", a=["A"], b=["D"]),
    ]
    study = claims_study(*claims)
    same, above = make_results(study, trained(study, {"A": bits["A"], "D": bits["A"]}))
    # They differed on none of 2,000 images: 0.99^2000.
    assert same.p_for == pytest.approx(0.99**2000)
    assert same.verdict == "supported"
    assert above.verdict == "undecided"
    assert above.plan.required is None
    assert "same predictions" in above.plan.reason
    few = dict.fromkeys("AD", bits["A"][:, :100])
    assert [r.verdict for r in make_results(study, trained(study, few))] == ["undecided"] * 2


def test_undecided_says_how_many_seeds_would_decide(rng):
    images = {"A": some_bits(60, 2, rng), "B": some_bits(62.5, 2, rng)}
    other = claim("greater", name="other", a=["B"], b=["A"])
    study = claims_study(GREATER, other)
    result = make_results(study, trained(study, images))[0]
    assert result.verdict == "undecided"
    error = result.deciding_test.measurement.estimate
    # Two claims are tested: half of 5 % each, one-sided.
    image_error, ratio = math.sqrt(error.image_variance), error.degrees_of_freedom / 4
    sd = math.sqrt(5 * error.seed_variance)
    expected = plan_seeds(error.mean, sd, 5, image_error, alpha=0.05, df_ratio=ratio)
    assert error.mean > 0
    assert result.plan.required == expected
    assert expected.at_low_sd <= expected.seeds <= expected.at_high_sd


def test_one_leaning_the_other_way_would_contradict(rng):
    images = {n: some_bits(p, 1.5, rng) for n, p in (("A", 60), ("B", 61.5), ("C", 58))}
    study = claims_study(claim("greater", a=["B", "C"], b=["A"]))
    result = only(study, trained(study, images))
    assert result.verdict == "undecided"
    assert result.plan.test.hypothesis.text == "C > A"
    error = result.deciding_test.measurement.estimate
    image_error, ratio = math.sqrt(error.image_variance), error.degrees_of_freedom / 4
    sd = math.sqrt(5 * error.seed_variance)
    expected = plan_seeds(error.mean, sd, 5, image_error, alpha=0.05, df_ratio=ratio)
    assert result.plan.required == expected


def test_seeds_do_not_help_where_the_images_are_too_few(rng):
    place = np.arange(100)
    # 25 images tell the two apart, the same ones in every seed: 5 points, and as much of an error.
    right = {"B": (place < 50) | ((place >= 60) & (place < 75)), "T": place < 60}
    images = {n: np.tile(bits, (5, 1)) ^ (rng.random((5, 100)) < 0.01) for n, bits in right.items()}
    study = claims_study(claim("greater", a=["B"], b=["T"]))
    result = only(study, trained(study, images))
    assert result.verdict == "undecided"
    assert result.plan.required is None
    assert "100 test images" in result.plan.reason


def test_missing_comparisons_can_contradict_and_never_support(bits):
    study = claims_study(claim("greater", a=["B"], b=["A", "Gone"]))
    result = only(study, trained(study, bits))
    assert (result.verdict, result.p_for, result.plan) == ("untested", 1.0, None)
    study = claims_study(claim("greater", a=["A"], b=["B", "Gone"]))
    assert only(study, trained(study, bits)).verdict == "contradicted"


def test_fine_tunings_are_found_by_recipe_or_dataset(bits):
    tuned = [
        claim("greater", name="by-recipe", a=["B"], b=["A"], recipe="fresh"),
        claim("greater", name="by-dataset", a=["B"], b=["A"], dataset="high"),
        claim("greater", name="nowhere", a=["B"], b=["A"], recipe="gone"),
    ]
    study = claims_study(*tuned)
    made = trained(study, {n: bits[n] for n in "AB"}, ("finetune", "high", "fresh"))
    by_recipe, by_dataset, nowhere = make_results(study, made)
    assert by_recipe.verdict == "supported"
    assert (by_dataset.experiment.kind, by_dataset.experiment.recipe) == ("finetune", "tune")
    assert nowhere.verdict == "untested"
    jobs = claim_jobs(study)
    assert {job.recipe for job in jobs} == {"fresh", "tune"}
    assert {job.variant for job in jobs} == {"A", "B"}


def by(recipe, variant="A"):
    return {"variant": variant, "recipe": recipe}


TAUGHT = {**CONFIG["recipes"]["quick"], "teacher": {"train": "low/quick", "variant": "T"}}


def test_the_gain_of_a_teacher_is_a_claim(bits):
    """As the same bits under two names give, whatever the side is called."""
    gain = claim("greater", name="gain", a=[by("taught")], b=[by("quick")])
    implied = claim("greater", name="implied", a=[by("taught")], b=["A"], recipe="quick")
    study = claims_study(
        gain,
        implied,
        claim("greater", name="same", a=[by("quick")], b=["A"]),
        claim("within", name="level", a=by("taught"), value=70, margin=20),
        recipes={**CONFIG["recipes"], "taught": TAUGHT},
        train=[
            {"dataset": "low", "recipe": "quick"},
            {"dataset": "low", "recipe": "taught", "variants": ["A"]},
        ],
    )
    made = trained(study, {"A": bits["A"]})
    made |= trained(study, {"A": bits["B"]}, ("train", "low", "taught"))
    assert {(job.recipe, job.variant) for job in claim_jobs(study)} == {
        ("quick", "A"),
        ("taught", "A"),
    }
    first, second, same, level = make_results(study, made)
    assert first.verdict == second.verdict == level.verdict == "supported"
    assert first.tests[0].hypothesis.text == "A by taught > A by quick"
    expected = 100 * (bits["B"].mean() - bits["A"].mean())
    assert first.tests[0].measurement.estimate.mean == pytest.approx(expected)
    assert second.p_for == first.p_for
    named = make_results(claims_study(GREATER), trained(claims_study(), {n: bits[n] for n in "AB"}))
    assert first.p_for == pytest.approx(named[0].p_for)
    assert same.verdict == "untested"
    assert "same trainings" in same.tests[0].reason
    table = claims_table([first, second])
    assert table["recipe"].tolist() == ["taught, quick", "taught, quick"]
    rows = comparisons_table([first])
    assert rows[["a", "b"]].to_numpy().tolist() == [["A by taught", "A by quick"]]


def test_all_layers_against_the_head_alone_is_a_claim_of_fine_tunings(bits):
    """Its dataset follows from the recipes that it names."""
    study = claims_study(claim("greater", a=[by("tune")], b=[by("fresh")]))
    made = trained(study, {"A": bits["B"]}, ("finetune", "high", "tune"))
    made |= trained(study, {"A": bits["A"]}, ("finetune", "high", "fresh"))
    assert only(study, made).verdict == "supported"


def test_a_recipe_that_trains_no_such_variant_is_untested(bits):
    study = claims_study(claim("greater", a=[by("tune", "C")], b=[by("gone", "C")]))
    result = only(study, trained(study, {"A": bits["A"]}))
    assert result.verdict == "untested"
    assert "does not train C with tune" in result.tests[0].reason


def test_a_study_of_fine_tunings_alone_takes_its_first_one(bits):
    study = claims_study(
        GREATER,
        train=[],
        latency=[],
        tables={},
        finetune=[
            {
                "dataset": "high",
                "recipes": ["fresh"],
                "weights": {"A": {"hub": "x"}, "B": {"hub": "y"}},
            }
        ],
    )
    made = trained(study, {n: bits[n] for n in "AB"}, ("finetune", "high", "fresh"))
    assert only(study, made).verdict == "supported"


def test_no_claim_no_result():
    study = claims_study()
    assert make_results(study, {}) == []
    assert claim_jobs(study) == []


def test_conjunctions_and_verdicts_by_hand():
    p_for, p_against = combine_p_values([[0.01, 0.2], [0.9, 0.99]], [[0.99, 0.8], [0.1, 0.01]])
    assert p_for.tolist() == [0.2, 0.99]
    assert p_against.tolist() == [1.0, 0.02]
    assert smaller_p(0.7, 0.3) == 0.3
    corrected, words = decide_verdicts(
        [0.01, 0.99, 0.4, np.nan, 0.0], [0.99, 0.012, 0.6, np.nan, 1.0]
    )
    # Four are tested: each p times four.
    assert corrected[:3] == pytest.approx([0.04, 0.048, 1.0])
    assert words.tolist() == ["supported", "contradicted", "undecided", "untested", "supported"]
