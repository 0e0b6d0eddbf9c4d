"""No bar ends at the border of a plot as if it ended there: it is whole, or has an arrowhead."""

import json
import math

import pandas as pd
import pytest
import vl_convert

from resnest_bench.charts import claim_chart, shared_domains, tradeoff_chart
from resnest_bench.charts.cut_bars import ARROWS, CUT_NOTE, arrowheads, ends_beyond
from resnest_bench.charts.identity import identity
from resnest_bench.charts.style import CONTINUED
from resnest_bench.export.results import PageResults
from resnest_bench.export.sections import list_sections
from resnest_bench.stats.intervals import ROUNDS
from resnest_bench.tables.axes import metric_axis
from support.claims_study import SOME_CLAIMS
from support.points_factory import points
from support.records_factory import make_study, write_study

LATENCY, ACCURACY = metric_axis("latency_p50_ms"), metric_axis("test_accuracy")
THROUGHPUT = metric_axis("throughput_images_per_second")
WIDE = {"x_low": 1e-4, "x_high": 5.0, "x_n": 3, "x_about": ROUNDS}


def list_marks(spec):
    """(group, mark type, item) of all marks of a chart as it is drawn, in pixels of its plot."""
    scene = vl_convert.vegalite_to_scenegraph(spec)["scenegraph"]
    found, groups = [], [scene]
    while groups:
        group = groups.pop()
        for item in group.get("items", []):
            marks = item.get("items", []) if "items" in item else []
            groups += [mark for mark in marks if mark.get("marktype") == "group"]
            for mark in marks:
                if mark.get("role") == "mark" and mark.get("marktype") != "group":
                    found += [(item, mark["marktype"], one) for one in mark["items"]]
    return found


def list_cut_ends(spec, within=0.5):
    """(side, place along it) of each end of a bar nearer to the border of its plot than `within`
    pixels, or beyond it; and of each arrowhead."""
    ends, heads = [], []
    for plot, kind, item in list_marks(spec):
        x, y = item.get("x", 0), item.get("y", 0)
        if kind == "rule":
            gaps = measure_gaps(plot, (x, item.get("x2", x)), (y, item.get("y2", y)))
            ends += [(side, place) for side, (gap, place) in gaps.items() if gap < within]
        shape = str(item.get("shape", ""))
        gap, place = measure_gaps(plot, (x, x), (y, y)).get(shape.removeprefix("triangle-"), (0, 0))
        if kind == "symbol" and gap == pytest.approx(4):
            heads.append((shape.removeprefix("triangle-"), place))
    return sorted(ends), sorted(heads)


def measure_gaps(plot, xs, ys):
    """By side: pixels from a mark to the border of its plot, and where along the border that is.

    A bar has two sides, a point all four.
    """
    width, height = plot.get("width", 0), plot.get("height", 0)
    across = {"left": (min(xs), ys[0]), "right": (width - max(xs), ys[0])}
    along = {"up": (min(ys), xs[0]), "down": (height - max(ys), xs[0])}
    if xs[0] == xs[1] and ys[0] != ys[1]:
        # A line through the whole plot is no bar.
        return {} if {*ys} == {0, height} else along
    return across if xs[0] != xs[1] else across | along


def titles(spec):
    return " ".join([spec["title"]["text"], *spec["title"]["subtitle"]]).replace(CONTINUED, "")


@pytest.mark.parametrize(("x", "side"), [(LATENCY, "left"), (THROUGHPUT, "right")])
def test_a_log_axis_marks_the_bar_that_it_cuts(x, side):
    frame = points(("A", 2.0, 50.0, WIDE), ("B", 4.0, 60.0, {"x_low": 3.0, "x_high": 5.0}))
    spec = tradeoff_chart(frame, x, ACCURACY, variants=["B", "A"]).to_dict()
    ends, heads = list_cut_ends(spec)
    assert ends == heads
    assert [end for end, _ in heads] == [side]
    assert CUT_NOTE in titles(spec)
    # The axis begins at a tenth of the lowest mean, and the tooltip says where the bar really ends.
    assert min(spec["layer"][-1]["encoding"]["x"]["scale"]["domain"]) == pytest.approx(0.2)
    rows = [row for data in spec["datasets"].values() for row in data]
    assert {row["x_low"] for row in rows if "x_low" in row} == {1e-4, 3.0}
    assert {row["colour"] for row in rows if "colour" in row} == {
        identity(["B", "A"]).looks["A"].colour
    }


