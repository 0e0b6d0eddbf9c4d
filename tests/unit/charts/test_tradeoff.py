import json
import re

import pytest
import vl_convert

from resnest_bench.charts import render_svg, shared_domains, tradeoff_chart
from resnest_bench.charts.identity import identity
from resnest_bench.charts.style import CROSS
from resnest_bench.stats.intervals import IMAGES, ROUNDS, SEEDS
from resnest_bench.tables.axes import metric_axis
from support.points_factory import points

LATENCY, ACCURACY = metric_axis("latency_p50_ms"), metric_axis("test_accuracy")
THROUGHPUT, LOSS = metric_axis("throughput_images_per_second"), metric_axis("test_loss")
DRIFT = metric_axis("reference_drift")


TWO = points(("A", 1.0, 50.0, {}), ("B", 4.0, 60.0, {"front": True}))


def layers(drawn, mark):
    return [layer for layer in drawn["layer"] if layer["mark"]["type"] == mark]


def list_rows(drawn, layer):
    return drawn["datasets"][layer["data"]["name"]]


@pytest.mark.parametrize(
    ("x", "y", "reversed_x", "reversed_y"),
    [
        (LATENCY, ACCURACY, False, False),
        (THROUGHPUT, ACCURACY, True, False),
        (LATENCY, LOSS, False, True),
        (THROUGHPUT, LOSS, True, True),
        (DRIFT, DRIFT, False, False),
    ],
)
def test_better_is_up_and_to_the_left(x, y, reversed_x, reversed_y):
    drawn = tradeoff_chart(TWO, x, y).to_dict()
    for layer in drawn["layer"]:
        assert layer["encoding"]["x"]["scale"]["reverse"] is reversed_x
        assert layer["encoding"]["y"]["scale"]["reverse"] is reversed_y
    says = "better" in drawn["layer"][-1]["encoding"]["x"]["title"]
    assert says is (x.better is not None)


def test_intervals_stay_within_what_a_value_can_be():
    frame = points(
        (
            "A",
            2.0,
            50.0,
            {
                "x_low": 1e-9,
                "x_high": 5.0,
                "x_n": 3,
                "x_about": ROUNDS,
                "y_low": 20.0,
                "y_high": 99.0,
                "y_about": SEEDS,
            },
        )
    )
    drawn = tradeoff_chart(frame, LATENCY, ACCURACY).to_dict()
    across, up = (list_rows(drawn, layer)[0] for layer in layers(drawn, "rule"))
    assert (up["from"], up["to"]) == (20, 99)
    assert across["from"] > 0.01, "a log axis must not stretch to its end"
    assert "n = 3" in json.dumps(drawn["title"]["subtitle"])


def test_the_bar_of_one_network_is_dashed_and_said_to_be_binomial():
    ends = {"y_low": 45.0, "y_high": 55.0}
    frame = points(
        ("A", 2.0, 50.0, {**ends, "y_about": IMAGES}),
        ("B", 3.0, 51.0, {**ends, "y_about": SEEDS, "y_n": 3}),
    )
    drawn = tradeoff_chart(frame, LATENCY, ACCURACY).to_dict()
    bars = layers(drawn, "rule")[0]
    assert {row["variant"]: row["y_bar"] for row in list_rows(drawn, bars)} == {
        "A": "binomial, new test images",
        "B": "t, new seeds",
    }
    scale = bars["encoding"]["strokeDash"]["scale"]
    dashes = dict(zip(scale["domain"], scale["range"], strict=True))
    assert dashes["t, new seeds"] == [1, 0]
    assert dashes["binomial, new test images"] != [1, 0]
    said = " ".join(drawn["title"]["subtitle"])
    assert re.search(r"Dashed.*n=1.*binomial", said)
    # The n of the t-intervals: A has none.
    assert "n = 3)" in said


def test_the_tooltip_says_how_sure_a_place_on_the_front_is():
    frame = points(
        ("A", 1.0, 50.0, {"front_probability": 0.613}),
        ("B", 2.0, 51.0, {"front_reason": "one seed"}),
    )
    drawn = tradeoff_chart(frame, LATENCY, ACCURACY).to_dict()
    dots = layers(drawn, "point")[0]
    said = {row["variant"]: row["probability"] for row in list_rows(drawn, dots)}
    assert said == {"A": "0.61", "B": "one seed"}
    titles = {tip.get("title"): tip["field"] for tip in dots["encoding"]["tooltip"]}
    assert titles["P(Pareto-optimal)"] == "probability"


def test_a_log_axis_needs_values_above_zero():
    frame = points(("A", 0.0, 50.0, {}), ("B", 1.0, 51.0, {}))
    drawn = tradeoff_chart(frame, DRIFT, ACCURACY).to_dict()
    assert drawn["layer"][-1]["encoding"]["x"]["scale"]["type"] == "linear"
    assert (
        tradeoff_chart(TWO, LATENCY, ACCURACY, log_x=False).to_dict()["layer"][-1]["encoding"]["x"][
            "scale"
        ]["type"]
        == "linear"
    )


