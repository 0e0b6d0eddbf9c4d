import json

import numpy as np
import pytest

from resnest_bench.charts import claim_chart
from resnest_bench.charts.claims import FRESH, LEAD, MAX_ROWS, STALE
from resnest_bench.charts.style import CONTINUED
from resnest_bench.claims.tables import comparisons_table
from support.claims_study import claim, claims_study, make_results, some_bits, timed, trained

CLAIMS = [
    claim("greater", name="several", a=["B", "Gone"], b=["A", "T"]),
    claim("greater", name="both", a=["B"], b=["A", "T"]),
    claim("equivalent", name="alike", a="A", b="T", margin=1),
    claim("equivalent", metric="latency", name="speed", a="A", b="B", margin=0.1, batch_size=8),
    claim("within", name="level", a="A", value=60.0, margin=2),
    claim("greater", metric="params", name="larger", a=["B"], b=["A"]),
    claim("greater", name="gone", a=["Gone"], b=["A"]),
    claim("monotone", name="nothing", factor="layers", direction="rising"),
]


@pytest.fixture(scope="module")
def draw():
    """The Vega-Lite spec of a claim's chart, by the claim's name."""
    rng = np.random.default_rng(5)
    bits = {name: some_bits(p, 1.0, rng) for name, p in (("A", 60), ("B", 72), ("T", 60))}
    study = claims_study(*CLAIMS)
    made = trained(study, bits, B={"num_params": 2000})
    made |= timed(study, {"A": [1.0, 1.1, 1.0], "B": [1.05, 1.1, 1.1]}, batch_size=8)
    table = comparisons_table(make_results(study, made))

    def spec(name, rows=None):
        rows = table[table["name"] == name] if rows is None else rows
        return claim_chart(rows, f"claim {name}").to_dict()

    spec.table = table
    return spec


def layer(spec, mark):
    return next(part for part in spec["layer"] if part["mark"]["type"] == mark)


def list_rows(spec, mark):
    return spec["datasets"][layer(spec, mark)["data"]["name"]]


def titles(spec):
    title = spec["title"]
    return " ".join([title["text"], *title["subtitle"]]).replace(CONTINUED, "")


def test_each_comparison_has_a_dot_an_interval_and_its_seeds(draw):
    spec = draw("several")
    dots = {row["comparison"]: row for row in list_rows(spec, "point")}
    assert set(dots) == {"B > A", "B > T"}
    bars = list_rows(spec, "rule")
    assert all(bar["from"] < dots[bar["label"]]["estimate"] < bar["to"] for bar in bars)
    assert len(list_rows(spec, "tick")) == 10
    assert "Not drawn: Gone > A, Gone > T (Gone is not in this study)" in titles(spec)
    assert "Synthetic low, 2,000 test images, on CPU Testium 3000" in titles(spec)
    assert "new seeds and new test images" in titles(spec)
    # A verdict hangs on one of them, and there is none yet.
    assert {row["look"] for row in dots.values()} == {FRESH}
    looks = sorted(row["look"] for row in list_rows(draw("both"), "point"))
    assert looks == sorted([FRESH, LEAD])


def test_the_band_is_what_the_claim_says(draw):
    above = list_rows(draw("several"), "rect")[0]
    x = layer(draw("several"), "rect")["encoding"]["x"]
    assert (above["from"], above["to"]) == (0.0, x["scale"]["domain"][1])
    alike = list_rows(draw("alike"), "rect")[0]
    assert (alike["from"], alike["to"]) == (-1.0, 1.0)
    level = list_rows(draw("level"), "rect")[0]
    assert (level["from"], level["to"]) == (58.0, 62.0)
    speed = list_rows(draw("speed"), "rect")[0]
    assert (speed["from"], speed["to"]) == pytest.approx((1 / 1.1, 1.1))


def test_a_latency_names_its_rounds_its_batch_and_its_device(draw):
    spec = draw("speed")
    assert "batch 8, on CPU Testium 3000" in titles(spec)
    assert "interval for new rounds, none" in titles(spec)
    assert layer(spec, "point")["encoding"]["x"]["title"] == "First over second (ratio)"


def test_counts_have_no_bar_and_say_so(draw):
    spec = draw("larger")
    assert "Counts have no error" in titles(spec)
    assert list_rows(spec, "tick") == []


@pytest.mark.parametrize(
    ("name", "said"),
    [("gone", "Gone is not in this study"), ("nothing", "There is nothing to compare")],
)
def test_without_a_figure_it_says_why(draw, name, said):
    spec = draw(name)
    assert spec["mark"]["text"] == "no data yet"
    assert said in titles(spec)


def test_of_many_comparisons_the_least_clear_are_drawn(draw):
    one = draw.table[draw.table["comparison"] == "B > A"].iloc[:1]
    many = one.loc[one.index.repeat(MAX_ROWS + 10)].reset_index(drop=True)
    many["comparison"] = [f"B{k} > A" for k in range(len(many))]
    many["p_for"] = np.linspace(1, 0, len(many))
    spec = draw("several", many)
    assert len(list_rows(spec, "point")) == MAX_ROWS
    assert f"The {MAX_ROWS} least clear of {MAX_ROWS + 10}" in titles(spec)
    assert "B49 > A" not in json.dumps(spec)


def test_stale_values_have_a_look_of_their_own(draw):
    rows = draw.table[draw.table["name"] == "both"].assign(stale=True)
    looks = [row["look"] for row in list_rows(draw("both", rows), "point")]
    assert sorted(looks) == sorted([FRESH + STALE, LEAD + STALE])
