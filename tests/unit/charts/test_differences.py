import numpy as np
import pandas as pd

from resnest_bench.charts import effects_chart, pairs_chart, render_svg
from resnest_bench.charts.differences import MODEL, WELCH
from resnest_bench.comparisons.differences import DIFFERENCE_COLUMNS
from resnest_bench.stats.mixed_model import EFFECT_COLUMNS


def pair(variant, base, points, verdict, **fields):
    return {
        "metric": "accuracy",
        "variant": variant,
        "base": base,
        "difference_points": points,
        "verdict": verdict,
        "n": 5,
        "all_low_points": points - 1,
        "all_high_points": points + 1,
        "mean_better_all": 0.9,
        "all_holm_p": 0.01,
        "num_images": 1000,
        "stale": False,
        "dataset_label": "CIFAR-10",
        "recipe": "paper20",
        "status": "ok",
        **fields,
    }


def table(*rows):
    return pd.DataFrame(rows, columns=list(DIFFERENCE_COLUMNS)).astype(DIFFERENCE_COLUMNS)


EVERY = table(
    pair("B", "A", 2.5, "above"),
    pair("C", "A", 0.25, "not significant"),
    pair("C", "B", -2.25, "below"),
)


def mark_data(spec, mark):
    layer = next(part for part in spec["layer"] if part["mark"]["type"] == mark)
    return pd.DataFrame(spec["datasets"][layer.get("data", spec.get("data"))["name"]])


def test_the_triangle_shows_each_pair_once_and_the_best_first():
    # Of A, B and C, B is 2.5 above A and 2.25 above C, which is 0.25 above A.
    spec = pairs_chart(EVERY).to_dict()
    cells = mark_data(spec, "rect").set_index(["better", "worse"])
    assert cells["lead"].to_dict() == {("B", "A"): 2.5, ("C", "A"): 0.25, ("B", "C"): 2.25}
    assert cells.loc[("B", "C"), "text"] == "+2.2"
    assert cells.loc[("B", "C"), "verdict"] == "above"
    # The interval turns with the sides: -3.25 to -1.25 becomes 1.25 to 3.25.
    assert cells.loc[("B", "C"), ["low", "high"]].tolist() == [1.25, 3.25]
    order = spec["layer"][0]["encoding"]["y"]["sort"]
    assert order == ["B", "C", "A"]


def test_no_cell_is_blank_and_the_diagonal_has_groups_and_ranks():
    standings = pd.DataFrame(
        {
            "variant": ["B", "C", "A"],
            "groups": ["a", "b", "b"],
            "rank_low": [1, 2, 2],
            "rank_high": [1, 3, 3],
            "standing": ["best mean", "not the best", "not the best"],
        }
    )
    spec = pairs_chart(EVERY, standings).to_dict()
    texts = [part for part in spec["layer"] if part["mark"]["type"] == "text"]
    filters = [part["transform"][0]["filter"] for part in texts if "transform" in part]
    # What one layer of numbers leaves out, the other one has.
    assert len(filters) == 2
    assert str(filters[1]) in str(filters[0])
    last = texts[-1]
    diagonal = pd.DataFrame(spec["datasets"][last["data"]["name"]])
    assert diagonal["text"].tolist() == ["a\nrank 1", "b\nrank 2–3", "b\nrank 2–3"]


def test_another_measure_is_named_with_its_population():
    seeds = {"seeds_low_points": 1.5, "seeds_high_points": 3.5, "seeds_holm_p": 0.02}
    missing = dict.fromkeys(["all_low_points", "all_high_points", "all_holm_p"])
    scored = {"metric": "balanced_accuracy", **missing, **seeds}
    rows = table(pair("B", "A", 2.5, "above", **scored), pair("C", "A", 1.0, "below", **scored))
    spec = pairs_chart(rows).to_dict()
    bars = mark_data(spec, "point").set_index("variant")
    assert bars.loc["B", ["low", "high"]].tolist() == [1.5, 3.5]
    text = str(spec)
    assert "Balanced accuracy minus that of A" in text
    assert "new seeds on these test images" in text
    assert "new test images" not in text


def test_only_what_is_significant_is_filled():
    spec = pairs_chart(EVERY).to_dict()
    fill = spec["layer"][0]["encoding"]["fill"]
    assert fill["value"] == "transparent"
    condition = str(fill["condition"])
    assert "'above'" in condition
    assert "'below'" in condition
    assert "not significant" not in condition
    assert "over 3 pairs" in " ".join(spec["title"]["subtitle"])


def test_against_one_base_each_has_a_row_with_its_interval():
    rows = table(pair("B", "A", 2.5, "above"), pair("C", "A", 0.25, "not significant"))
    spec = pairs_chart(rows).to_dict()
    points = mark_data(spec, "point").set_index("variant")
    assert points.loc["B", ["low", "high"]].tolist() == [1.5, 3.5]
    colour = next(p for p in spec["layer"] if p["mark"]["type"] == "point")["encoding"]["color"]
    assert colour["scale"]["domain"] == ["above", "not significant"]
    assert render_svg(pairs_chart(rows))


def test_of_one_seed_the_interval_is_that_of_the_two_networks():
    row = pair(
        "B",
        "A",
        2.5,
        "above",
        n=1,
        all_low_points=np.nan,
        all_high_points=np.nan,
        networks_low_points=2.0,
        networks_high_points=3.0,
    )
    spec = pairs_chart(table(row)).to_dict()
    assert mark_data(spec, "point").loc[0, ["low", "high"]].tolist() == [2.0, 3.0]
    assert "these two networks" in " ".join(spec["title"]["subtitle"])


def test_without_a_difference_it_says_so():
    assert "no data yet" in str(pairs_chart(table()).to_dict())
    gap = table(pair("B", "A", np.nan, "not tested"))
    assert "no data yet" in str(pairs_chart(gap).to_dict())


def test_an_effect_has_both_of_its_intervals():
    row = {
        "factor": "radix",
        "base_level": "0",
        "level": "1",
        "effect": -2.0,
        "low": -3.0,
        "high": -1.0,
        "welch_low": -5.0,
        "welch_high": 1.0,
        "num_variants": 4,
        "reason": "",
    }
    unclear = {**row, "factor": "width", "effect": np.nan}
    effects = pd.DataFrame([row, unclear], columns=list(EFFECT_COLUMNS)).astype(EFFECT_COLUMNS)
    bars = mark_data(effects_chart(effects).to_dict(), "point").set_index("kind")
    assert bars.loc[MODEL, ["low", "high"]].tolist() == [-3.0, -1.0]
    assert bars.loc[WELCH, ["low", "high"]].tolist() == [-5.0, 1.0]
    assert "no data yet" in str(effects_chart(effects.iloc[1:]).to_dict())
