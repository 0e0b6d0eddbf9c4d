import json

import pandas as pd
import pytest

from resnest_bench.charts import ablation_chart, factor_chart
from resnest_bench.charts.ablation import PAPER
from resnest_bench.charts.factors import name_pair
from resnest_bench.charts.style import CONTINUED
from resnest_bench.comparisons.factors import factor_table
from resnest_bench.specs.tables import TableSpec
from resnest_bench.tables.variants import ablation_table
from support.paper_study import make_frames, paper_study, train_job, train_records

ACCURACIES = {
    "ResNet-14-0s1x64d": (0.59, 0.60, 0.58),
    "ResNet-14-1s1x64d": (0.60, 0.60, 0.60),
    "ResNeSt-14-0s1x64d": (0.62, 0.63, 0.64),
    "ResNeSt-14-1s1x64d": (0.61, 0.64, None),
    "ResNeSt-14-1s1x40d": (0.60, None, None),
}


@pytest.fixture
def study():
    return paper_study()


@pytest.fixture
def drawn(study):
    """The Vega-Lite spec of one factor's chart."""

    def make(factor, accuracies=ACCURACIES, stale=(), spec=None):
        runs, _ = make_frames(study, train_records(study, accuracies), stale)
        return factor_chart(factor_table(study, runs, spec), factor).to_dict()

    return make


def layer(spec, mark, index=0):
    """Rows and encoding of the layer with that mark."""
    found = [part for part in spec["layer"] if part["mark"]["type"] == mark][index]
    return spec["datasets"][found["data"]["name"]], found["encoding"]


def titles(spec):
    title = spec["title"]
    return " ".join([title["text"], *title["subtitle"]]).replace(CONTINUED, "")


def test_a_row_says_names_levels_and_what_is_held(drawn):
    spec = drawn("radix")
    _, encoding = layer(spec, "point")
    assert encoding["y"]["scale"]["domain"] == [
        "ResNet-14-0s1x64d → 1s1x64d\nradix 0 → 1\nheld fixed: ResNet-14, cardinality 1, width 64",
        "ResNeSt-14-0s1x64d → 1s1x64d\nradix 0 → 1\nheld fixed: ResNeSt-14, cardinality 1, width 64",
    ]
    assert layer(spec, "text")[0][0]["text"] == "n=3"
    assert "percentage points" in encoding["x"]["title"]


def test_dots_ticks_intervals_and_diamonds(drawn):
    spec = drawn("radix")
    marks, encoding = layer(spec, "point")
    points = {(row["variant"], row["figure"]): row["points"] for row in marks}
    # 60 - 59, 60 - 60, 60 - 58; printed 58.68 - 58.08 and 61.21 - 62.96.
    assert points == {
        ("ResNet-14-1s1x64d", "ours"): pytest.approx(1),
        ("ResNeSt-14-1s1x64d", "ours"): pytest.approx(0),
        ("ResNet-14-1s1x64d", PAPER): pytest.approx(0.60),
        ("ResNeSt-14-1s1x64d", PAPER): pytest.approx(-1.75),
    }
    assert encoding["shape"]["scale"] == {"domain": ["ours", PAPER], "range": ["circle", "diamond"]}
    assert encoding["fill"]["scale"]["range"][1] == "transparent"
    ticks, _ = layer(spec, "tick")
    seeds = [row["difference_points"] for row in ticks if row["label"].startswith("ResNet-14")]
    assert seeds == pytest.approx([1, 0, 2])
    intervals, encoding = layer(spec, "rule", index=1)
    assert encoding["x2"]["field"] == "high"
    # Standard deviation 1 and n=3: t(0.975, 2) = 4.302653.
    assert intervals[0]["high"] == pytest.approx(1 + 4.302653 / 3**0.5, rel=1e-6)


def test_the_zero_line_is_in_the_plot(drawn):
    accuracies = {"ResNet-14-0s1x64d": (0.5, 0.5), "ResNeSt-14-0s1x64d": (0.6, 0.601)}
    rows, encoding = layer(drawn("stem", accuracies), "rule")
    low, high = encoding["x"]["scale"]["domain"]
    assert rows == [{"zero": 0}]
    assert low < 0 < 10 < high


