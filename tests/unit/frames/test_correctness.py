import numpy as np
import pytest

from resnest_bench import records
from resnest_bench.comparisons.accuracies import accuracy_intervals
from resnest_bench.frames.correctness import build_correctness
from resnest_bench.paths import Job
from resnest_bench.stats.intervals import IMAGES, SEEDS
from support.records_factory import (
    make_failed_record,
    make_latency_record,
    make_study,
    make_train_record,
)

STUDY = make_study()


def record(variant="A", seed=0, accuracy=0.5, recipe="quick", num_test=100, **fields):
    job = Job("train", "low", recipe, variant, seed)
    return make_train_record(job, {}, accuracy, num_test, **fields)


def with_bits(made, bits):
    """`made` with that correctness, and the last epoch's accuracy to fit."""
    packed = made.train.model_copy(update={"test_correct": records.pack_bits(bits)})
    return made.model_copy(update={"train": packed})


def test_the_matrix_holds_the_bits_and_knows_its_gaps():
    bits = np.random.default_rng(0).random((3, 100)) < 0.5
    made = [record("B", 1), record("A", 5), record("B", 5)]
    seen = build_correctness(with_bits(r, b) for r, b in zip(made, bits, strict=True))
    assert (seen.variants, seen.seeds) == (("B", "A"), (1, 5))
    assert seen.is_trained_VS.tolist() == [[True, True], [False, True]]
    np.testing.assert_array_equal(seen.bits_VSN[:, 1], bits[[2, 1]])
    assert seen.accuracies_VS[0, 0] == pytest.approx(bits[0].mean())
    assert np.isnan(seen.accuracies_VS[1, 0])
    assert seen.common_seeds(["A", "B"]) == (5,)
    np.testing.assert_array_equal(seen.select("B"), bits[[0, 2]])
    np.testing.assert_array_equal(
        seen.differences("A", "B"), [bits[1].astype(int) - bits[2].astype(int)]
    )
    with pytest.raises(ValueError, match="only of B, A"):
        seen.select("C")


def test_a_name_tells_recipes_apart():
    made = [record(recipe="quick"), record(recipe="tune")]
    seen = build_correctness(made, name=lambda r: f"{r.job.variant}, {r.job.recipe}")
    assert seen.variants == ("A, quick", "A, tune")


def other_data(made):
    dataset = made.dataset.model_copy(update={"fingerprint": "0" * 64})
    return made.model_copy(update={"dataset": dataset})


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ([], "nothing to compare"),
        ([record(), other_data(record(seed=1))], "only trainings on the same data"),
        ([record(), record(seed=1, num_test=90)], "can't be matched"),
        ([record(), record()], "two records of 'A' with seed 0"),
        ([record(), record(seed=1, recipe="tune")], "`name`"),
        ([make_failed_record(Job("train", "low", "quick", "A", 0), {}, "gone")], "not a finished"),
        ([make_latency_record(Job("latency", "low", "fast", "A", 0), {})], "not a finished"),
    ],
)
def test_what_can_not_be_compared(made, message):
    with pytest.raises(ValueError, match=message):
        build_correctness(made)


def test_each_variants_intervals_are_named_as_what_they_are():
    bits = np.random.default_rng(0).random((4, 100)) < 0.6
    made = [record("one"), record("three", 0), record("three", 1), record("three", 2)]
    found = [with_bits(r, b) for r, b in zip(made, bits, strict=True)]
    one, three = accuracy_intervals(build_correctness(found)).to_dict("records")
    assert (one["about"], one["method"]) == (IMAGES, "binomial, Wilson")
    assert one["networks_low_percent"] < one["mean_percent"] < one["networks_high_percent"]
    assert np.isnan([one["std_points"], one["seeds_low_percent"], one["all_high_percent"]]).all()
    assert (three["n"], three["about"]) == (3, SEEDS)
    shares = bits[1:].mean(axis=1)
    # t(0.975, 2) = 4.302653 (tables); on the logit scale a step is dp / (p (1 - p)).
    half = 4.302653 * shares.std(ddof=1) / 3**0.5
    p = shares.mean()
    odds = p / (1 - p) * np.exp(half / (p * (1 - p)))
    assert three["seeds_high_percent"] == pytest.approx(100 * odds / (1 + odds), rel=1e-6)
    assert three["all_high_percent"] >= three["seeds_high_percent"]
