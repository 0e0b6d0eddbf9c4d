"""Splits, orders and batches are functions of the seed alone."""

import numpy as np
import pytest

from resnest_bench.data.splits import (
    balanced_order,
    batch_slices,
    bootstrap,
    epoch_order,
    train_validation_split,
)
from resnest_bench.errors import UserError


def test_a_tenth_of_each_class_is_held_out():
    labels = np.repeat([0, 1, 2], [100, 50, 20])
    train, held = train_validation_split(labels, 0.1, 3, "abc")
    assert np.bincount(labels[held]).tolist() == [10, 5, 2]
    assert sorted([*train, *held]) == list(range(170))


def test_the_seed_alone_decides_what_is_held_out():
    labels = np.repeat([0, 1], 50)
    first, again = (train_validation_split(labels, 0.2, 1, "ab")[1] for _ in range(2))
    other = train_validation_split(labels, 0.2, 2, "ab")[1]
    assert first.tolist() == again.tolist() != other.tolist()


@pytest.mark.parametrize("fraction", [0.001, 0.999])
def test_both_parts_keep_every_class(fraction):
    labels = np.repeat([0, 1], [2, 30])
    for part in train_validation_split(labels, fraction, 0, "ab"):
        assert set(labels[part]) == {0, 1}


def test_nothing_is_held_out_at_fraction_zero():
    train, held = train_validation_split(np.array([0, 1, 1]), 0.0, 0, "ab")
    assert (train.tolist(), len(held)) == ([0, 1, 2], 0)


def test_a_class_of_one_image_cannot_be_split():
    with pytest.raises(UserError, match=r"only one of bird, cow: .*validation_fraction: 0"):
        train_validation_split(np.array([0, 0, 1, 2]), 0.5, 0, ["ant", "bird", "cow"])


def test_an_epoch_is_a_permutation_by_seed_and_epoch():
    order = epoch_order(50, 7, 2)
    assert sorted(order) == list(range(50))
    assert order.tolist() == np.random.default_rng([7, 2]).permutation(50).tolist()
    assert order.tolist() != epoch_order(50, 7, 3).tolist()
    assert order.tolist() != epoch_order(50, 8, 2).tolist()


@pytest.mark.parametrize(
    ("num", "size", "expected"),
    [(10, 5, [5, 5]), (11, 5, [5, 6]), (12, 5, [5, 5, 2]), (3, 8, [3]), (3, 2, [3]), (2, 2, [2])],
)
def test_a_last_image_alone_joins_the_batch_before(num, size, expected):
    slices = batch_slices(num, size)
    assert [s.stop - s.start for s in slices] == expected
    assert [i for s in slices for i in range(num)[s]] == list(range(num))


@pytest.mark.parametrize(("num", "size", "word"), [(10, 1, "batch_size"), (1, 4, "two images")])
def test_what_batch_norm_cannot_train_on_is_refused(num, size, word):
    with pytest.raises(UserError, match=word):
        batch_slices(num, size)


def test_balanced_draws_give_each_class_the_same_share():
    labels = np.array([0] * 900 + [1] * 90 + [3] * 10)
    order = balanced_order(labels, 0, 1)
    assert len(order) == 1000
    counts = np.bincount(labels[order], minlength=4)
    # Four standard deviations of a binomial share of a third.
    assert abs(counts[[0, 1, 3]] - 1000 / 3).max() < 60
    assert counts[2] == 0
    assert not np.array_equal(order, balanced_order(labels, 0, 2))
    assert np.array_equal(order, balanced_order(labels, 0, 1))


def test_a_bootstrap_has_as_many_images_and_leaves_out_about_a_third():
    indices = np.arange(100, 1100)
    drawn = bootstrap(indices, 1)
    assert len(drawn) == 1000
    assert set(drawn) <= set(indices)
    # (1 - 1/N)^N is 1/e; its standard deviation is about 0.01.
    assert abs(1 - len(set(drawn)) / 1000 - np.exp(-1)) < 0.05
    assert not np.array_equal(drawn, bootstrap(indices, 2))
