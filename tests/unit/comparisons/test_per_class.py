"""Two networks class by class, and the images that they disagree on."""

import numpy as np
import pytest
from scipy import stats

from resnest_bench.comparisons import per_class
from resnest_bench.comparisons.per_class import (
    class_differences,
    count_disputed,
    disputed_images,
    make_class_tables,
)
from support.predicted_study import TEN_LABELS, make_found

RIGHT = TEN_LABELS.tolist()


def wrong_at(*images):
    """All right but these, which are taken for the next class."""
    return [(c + 1) % 3 if i in images else c for i, c in enumerate(RIGHT)]


FOUND = {
    "A": [wrong_at(0, 1), wrong_at(0, 1, 6), wrong_at(0, 2)],
    "B": [wrong_at(6), wrong_at(6, 7), wrong_at(6, 7, 1)],
    "C": [RIGHT],
}


def test_a_difference_in_recall_is_the_paired_t_of_each_class():
    table = class_differences(make_found(FOUND), [("B", "A")]).set_index("class")
    values = 100 * np.array([2 / 6, 2 / 6, 1 / 6])
    row = table.loc["a"]
    assert row["difference_points"] == pytest.approx(values.mean())
    assert row["std_points"] == pytest.approx(values.std(ddof=1))
    assert row["p"] == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    low, high = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
    assert (row["low_points"], row["high_points"]) == pytest.approx((low, high))
    smallest = table["p"].min()
    assert table["holm_p"].min() == pytest.approx(min(1, 3 * smallest))
    assert table.loc["c", "difference_points"] == 0
    assert table.loc["c", "p"] == 1, "the same in every seed"


def test_one_common_seed_gives_no_test():
    table = class_differences(make_found(FOUND), [("C", "A")])
    assert table["n"].eq(1).all()
    assert table["p"].isna().all()
    assert table["difference_points"].notna().all()
    assert (table["status"] != "ok").all()


def test_images_that_most_seeds_of_one_get_right_and_of_the_other_wrong():
    found = make_found(FOUND)
    names = [f"test/{i}.png" for i in range(10)]
    table = disputed_images(found, "A", "B", names)
    # A is right in 2 and 3 of 3 seeds, B in 3 and 2.
    assert table[["right", "image", "file"]].to_numpy().tolist() == [
        ["A", 6, "test/6.png"],
        ["A", 7, "test/7.png"],
        ["B", 0, "test/0.png"],
        ["B", 1, "test/1.png"],
    ]
    first = table[table["image"] == 0].iloc[0]
    assert (first["right"], first["class"], first["mistaken_for"]) == ("B", "a", "b")
    assert (first["right_seeds"], first["right_n"]) == (3, 3)
    assert (first["wrong_seeds"], first["wrong_n"]) == (0, 3)
    assert count_disputed(found, "A", "B") == 2
    assert disputed_images(found, "A", "B")["file"].isna().all()


def test_the_clearest_images_come_first_and_the_rest_is_cut(monkeypatch):
    monkeypatch.setattr(per_class, "MAX_IMAGES", 1)
    table = disputed_images(make_found(FOUND), "A", "B")
    assert table["image"].tolist() == [6, 0]


def test_networks_that_agree_dispute_nothing():
    assert len(disputed_images(make_found(FOUND | {"D": FOUND["A"]}), "A", "D")) == 0


def test_tables_of_no_predictions_are_empty():
    for tables in (make_class_tables(None), make_class_tables(make_found({}))):
        assert {name: len(table) for name, table in tables.items()} == {
            "per_class": 0,
            "confusion": 0,
            "class_differences": 0,
        }
