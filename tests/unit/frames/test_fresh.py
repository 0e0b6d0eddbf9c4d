import pandas as pd
import pytest

from resnest_bench.frames.fresh import is_counted, keep_counted, pick_counted

GROUPS = {
    "whole": ["ok", "ok"],
    "partly": ["stale", "ok", "failed"],
    "old": ["stale", "stale", "missing"],
    "none": ["failed", "invalid", "missing"],
}
COUNTED = {"whole": [0, 1], "partly": [1], "old": [0, 1], "none": []}


@pytest.mark.parametrize("name", GROUPS)
def test_stale_values_count_only_without_fresh_ones(name):
    frame = pd.DataFrame({"status": GROUPS[name]})
    assert keep_counted(frame).index.tolist() == COUNTED[name]
    assert pick_counted(enumerate(GROUPS[name]), lambda item: item[1]) == [
        (place, GROUPS[name][place]) for place in COUNTED[name]
    ]


def test_each_group_is_judged_by_itself():
    rows = [
        (name, place, word) for name, words in GROUPS.items() for place, word in enumerate(words)
    ]
    frame = pd.DataFrame(rows, columns=["group", "place", "status"])
    kept = keep_counted(frame, ["group"])
    assert {name: kept.loc[kept["group"] == name, "place"].tolist() for name in GROUPS} == COUNTED
    assert frame[is_counted(frame, ["group"])].equals(kept)


def test_no_row_is_no_error():
    empty = pd.DataFrame({"group": [], "status": []})
    assert len(keep_counted(empty)) == len(keep_counted(empty, ["group"])) == 0
