import numpy as np
import pandas as pd

from resnest_bench.charts import claim_forests
from resnest_bench.claims.tables import CLAIM_COLUMNS, COMPARISON_COLUMNS
from resnest_bench.frames.typed import make_frame


def make_claims(*rows):
    names = ("name", "verdict", "unit", "estimate", "low", "high", "claimed_low", "claimed_high")
    made = [
        dict(zip(names, row, strict=True), comparison="B > A", claim="It is said") for row in rows
    ]
    return make_frame(made, CLAIM_COLUMNS), make_frame(made, COMPARISON_COLUMNS)


CLAIMS = make_claims(
    ("better", "supported", "points", 2.0, 1.0, 3.0, 0.0, np.inf),
    ("alike", "undecided", "points", 0.1, -1.5, 1.7, -1.0, 1.0),
    ("slower", "contradicted", "ratio", 0.8, 0.7, 0.9, 1.0, np.inf),
    ("gone", "untested", None, None, None, None, None, None),
)


def values(spec, mark, index=0):
    layers = [part for part in spec["layer"] if part["mark"]["type"] == mark]
    return pd.DataFrame(spec["datasets"][layers[index]["data"]["name"]])


def test_each_unit_has_a_plot_with_the_claims_that_have_a_measurement():
    found = {unit: chart.to_dict() for unit, chart in claim_forests(*CLAIMS).items()}
    assert list(found) == ["points", "ratio"]
    assert values(found["points"], "point")["name"].tolist() == ["better", "alike"]
    assert values(found["ratio"], "point")["name"].tolist() == ["slower"]


def test_limits_of_a_claim_are_marked_where_they_are_finite():
    spec = claim_forests(*CLAIMS)["points"].to_dict()
    edges = values(spec, "tick")
    assert sorted(zip(edges["name"], edges["edge"], strict=True)) == [
        ("alike", -1.0),
        ("alike", 1.0),
        ("better", 0.0),
    ]
    low, high = spec["layer"][0]["encoding"]["x"]["scale"]["domain"]
    bands = values(spec, "bar").set_index("name")
    assert bands.loc["better"].tolist() == [0.0, high]
    assert low < -1.5


def test_without_a_measurement_it_says_so():
    claims, hypotheses = make_claims(("gone", "untested", None, None, None, None, None, None))
    (chart,) = claim_forests(claims, hypotheses).values()
    assert "no data yet" in str(chart.to_dict())
