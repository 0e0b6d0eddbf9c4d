import json

import pandas as pd
import pytest
import vl_convert

from resnest_bench.charts import shared_domains, svg_text, tradeoff_chart
from resnest_bench.tables import metric_axis
from resnest_bench.tables.intervals import IMAGES, ROUNDS, SEEDS
from resnest_bench.tables.points import COLUMNS

LATENCY, ACCURACY = metric_axis("latency_p50_ms"), metric_axis("test_accuracy")
THROUGHPUT, LOSS = metric_axis("throughput_images_per_second"), metric_axis("test_loss")
DRIFT = metric_axis("reference_drift")


def points(*rows):
    """(variant, x, y) and more by name."""
    usual = {
        "family": "resnest", "setting": "", "num_params": 1e6, "device": "CPU X",
        "measured_in": "fp32", "x_low": None, "x_high": None, "x_about": "", "x_n": 1, "y_low": None,
        "y_high": None, "y_about": "", "y_n": 1, "memory_mib": 1.0, "noisy": False, "stale": False,
        "front": False, "front_probability": None, "front_reason": "", "status": "ok",
    }  # fmt: skip
    frame = pd.DataFrame(
        [{**usual, "variant": v, "x": x, "y": y, **more} for v, x, y, more in rows], columns=COLUMNS
    )
    return frame.astype(dict.fromkeys(("x", "y", "x_low", "x_high", "y_low", "y_high"), float))


TWO = points(("A", 1.0, 50.0, {}), ("B", 4.0, 60.0, {"front": True}))


def layers(drawn, mark):
    return [layer for layer in drawn["layer"] if layer["mark"]["type"] == mark]


def rows_of(drawn, layer):
    return drawn["datasets"][layer["data"]["name"]]


@pytest.mark.parametrize(
    ("x", "y", "reversed_x", "reversed_y"),
    [(LATENCY, ACCURACY, False, False), (THROUGHPUT, ACCURACY, True, False),
     (LATENCY, LOSS, False, True), (THROUGHPUT, LOSS, True, True), (DRIFT, DRIFT, False, False)],
)  # fmt: skip
def test_better_is_up_and_to_the_left(x, y, reversed_x, reversed_y):
    drawn = tradeoff_chart(TWO, x, y).to_dict()
    for layer in drawn["layer"]:
        assert layer["encoding"]["x"]["scale"]["reverse"] is reversed_x
        assert layer["encoding"]["y"]["scale"]["reverse"] is reversed_y
    says = "better" in drawn["layer"][-1]["encoding"]["x"]["title"]
    assert says is (x.better is not None)


def test_intervals_stay_within_what_a_value_can_be():
    frame = points(
        ("A", 2.0, 50.0, {"x_low": -1.0, "x_high": 5.0, "x_n": 2, "x_about": ROUNDS, "y_low": -20.0,
                          "y_high": 120.0, "y_about": SEEDS})
    )  # fmt: skip
    drawn = tradeoff_chart(frame, LATENCY, ACCURACY).to_dict()
    row = rows_of(drawn, layers(drawn, "point")[0])[0]
    assert (row["y_low"], row["y_high"]) == (0, 100)
    assert row["x_low"] > 0, "a log axis has no place for less"
    assert len(layers(drawn, "rule")) == 2
    assert "n = 2" in json.dumps(drawn["title"]["subtitle"])


def test_the_bar_of_one_network_is_dashed_and_said_to_be_binomial():
    ends = {"y_low": 45.0, "y_high": 55.0}
    frame = points(
        ("A", 2.0, 50.0, {**ends, "y_about": IMAGES}),
        ("B", 3.0, 51.0, {**ends, "y_about": SEEDS, "y_n": 3}),
    )
    drawn = tradeoff_chart(frame, LATENCY, ACCURACY).to_dict()
    bars = layers(drawn, "rule")[0]
    assert {row["variant"]: row["y_bar"] for row in rows_of(drawn, bars)} == {
        "A": "binomial, new test images", "B": "t, new seeds",
    }  # fmt: skip
    scale = bars["encoding"]["strokeDash"]["scale"]
    dashes = dict(zip(scale["domain"], scale["range"], strict=True))
    assert dashes["t, new seeds"] == [1, 0]
    assert dashes["binomial, new test images"] != [1, 0]
    said = " ".join(drawn["title"]["subtitle"])
    assert "Dashed, n=1: binomial" in said
    # The n of the t-intervals: A has none.
    assert "n = 3)" in said


