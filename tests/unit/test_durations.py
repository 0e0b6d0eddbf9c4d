"""Shards of the tests: each file in exactly one, and about equally long."""

import pytest

from support.durations import choose_shard

DURATIONS = {"a": 100.0, "b": 60.0, "c": 50.0, "d": 40.0, "e": 30.0, "f": 20.0}
FILES = [*DURATIONS, "new"]


@pytest.mark.parametrize("of", [1, 2, 3, 9])
def test_each_file_is_in_exactly_one_shard(of):
    shards = [choose_shard(FILES, DURATIONS, f"{number}/{of}") for number in range(1, of + 1)]
    assert sorted(file for shard in shards for file in shard) == sorted(FILES)


def test_the_longest_go_to_the_shard_that_has_least():
    # a | b, then c to b (60), d to a (100), e to b (110), f to a or b: both have 140.
    assert choose_shard(list(DURATIONS), DURATIONS, "1/2") == {"a", "d", "f"}
    assert choose_shard(list(DURATIONS), DURATIONS, "2/2") == {"b", "c", "e"}


@pytest.mark.parametrize("shard", ["0/2", "3/2"])
def test_a_shard_that_is_not_there_is_refused(shard):
    with pytest.raises(pytest.UsageError, match="--shard"):
        choose_shard(FILES, DURATIONS, shard)
