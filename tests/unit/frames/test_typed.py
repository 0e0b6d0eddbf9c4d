import pandas as pd
import pytest

from resnest_bench.frames.typed import make_frame

TYPES = {"name": "str", "n": "Int64", "share": "float64", "stale": "boolean", "values": "object"}
ROW = {"name": "A", "n": 3, "share": 0.5, "stale": True, "values": [1, 2]}


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([], id="no row"),
        pytest.param([ROW], id="a whole row"),
        pytest.param([{"name": "A"}], id="a row with gaps"),
        pytest.param([{**ROW, "other": 1}], id="a row with more"),
        pytest.param(pd.DataFrame(), id="an empty frame"),
        pytest.param(pd.DataFrame([ROW])[["n", "name"]], id="a frame in another order"),
    ],
)
def test_columns_and_types_do_not_depend_on_the_rows(rows):
    frame = make_frame(rows, TYPES)
    assert {name: str(frame[name].dtype) for name in frame} == TYPES
    assert list(frame) == list(TYPES)
    assert len(frame) == len(rows)


def test_a_gap_is_missing_and_a_count_next_to_it_stays_whole():
    frame = make_frame([{"n": 3}, {"name": "B"}], TYPES)
    assert frame["n"].iloc[0] == 3
    assert frame.isna()["n"].tolist() == [False, True]
    assert frame.isna()["name"].tolist() == [True, False]


def test_what_is_given_is_not_changed():
    given = pd.DataFrame({"n": [1.0]})
    make_frame(given, TYPES)
    assert given["n"].dtype == "float64"
    assert list(given) == ["n"]
