"""How a share of the majority and a ratio follow from counts."""

import pytest

from resnest_bench.records.balance import measure_balance


def test_the_majority_and_the_ratio_follow_from_the_counts():
    balance = measure_balance({"hotdog": 50, "other": 150})
    assert (balance.largest, balance.smallest) == ("other", "hotdog")
    assert balance.ratio == 3
    assert balance.majority_share == 0.75


@pytest.mark.parametrize("counts", [{}, {"a": 3, "b": 0}])
def test_without_images_there_is_no_ratio(counts):
    assert measure_balance(counts) is None