def test_the_plot_holds_the_whole_interval_of_three_seeds(drawn):
    accuracies = {"ResNet-14-0s1x64d": (0.50, 0.60, 0.60), "ResNeSt-14-0s1x64d": (0.60, 0.60, 0.60)}
    spec = drawn("stem", accuracies)
    # Differences 10, 0 and 0: the interval is 3.3 ± 14.3, all points lie in 0 to 10.
    low, high = layer(spec, "rule")[1]["x"]["scale"]["domain"]
    # t(0.975, 2) = 4.302653 times the standard deviation, 10 / sqrt(3), over sqrt(3).
    half = 4.302653 * 10 / 3
    assert low < 10 / 3 - half < 10 / 3 + half < high


def test_the_subtitle_says_data_recipe_device_and_that_the_paper_has_no_spread(drawn):
    text = titles(drawn("radix"))
    assert text.startswith("Radix")
    assert ": CIFAR-10" in text
    assert "Recipe paper20, 10,000 test images, on CPU Testium 3000" in text
    assert "without a spread" in text


def test_without_printed_values_no_legend_speaks_of_the_paper(drawn):
    spec = drawn("radix", spec=TableSpec(paper=False))
    assert "paper" not in json.dumps(spec).lower().replace("paper20", "")


def test_what_cannot_be_drawn_is_named(drawn):
    spec = drawn("radix")
    assert (
        "Not drawn: ResNeSt-14-0s1x64d → 2s1x64d (ResNeSt-14-2s1x64d: seeds 0, 1, 2 missing: no"
        in (titles(spec))
    )
    assert {row["variant"] for row in layer(spec, "point")[0]} == {
        "ResNet-14-1s1x64d",
        "ResNeSt-14-1s1x64d",
    }


def test_one_seed_is_a_dot_without_an_interval(drawn):
    spec = drawn("width")
    assert layer(spec, "text")[0] == [
        {
            "label": "ResNeSt-14-1s1x40d → 1s1x64d\nwidth 40 → 64\n"
            "held fixed: ResNeSt-14, radix 1, cardinality 1",
            "text": "n=1",
        },
    ]
    assert "low" not in json.dumps(spec["layer"][1].get("data", {}))
    empty = spec["layer"][1]["data"]
    assert spec["datasets"][empty["name"]] == []


def test_stale_dots_have_a_shape_of_their_own(drawn):
    stale = [train_job("ResNet-14-1s1x64d", seed) for seed in range(3)]
    marks, encoding = layer(drawn("radix", stale=stale), "point")
    figures = {row["variant"]: row["figure"] for row in marks if row["figure"] != PAPER}
    assert figures == {"ResNet-14-1s1x64d": "ours (stale)", "ResNeSt-14-1s1x64d": "ours"}
    assert encoding["shape"]["scale"]["range"] == ["circle", "cross", "diamond"]


@pytest.mark.parametrize("factor", ["radix", "layers"])
def test_without_a_value_the_chart_says_so(drawn, factor):
    assert "no data yet" in json.dumps(drawn(factor, {}))
    assert "no data yet" in json.dumps(factor_chart(pd.DataFrame(), factor).to_dict())


def test_names_share_what_they_start_with():
    assert name_pair("ResNeSt-14-1s1x64d", "ResNeSt-14-2s1x64d") == "ResNeSt-14-1s1x64d → 2s1x64d"
    assert name_pair("ResNeSt-14", "ResNeSt-50") == "ResNeSt-14 → 50"
    assert name_pair("ResNeSt-14-2s1x64d", "ResNeSt-50") == "ResNeSt-14-2s1x64d → ResNeSt-50"
    assert name_pair("A", "B") == "A → B"


def test_the_ablation_has_the_printed_accuracies_beside_ours(study):
    runs, cells = make_frames(study, train_records(study, ACCURACIES))
    spec = ablation_chart(ablation_table(study, runs, cells)).to_dict()
    marks, encoding = layer(spec, "point", index=1)
    printed = {row["variant"]: row["printed_accuracy_percent"] for row in marks}
    assert len(printed) == 7
    assert printed["ResNeSt-14-0s1x64d"] == 62.96
    assert encoding["shape"]["scale"] == {"domain": [PAPER], "range": ["diamond"]}
    ours, _ = layer(spec, "point")
    assert len(ours) == 5


def test_an_ablation_without_printed_values_has_no_diamonds(study):
    runs, cells = make_frames(study, train_records(study, ACCURACIES))
    table = ablation_table(study, runs, cells).drop(columns="printed_accuracy_percent")
    assert PAPER not in json.dumps(ablation_chart(table).to_dict())
