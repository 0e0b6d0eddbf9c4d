"""Per-class figures against scikit-learn, and the mean and spread of a confusion matrix."""

import numpy as np
import pytest
from sklearn import metrics

from resnest_bench.stats.summary import FRACTION, summarise
from resnest_bench.tables.per_class import class_measures, confusion_table, per_class_table
from support.predicted_study import make_found


@pytest.mark.parametrize("seed", range(12))
def test_measures_equal_those_of_scikit_learn(seed):
    draw = np.random.default_rng(seed)
    num = 2 + seed % 5
    labels = np.concatenate([np.arange(num), draw.integers(0, num, 20)])
    # The last class is never predicted by half of them.
    predicted = draw.integers(0, num - seed % 2, (2, len(labels)))
    found = make_found({"A": predicted}, labels, tuple(map(str, range(num))))
    measures = class_measures(found.confusion("A"))
    for row in range(2):
        precision, recall, f1, _ = metrics.precision_recall_fscore_support(
            labels, predicted[row], labels=range(num), zero_division=0.0
        )
        np.testing.assert_allclose(measures["precision"][row], precision)
        np.testing.assert_allclose(measures["recall"][row], recall)
        np.testing.assert_allclose(measures["f1"][row], f1)


THREE = [
    [0, 0, 0, 0, 1, 1, 1, 1, 0, 2],
    [0, 0, 0, 1, 1, 1, 1, 0, 0, 2],
    [0, 0, 0, 0, 0, 1, 1, 1, 1, 2],
]


def test_a_row_for_each_class_with_its_interval_over_seeds():
    table = per_class_table(make_found({"A": THREE})).set_index("class")
    wanted = summarise([4 / 6, 3 / 6, 5 / 6], FRACTION)
    row = table.loc["a"]
    assert (row["num_images"], row["n"]) == (6, 3)
    assert row["recall_mean_percent"] == pytest.approx(100 * wanted.mean)
    assert row["recall_std_points"] == pytest.approx(100 * wanted.std)
    assert row["recall_low_percent"] == pytest.approx(100 * wanted.low)
    assert row["recall_high_percent"] == pytest.approx(100 * wanted.high)
    assert np.isnan(table.loc["c", "recall_low_percent"]), "all seeds are alike"
    two = per_class_table(make_found({"A": THREE[:2]}))
    assert two["recall_low_percent"].isna().all()
    one = per_class_table(make_found({"A": THREE[:1]}))
    assert one["recall_std_points"].isna().all()


def test_the_confusion_of_three_seeds():
    table = confusion_table(make_found({"A": THREE}))
    cell = table[(table["label"] == "a") & (table["predicted"] == "b")].iloc[0]
    assert cell["images_mean"] == 2
    assert cell["images_std"] == 1
    assert cell["share_mean_percent"] == pytest.approx(100 * 2 / 6)
    assert cell["share_std_points"] == pytest.approx(100 / 6)
    shares = table.groupby("label")["share_mean_percent"].sum()
    np.testing.assert_allclose(shares, 100)
    assert not ((table["label"] == "a") & (table["predicted"] == "c")).any(), "no seed has it"


def test_without_a_network_there_are_columns_alone():
    empty = make_found({})
    assert len(per_class_table(empty)) == len(confusion_table(empty)) == 0
    assert "recall_mean_percent" in per_class_table(empty)