def test_a_log_axis_upwards_marks_it_too():
    tall = {"y_low": 1e-6, "y_high": 90.0, "y_n": 3, "y_about": ROUNDS}
    spec = tradeoff_chart(points(("A", 2.0, 50.0, tall)), LATENCY, ACCURACY, log_y=True).to_dict()
    ends, heads = list_cut_ends(spec)
    assert [end for end, _ in heads] == ["down"]
    assert ends == heads


@pytest.mark.parametrize("low", [0.21, 1.0])
def test_a_whole_bar_has_no_arrowhead(low):
    spec = tradeoff_chart(
        points(("A", 2.0, 50.0, WIDE | {"x_low": low})), LATENCY, ACCURACY
    ).to_dict()
    assert list_cut_ends(spec) == ([], [])
    assert CUT_NOTE not in titles(spec)


def test_panels_side_by_side_reach_no_further_than_one():
    frame = points(("A", 2.0, 50.0, WIDE))
    domains = shared_domains([frame, points(("B", 4.0, 60.0, {}))], LATENCY, ACCURACY, True, False)
    assert domains[0][0] == pytest.approx(0.2)
    ends, heads = list_cut_ends(tradeoff_chart(frame, LATENCY, ACCURACY, domains=domains).to_dict())
    assert ends == heads
    assert len(heads) == 1


def test_a_bar_that_ends_at_zero_or_below_can_be_drawn():
    for low in (0.0, -3.0):
        spec = tradeoff_chart(
            points(("A", 2.0, 50.0, WIDE | {"x_low": low})), LATENCY, ACCURACY
        ).to_dict()
        assert [end for end, _ in list_cut_ends(spec)[1]] == ["left"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A study with every kind of chart, and three rounds of its latencies."""
    study = make_study(
        latency=[{"dataset": "low", "protocol": "fast", "rounds": 3}], claims=SOME_CLAIMS
    )
    paths = study.paths(tmp_path_factory.mktemp("results"))
    write_study(study, paths)
    return PageResults(study, paths)


@pytest.mark.slow
def test_no_chart_of_a_study_cuts_a_bar_without_a_sign(whole):
    figures = [block for section in list_sections(whole) for block in section.blocks]
    specs = {block.head: block.spec for block in figures if getattr(block, "spec", None)}
    barred = {head: spec for head, spec in specs.items() if '"rule"' in json.dumps(spec)}
    assert len(barred) >= 8
    for head, spec in barred.items():
        # An axis that is made for its bars may end where the longest one does.
        ends, heads = list_cut_ends(spec, within=-0.5)
        assert ends == heads, head


@pytest.mark.parametrize(
    ("low", "high", "sides"),
    [
        (-500.0, 1.0, ["left"]),
        (-1.0, 500.0, ["right"]),
        (-math.inf, math.inf, ["left", "right"]),
        (-1.0, 1.0, []),
    ],
)
def test_a_claims_chart_marks_what_it_cuts(whole, low, high, sides):
    _, rows = whole.claim_tables
    rows = rows[rows["estimate"].notna() & rows["unit"].eq("points")].head(1)
    spec = claim_chart(
        rows.assign(low=low, high=high, claimed_low=-1.0, claimed_high=1.0), "x"
    ).to_dict()
    ends, heads = list_cut_ends(spec)
    assert ends == heads
    assert [end for end, _ in heads] == sides
    assert (CUT_NOTE in titles(spec)) == bool(sides)


def test_an_arrowhead_points_away_from_the_plot():
    frame = pd.DataFrame({"low": [1.0, 3.0], "high": [5.0, 9.0]})
    ends = ends_beyond(frame, "low", "high", (2.0, 6.0))
    assert ends[["low", "border", "upper"]].to_numpy().tolist() == [[1, 2, False], [3, 6, True]]
    for channel in ("x", "y"):
        for reverse in (False, True):
            shapes = [
                head.to_dict()["mark"]["shape"] for head in arrowheads(ends, channel, reverse)
            ]
            assert shapes == [ARROWS[channel, side]["shape"] for side in (reverse, not reverse)]
