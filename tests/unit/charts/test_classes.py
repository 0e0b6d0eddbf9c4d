"""Confusion matrices and classes of two networks, from predictions made by hand."""

import numpy as np
import pandas as pd
import pytest

from resnest_bench.charts import class_differences_chart, confusion_chart, render_svg
from resnest_bench.charts import classes as module
from resnest_bench.comparisons.per_class import class_differences
from resnest_bench.tables.per_class import confusion_table
from support.predicted_study import TEN_LABELS, make_found

RIGHT = TEN_LABELS.tolist()
FOUND = {
    "A": [[1, 1, *RIGHT[2:]], [1, *RIGHT[1:]], RIGHT],
    "B": [RIGHT, [*RIGHT[:6], 2, *RIGHT[7:]], [*RIGHT[:6], 2, 2, *RIGHT[8:]]],
}


def read_rows(chart):
    spec = chart.to_dict()
    return {
        part["mark"]["type"]: pd.DataFrame(
            spec["datasets"][part.get("data", spec.get("data"))["name"]]
        )
        for part in spec["layer"]
    }


def test_a_cell_has_the_mean_share_and_its_spread():
    chart = confusion_chart(confusion_table(make_found(FOUND)), "A")
    cells = read_rows(chart)["rect"].set_index(["label", "predicted"])
    shares = np.array([2, 1, 0]) / 6 * 100
    text = f"{shares.mean():.0f} ± {shares.std(ddof=1):.0f}"
    assert cells.loc[("a", "b"), "text"] == text
    assert cells.loc[("a", "b"), "signed"] == pytest.approx(-shares.mean())
    assert cells.loc[("a", "a"), "signed"] > 0
    assert "Some data, 10 test images" in str(chart.to_dict())
    assert render_svg(chart)


def test_one_seed_has_no_spread():
    chart = confusion_chart(confusion_table(make_found({"A": FOUND["A"][:1]})), "A")
    assert not read_rows(chart)["rect"]["text"].str.contains("±").any()


def test_a_network_without_a_mistake_is_drawn():
    assert render_svg(confusion_chart(confusion_table(make_found({"A": [RIGHT]})), "A"))


def test_of_many_classes_those_that_are_recognised_worst_are_drawn(monkeypatch):
    monkeypatch.setattr(module, "MAX_CLASSES", 2)
    chart = confusion_chart(confusion_table(make_found(FOUND)), "A")
    assert set(read_rows(chart)["rect"]["label"]) <= {"a", "b"}
    assert "2 of 3 classes" in str(chart.to_dict())


def test_classes_are_sorted_by_their_difference():
    rows = class_differences(make_found(FOUND), [("A", "B")])
    chart = class_differences_chart(rows)
    drawn = read_rows(chart)
    assert drawn["point"]["class"].tolist() == ["b", "c", "a"]
    assert drawn["rule"]["class"].tolist() == ["b", "a"], "all seeds of c are alike"
    assert render_svg(chart)


def test_of_many_classes_those_that_differ_most_are_drawn(monkeypatch):
    monkeypatch.setattr(module, "MAX_ROWS", 2)
    rows = class_differences(make_found(FOUND), [("A", "B")])
    assert read_rows(class_differences_chart(rows))["point"]["class"].tolist() == ["b", "a"]


@pytest.mark.parametrize("num", [0, 1, 2])
def test_few_seeds_say_that_nothing_is_tested(num):
    found = make_found({name: rows[:num] for name, rows in FOUND.items()} if num else {})
    rows = class_differences(found, [("A", "B")] if num else [])
    text = str(class_differences_chart(rows).to_dict())
    assert ("no interval" if num else "not kept") in text
    assert "not kept" in str(
        confusion_chart(confusion_table(make_found({})), "A", "Data").to_dict()
    )
