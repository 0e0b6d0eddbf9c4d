"""Recipes that differ in `vary`, trained on real digits: the tables of the spread over seeds."""

import pandas as pd
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def varied(fresh):
    quick = fresh.config["recipes"]["quick"]
    fresh.config["recipes"] |= {
        "init_only": {**quick, "vary": ["init"]},
        "order_only": {**quick, "vary": ["order"]},
    }
    fresh.config |= {
        "train": [
            {"dataset": "low", "recipe": name, "variants": ["A"]}
            for name in ("quick", "init_only", "order_only")
        ],
        "latency": [],
        "finetune": [],
        "claims": [],
        "seeds": [0, 1, 2],
        "tables": {},
    }
    return fresh


def test_sources_of_the_spread_and_the_test_sets_share(varied):
    varied.run()
    tables = varied.results / "tables"
    runs = pd.read_csv(tables / "runs.csv")
    accuracies = 100 * runs.set_index("recipe")["test_accuracy"]
    components = pd.read_csv(tables / "variance_components.csv").set_index("recipe")
    assert set(components.index) == {"quick", "init_only", "order_only"}
    halves = pd.read_csv(tables / "seeds_or_images.csv").set_index("recipe")
    stability = pd.read_csv(tables / "stability.csv").set_index("recipe")
    for recipe, values in accuracies.groupby(level=0):
        assert len(values) == 3
        for table in (components, halves):
            assert table.loc[recipe, "std_points"] == pytest.approx(values.std(), abs=1e-9)
        assert stability.loc[recipe, "accuracy_median_percent"] == pytest.approx(values.median())
    assert halves["num_images"].eq(runs["num_test"].iloc[0]).all()
    assert components["num_sources"].to_dict() == {"quick": 3, "init_only": 1, "order_only": 1}