def test_a_budget_is_a_line_and_picked_points_stand_out():
    drawn = tradeoff_chart(
        TWO, LATENCY, ACCURACY, limit=2.5, interactive=True, picked=("B",)
    ).to_dict()
    assert list_rows(drawn, layers(drawn, "rule")[0]) == [{"limit": 2.5}]
    dots = layers(drawn, "point")[0]
    assert {r["variant"]: r["picked"] for r in list_rows(drawn, dots)} == {"A": False, "B": True}
    assert {param["name"] for param in drawn["params"]} == {"picked", "brush", "network"}
    still = tradeoff_chart(TWO, LATENCY, ACCURACY).to_dict()
    assert [(p["name"], p["bind"]) for p in still["params"]] == [("network", "legend")]


def test_panels_with_shared_domains_can_be_compared():
    other = points(("C", 40.0, 10.0, {}))
    x, y = shared_domains([TWO, other], LATENCY, ACCURACY, True, False)
    assert 0 < x[0] < 1
    assert x[1] > 40
    assert y[0] < 10
    assert y[1] > 60
    drawn = tradeoff_chart(other, LATENCY, ACCURACY, domains=(x, y)).to_dict()
    assert drawn["layer"][-1]["encoding"]["x"]["scale"]["domain"] == x


@pytest.mark.parametrize("distance", [0.001, 1.0, 40.0])
def test_bars_are_whole_however_close_the_points_lie(distance):
    frame = points(
        ("A", 1.0, 50.0, {"x_low": 0.2, "x_high": 4.0, "y_low": 3.0, "y_high": 97.0}),
        ("B", 1.0 + distance, 50.0 + distance, {}),
    )
    x, y = shared_domains([frame], LATENCY, ACCURACY, True, False)
    assert x[0] < 0.2
    assert x[1] > 4.0
    assert y[0] < 3.0
    assert y[1] > 97.0


def test_what_cannot_be_drawn_is_named():
    frame = points(("A", None, 50.0, {"status": "latency round 0 missing: x"}), ("B", 1.0, 2.0, {}))
    drawn = tradeoff_chart(frame, LATENCY, ACCURACY).to_dict()
    assert "Not drawn: A (latency round 0 missing: x)" in " ".join(drawn["title"]["subtitle"])
    nothing = tradeoff_chart(frame.head(1), LATENCY, ACCURACY).to_dict()
    assert "no data yet" in json.dumps(nothing)
    assert "no data yet" in json.dumps(tradeoff_chart(frame.head(0), LATENCY, ACCURACY).to_dict())


def test_a_network_keeps_its_look_and_another_device_is_open():
    frame = points(("A", 1.0, 1.0, {}), ("B", 2.0, 2.0, {"device": "GPU Y"}))
    drawn = tradeoff_chart(frame, LATENCY, ACCURACY, variants=["B", "other", "A"]).to_dict()
    encoding = layers(drawn, "point")[0]["encoding"]
    scale = encoding["stroke"]["scale"]
    looks = identity(["B", "other", "A"]).looks
    assert dict(zip(scale["domain"], scale["range"], strict=True)) == {
        name: looks[name].colour for name in ("A", "B")
    }
    assert encoding["fill"]["condition"]["test"] == {"field": "device", "oneOf": ["GPU Y"]}
    assert "Open: GPU Y" in " ".join(drawn["title"]["subtitle"])


def test_a_click_on_the_legend_filters():
    wide = {"y_low": 40.0, "y_high": 60.0}
    for frame in (TWO, points(("A", 1.0, 50.0, wide), ("B", 4.0, 60.0, wide))):
        drawn = tradeoff_chart(frame, LATENCY, ACCURACY).to_dict()
        compiled = vl_convert.vegalite_to_vega(drawn)
        (networks,) = [legend for legend in compiled["legends"] if "shape" in legend]
        assert networks["encode"]["entries"]["interactive"], "else no click reaches it"


def test_stale_points_are_crossed_and_keep_their_shape():
    frame = points(("A", 1.0, 1.0, {}), ("B", 2.0, 2.0, {"stale": True}))
    dots, crosses = layers(drawn := tradeoff_chart(frame, LATENCY, ACCURACY).to_dict(), "point")
    assert dots["encoding"]["shape"]["field"] == "variant"
    assert [row["variant"] for row in list_rows(drawn, crosses)] == ["B"]
    assert crosses["mark"]["shape"] == CROSS
    # One legend has the colours and shapes of the networks, another one the cross.
    legends = vl_convert.vegalite_to_vega(drawn)["legends"]
    assert [set(legend) & {"stroke", "shape"} for legend in legends if "shape" in legend] == [
        {"stroke", "shape"}
    ]


def test_ticks_are_plain_numbers():
    frame = points(("A", 1.0, 60.0, {}), ("B", 4.0, 100.0, {}))
    assert "e+" not in render_svg(tradeoff_chart(frame, LATENCY, ACCURACY))
