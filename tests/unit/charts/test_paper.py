import json

import pandas as pd

from resnest_bench.charts import paper_chart
from resnest_bench.charts.paper import OURS, PRINTED

ROWS = pd.DataFrame(
    {
        "variant": ["A", "B"], "printed": [60.0, 50.0], "ours": [58.0, None], "n": [3, 0],
        "half_width": [70.0, None], "status": ["ok", "no record yet"], "data": ["CIFAR-10", None],
        "device": ["CPU X", None], "differs": ["1,000 test images instead of 10,000", None],
    }
)  # fmt: skip


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
    assert ends == [{"variant": "A", "low": 0.0, "high": 100.0}], "no share lies outside 0 to 100 %"
    assert "1,000 test images instead of 10,000" in " ".join(drawn["title"]["subtitle"])
    assert drawn["layer"][0]["encoding"]["y"]["scale"]["domain"] == ["A", "B"]


def test_without_any_of_ours_the_printed_ones_stand_alone():
    drawn = paper_chart(ROWS.tail(1), "ms/image").to_dict()
    assert "none of these figures yet" in " ".join(drawn["title"]["subtitle"])
    assert "no data yet" in json.dumps(paper_chart(ROWS.head(0), "ms/image").to_dict())
