import numpy as np
import pytest

from resnest_bench.comparisons.image_outcomes import ImageOutcomes

# Four images; two seeds of A and one of B.
A = np.array([[1, 1, 0, 0], [1, 1, 1, 0]], dtype=bool)
B = np.array([[1, 0, 0, 1]], dtype=bool)


def make_outcomes(**fields):
    return ImageOutcomes({"A": A, "B": B}, {"A": (0, 1), "B": (0,)}, "f", "Some data", **fields)


LABELLED = {"classes": ("cat", "dog"), "labels_N": np.array([0, 0, 1, 1])}


def test_the_quadrants_are_means_over_all_pairs_of_seeds():
    found = make_outcomes(classes=()).quadrants().set_index("outcome")
    # Seed 0 of A: image 0 both, 1 only A, 2 neither, 3 only B. Seed 1 has image 2 as well.
    assert found["percent"].to_dict() == {
        "both right": 25.0,
        "only one": 37.5,
        "only other": 25.0,
        "both wrong": 12.5,
    }
    assert found.loc["only one", ["low_percent", "high_percent"]].tolist() == [25.0, 50.0]
    assert found["images"].sum() == pytest.approx(4)


def test_disputed_images_are_right_in_most_seeds_of_one_and_wrong_in_most_of_the_other():
    found = make_outcomes(**LABELLED)
    ours = found.disputed("A", "B")
    # Image 2 is right in one of two seeds of A: not in most.
    assert ours["image"].tolist() == [1]
    assert ours["class"].tolist() == ["cat"]
    assert ours[["right_seeds", "right_n", "wrong_seeds", "wrong_n"]].iloc[0].tolist() == [
        2,
        2,
        0,
        1,
    ]
    assert found.disputed("B", "A")["image"].tolist() == [3]


def test_without_labels_images_have_numbers_and_classes_no_rows():
    found = make_outcomes(classes=())
    assert found.disputed("A", "B")["class"].isna().all()
    assert not len(found.class_differences())


def test_a_mistake_is_what_most_wrong_seeds_say():
    predicted = {"A": np.array([[0, 0, 0, 0], [0, 0, 1, 0]]), "B": np.array([[0, 1, 0, 1]])}
    found = make_outcomes(**LABELLED, predicted=predicted)
    assert found.disputed("A", "B")["mistaken_for"].tolist() == ["dog"]
    assert found.disputed("B", "A")["mistaken_for"].tolist() == ["cat"]


def test_recalls_come_from_right_and_wrong_alone():
    rows = make_outcomes(**LABELLED).class_differences().set_index("class")
    # The common seed 0: of the cats A has both and B one; of the dogs A none and B one.
    assert rows["difference_points"].to_dict() == {"cat": 50.0, "dog": -50.0}
    assert rows["n"].tolist() == [1, 1]