def test_the_tooltip_says_how_sure_a_place_on_the_front_is():
    frame = points(
        ("A", 1.0, 50.0, {"front_probability": 0.613}), ("B", 2.0, 51.0, {"front_reason": "one seed"}),
    )  # fmt: skip
    drawn = tradeoff_chart(frame, LATENCY, ACCURACY).to_dict()
    dots = layers(drawn, "point")[0]
    said = {row["variant"]: row["probability"] for row in rows_of(drawn, dots)}
    assert said == {"A": "0.61", "B": "one seed"}
    titles = {tip.get("title"): tip["field"] for tip in dots["encoding"]["tooltip"]}
    assert titles["P(on the front)"] == "probability"


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
    assert rows_of(drawn, layers(drawn, "rule")[0]) == [{"limit": 2.5}]
    dots = layers(drawn, "point")[0]
    assert {r["variant"]: r["picked"] for r in rows_of(drawn, dots)} == {"A": False, "B": True}
    assert {param["name"] for param in drawn["params"]} == {"picked", "brush", "family"}
    still = tradeoff_chart(TWO, LATENCY, ACCURACY).to_dict()
    assert [(p["name"], p["bind"]) for p in still["params"]] == [("family", "legend")]


def test_panels_with_shared_domains_can_be_compared():
    other = points(("C", 40.0, 10.0, {}))
    x, y = shared_domains([TWO, other], LATENCY, ACCURACY, True, False)
    assert 0 < x[0] < 1
    assert x[1] > 40
    assert y[0] < 10
    assert y[1] > 60
    drawn = tradeoff_chart(other, LATENCY, ACCURACY, domains=(x, y)).to_dict()
    assert drawn["layer"][-1]["encoding"]["x"]["scale"]["domain"] == x


def test_an_interval_far_wider_than_all_differences_does_not_squeeze_the_points():
    frame = points(("A", 1.0, 50.0, {"y_low": 0.0, "y_high": 100.0}), ("B", 2.0, 51.0, {}))
    _, y = shared_domains([frame], LATENCY, ACCURACY, True, False)
    assert y[1] - y[0] < 5


def test_what_cannot_be_drawn_is_named():
    frame = points(("A", None, 50.0, {"status": "latency round 0 missing: x"}), ("B", 1.0, 2.0, {}))
    drawn = tradeoff_chart(frame, LATENCY, ACCURACY).to_dict()
    assert "Not drawn: A (latency round 0 missing: x)" in " ".join(drawn["title"]["subtitle"])
    nothing = tradeoff_chart(frame.head(1), LATENCY, ACCURACY).to_dict()
    assert "no data yet" in json.dumps(nothing)
    assert "no data yet" in json.dumps(tradeoff_chart(frame.head(0), LATENCY, ACCURACY).to_dict())


def test_families_have_colours_and_devices_win_over_them():
    frame = points(("A", 1.0, 1.0, {}), ("B", 2.0, 2.0, {"family": "vit"}))
    drawn = tradeoff_chart(frame, LATENCY, ACCURACY).to_dict()
    assert layers(drawn, "point")[0]["encoding"]["color"]["field"] == "family"
    frame = points(("A", 1.0, 1.0, {}), ("B", 2.0, 2.0, {"device": "GPU Y"}))
    drawn = tradeoff_chart(frame, LATENCY, ACCURACY).to_dict()
    assert layers(drawn, "point")[0]["encoding"]["color"]["field"] == "device"


def test_a_click_on_the_legend_filters():
    wide = {"y_low": 40.0, "y_high": 60.0}
    for frame in (TWO, points(("A", 1.0, 50.0, wide), ("B", 4.0, 60.0, wide))):
        drawn = tradeoff_chart(frame, LATENCY, ACCURACY).to_dict()
        compiled = vl_convert.vegalite_to_vega(drawn)
        legends = {legend["title"]: legend for legend in compiled["legends"]}
        assert legends["family"]["encode"]["entries"]["interactive"], "else no click reaches it"


def test_ticks_are_plain_numbers():
    frame = points(("A", 1.0, 60.0, {}), ("B", 4.0, 100.0, {}))
    assert "e+" not in svg_text(tradeoff_chart(frame, LATENCY, ACCURACY))
