import json

import pandas as pd

from resnest_bench.charts import paper_chart
from resnest_bench.charts.paper import OURS, PRINTED

ROWS = pd.DataFrame(
    {
        "variant": ["A", "B"],
        "printed": [60.0, 50.0],
        "ours": [58.0, None],
        "n": [3, 0],
        "low": [31.0, None],
        "high": [82.0, None],
        "our_values": [[50.0, 60.0, 64.0], None],
        "status": ["ok", "no record yet"],
        "data": ["CIFAR-10", None],
        "device": ["CPU X", None],
        "differs": ["1,000 test images instead of 10,000", None],
    }
)


def test_printed_and_ours_stand_beside_each_other():
    drawn = paper_chart(ROWS, "accuracy %").to_dict()
    marks = [
        (r["variant"], r["figure"], r["value"])
        for rows in drawn["datasets"].values()
        for r in rows
        if "figure" in r
    ]
    assert sorted(marks) == [("A", OURS, 58.0), ("A", PRINTED, 60.0), ("B", PRINTED, 50.0)]
    ends = [r for rows in drawn["datasets"].values() for r in rows if "low" in r]
    assert ends == [{"variant": "A", "low": 31.0, "high": 82.0}]
    assert "1,000 test images instead of 10,000" in " ".join(drawn["title"]["subtitle"])
    assert drawn["layer"][0]["encoding"]["y"]["scale"]["domain"] == ["A", "B"]


def test_two_values_are_drawn_themselves():
    two = ROWS.assign(n=[2, 0], low=None, high=None, our_values=[[57.0, 59.0], None])
    drawn = paper_chart(two, "accuracy %").to_dict()
    ticks = [layer for layer in drawn["layer"] if layer["mark"]["type"] == "tick"]
    assert [row["value"] for row in drawn["datasets"][ticks[0]["data"]["name"]]] == [57.0, 59.0]
    assert not [r for rows in drawn["datasets"].values() for r in rows if "low" in r]


def test_without_any_of_ours_the_printed_ones_stand_alone():
    drawn = paper_chart(ROWS.tail(1), "ms/image").to_dict()
    assert "no such figure" in " ".join(drawn["title"]["subtitle"])
    assert "no data yet" in json.dumps(paper_chart(ROWS.head(0), "ms/image").to_dict())
