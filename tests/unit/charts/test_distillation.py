"""The chart of what teachers add: the gains, and the students without one."""

import json

import pandas as pd
import pytest

from resnest_bench.charts import distillation_chart, make_figures
from resnest_bench.charts.style import CROSS
from support.taught_study import taught_study, write_taught


@pytest.fixture
def results(tmp_path):
    return write_taught(taught_study(), tmp_path)


def list_rows(drawn):
    return [row for data in drawn["datasets"].values() for row in data]


def test_the_dot_is_the_mean_gain_and_the_ticks_are_its_seeds(results):
    drawn = make_figures(results)["distillation"].to_dict()
    dots = [row for row in list_rows(drawn) if "gain_mean_points" in row]
    # One layer each for dots and bars; two seeds have no bar.
    assert len(dots) == 1
    assert dots[0]["label"] == "A, taught\ntaught by T"
    assert dots[0]["gain_mean_points"] == pytest.approx(6.5)
    assert dots[0]["gain_n"] == 2
    ticks = [row["gain_seed_points"] for row in list_rows(drawn) if "gain_seed_points" in row]
    assert sorted(ticks) == pytest.approx([6.0, 7.0])


def test_a_student_without_a_gain_is_named_with_the_reason(results):
    drawn = distillation_chart(results.distillation).to_dict()
    text = " ".join(drawn["title"]["subtitle"])
    assert "B, longer" in text
    assert "without a teacher" in text


def test_stale_rows_are_crossed_and_empty_charts_say_so(results):
    stale = results.distillation.assign(stale=True)
    marks = [layer["mark"] for layer in distillation_chart(stale).to_dict()["layer"]]
    assert any(isinstance(mark, dict) and mark.get("shape") == CROSS for mark in marks)
    assert "no data yet" in json.dumps(distillation_chart(pd.DataFrame()).to_dict())
    none = results.distillation.assign(gain_mean_points=float("nan"))
    assert "no data yet" in json.dumps(distillation_chart(none).to_dict())


def test_two_data_sets_in_one_chart_keep_their_rows_apart(results):
    one = results.distillation
    both = pd.concat([one, one.assign(dataset="high", dataset_label="Synthetic high")])
    drawn = distillation_chart(both).to_dict()
    labels = {row["label"] for row in list_rows(drawn) if "gain_mean_points" in row}
    assert len(labels) == 2
