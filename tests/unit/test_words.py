import pytest

from resnest_bench.words import count_noun, list_names


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["A"], "A"),
        (["A", "B"], "A, B"),
        (iter("ABC"), "A, B and 1 more"),
        (["A"] * 1500, "A, A and 1,498 more"),
    ],
)
def test_the_first_names_and_how_many_more(names, text):
    assert list_names(names, 2) == text


def test_names_may_be_joined_by_anything():
    assert list_names(["A", "B"], 3, "; ") == "A; B"
    assert list_names(["A", "B"], 1, "; ") == "A; and 1 more"


def test_one_pair_and_several():
    assert [count_noun(n, "pair") for n in (0, 1, 2, 1200)] == [
        "0 pairs",
        "1 pair",
        "2 pairs",
        "1,200 pairs",
    ]
