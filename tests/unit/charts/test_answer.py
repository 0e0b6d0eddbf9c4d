"""The chart of the landing page: budget and colours as the browser computes them, labels, and gaps."""

import json

import pytest
import vl_convert

from resnest_bench.charts.answer import BUDGET, MANY, NAMES, STATUSES, STEP, Budgets, answer_chart
from resnest_bench.charts.palette import PALETTE, SHAPES
from resnest_bench.comparisons.standings import BEST, MAY_BE_BEST, NOT_BEST
from resnest_bench.report.answer import Answer
from resnest_bench.tables.axes import metric_axis
from support.points_factory import points

LATENCY, ACCURACY = metric_axis("latency_p50_ms"), metric_axis("test_accuracy")
ANSWERS = [
    Answer(1.5, {"A": BEST}, ("A",)),
    Answer(2.5, {"B": BEST, "A": NOT_BEST}, ("B",)),
    Answer(None, {"C": BEST, "B": MAY_BE_BEST, "A": NOT_BEST}, ("C",)),
]


@pytest.fixture
def rows():
    bars = {"x_n": 3, "y_n": 3, "y_low": 30.0, "y_high": 80.0, "family": "resnest"}
    return points(
        ("A", 1.0, 40.0, {**bars, "front": True}),
        ("B", 2.0, 60.0, {**bars, "front": True, "noisy": True, "family": "resnet"}),
        ("C", 4.0, 61.0, bars),
        ("D", None, 70.0, {**bars, "status": "no latency yet"}),
    )


def data_rows(spec, layer):
    name = layer["data"].get("name")
    return spec["datasets"][name] if name else layer["data"]["values"]


def dots(spec):
    return next(one for one in spec["layer"] if one["mark"]["type"] == "point")


def drawn_colours(chart):
    """The strokes of the marks, as Vega itself draws them."""
    svg = vl_convert.vegalite_to_svg(json.dumps(chart.to_dict()))
    return [svg.count(f'stroke="{colour}"') for colour in PALETTE[:3]]


def test_each_network_has_its_standing_within_each_budget(rows):
    spec = answer_chart(rows, LATENCY, ACCURACY, Budgets(ANSWERS, 2)).to_dict()
    letters = {row["variant"]: row["letters"] for row in data_rows(spec, dots(spec))}
    assert letters == {"A": "bww", "B": "obt", "C": "oob"}
    assert [NAMES[letter] for letter in "btwuo"] == list(STATUSES)


def test_the_browser_colours_by_the_step(rows):
    """Best, tied and worse: the colours that are drawn follow the parameter and nothing else."""
    counts = [
        drawn_colours(answer_chart(rows, LATENCY, ACCURACY, Budgets(ANSWERS, step)))
        for step in range(3)
    ]
    present = [[count > 0 for count in each] for each in counts]
    assert present == [[True, False, False], [True, False, True], [True, True, True]]


def test_in_a_page_the_step_is_that_of_the_slider_and_the_chart_does_not_depend_on_it(rows):
    first, second = (
        answer_chart(rows, LATENCY, ACCURACY, Budgets(ANSWERS, step, "slider")).to_dict()
        for step in (0, 2)
    )
    assert first == second
    params = {param["name"]: param for param in first["params"]}
    assert params[STEP]["bind"] == {"element": "#slider"}
    assert params[BUDGET]["expr"].startswith("[1.5, 2.5, ")


def test_shape_is_the_family_and_noisy_marks_are_open(rows):
    spec = answer_chart(rows, LATENCY, ACCURACY, Budgets(ANSWERS, 2)).to_dict()
    encoding = dots(spec)["encoding"]
    assert encoding["shape"]["scale"]["domain"] == ["resnest", "resnet"]
    assert encoding["shape"]["scale"]["range"] == SHAPES
    (open_marks,) = encoding["fillOpacity"]["condition"]
    assert open_marks == {"test": "datum.noisy", "value": 0}


def test_many_families_share_the_last_shape():
    many = points(*((f"n{k}", 1.0 + k, 50.0, {"family": f"f{k:02d}"}) for k in range(12)))
    spec = answer_chart(many, LATENCY, ACCURACY, Budgets(ANSWERS, 2)).to_dict()
    domain = dots(spec)["encoding"]["shape"]["scale"]["domain"]
    assert len(domain) == len(SHAPES)
    assert domain[-1] == "other families"


def test_labels_are_of_the_best_the_tied_and_the_front(rows):
    spec = answer_chart(rows, LATENCY, ACCURACY, Budgets(ANSWERS, 2)).to_dict()
    halo, text = (one for one in spec["layer"] if one["mark"]["type"] == "text")
    assert {row["variant"] for row in data_rows(spec, text)} == {"A", "B", "C"}
    assert text["mark"]["fontSize"] == 12
    assert halo["mark"]["strokeWidth"] > 0


def test_without_two_values_there_is_no_plot(rows):
    spec = answer_chart(
        rows[rows["x"].isna()], LATENCY, ACCURACY, Budgets([Answer(None, {}, ())], 0)
    ).to_dict()
    assert spec["mark"]["type"] == "text"


def test_thousands_have_neither_bars_nor_long_tooltips():
    many = points(*((f"n{k}", 1.0 + k, 50.0 + k / 100, {"y_n": 3}) for k in range(MANY + 1)))
    answers = [Answer(None, {"n150": BEST}, ("",))]
    spec = answer_chart(many, LATENCY, ACCURACY, Budgets(answers, 0)).to_dict()
    assert not [one for one in spec["layer"] if one["mark"]["type"] == "rule"]
    assert "y_text" not in data_rows(spec, dots(spec))[0]
