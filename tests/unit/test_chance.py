"""Accuracy that says no more than which class is the most frequent."""

import pytest
from scipy.stats import binomtest

from resnest_bench.chance import describe_chance, is_above_chance
from resnest_bench.paths import Job
from support.records_factory import make_record, make_study, with_counts

STUDY = make_study()
JOB = Job("train", "low", "quick", "A", 0)


def describe(accuracy, actual, predicted, num_test=100):
    record = make_record(STUDY, JOB, accuracy=accuracy, num_test=num_test)
    return describe_chance(with_counts(record, actual, predicted))


@pytest.mark.parametrize("chance", [0.1, 0.5, 0.9434])
@pytest.mark.parametrize("num_test", [1, 53, 160])
def test_the_test_is_scipys(num_test, chance):
    for num_correct in range(num_test + 1):
        p_value = binomtest(num_correct, num_test, chance, alternative="greater").pvalue
        assert is_above_chance(num_correct, num_test, chance) == (p_value <= 0.05)


def test_predictions_of_one_class_are_named_whatever_the_accuracy():
    assert "'b'" in describe(0.9, [5, 90, 5], [0, 100, 0])


@pytest.mark.parametrize(
    ("num_correct", "flagged"),
    # Of 160 images of which half are of one class: P(X >= 91) = 0.048, P(X >= 90) = 0.066.
    [(84, True), (76, True), (80, True), (90, True), (91, False), (160, False)],
)
def test_accuracy_around_half_is_chance_unless_images_are_many(num_correct, flagged):
    said = describe(num_correct / 160, [80, 40, 40], [100, 30, 30], num_test=160)
    assert bool(said) == flagged
    assert ("50.0 %" in said) == flagged


def test_nothing_is_said_where_the_counts_were_not_kept():
    assert describe_chance(make_record(STUDY, JOB, accuracy=0.0)) == ""
    assert describe(0.0, [], [50, 25, 25]) == ""


def test_a_latency_has_no_accuracy():
    assert describe_chance(make_record(STUDY, Job("latency", "low", "fast", "A", 0))) == ""
