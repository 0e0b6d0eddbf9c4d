"""What may come in from a file, and what is refused with its place."""

import pytest

from resnest_bench.json_values import MAX_DEPTH, MAX_INT, check_json_value


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        MAX_INT,
        -MAX_INT,
        1.5,
        "",
        "é😀\n",
        [],
        {"a": [{"b": None}]},
        (1, 2),
        nested(MAX_DEPTH),
    ],
)
def test_plain_values(value):
    check_json_value(value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [1, {"b": float("nan")}]}, r"^a\[1\].b: .*finite.*nan"),
        ([MAX_INT + 1], r"^\[0\]: .*2\^53 - 1"),
        ([-(10**5000)], r"^\[0\]: .*2\^53 - 1"),
        ({"a": "\0"}, "^a: .*NUL"),
        ({"a": "\udcff"}, "^a: text .*surrogate"),
        ({"a": {1: 2}}, "^a: .*key .*1$"),
        ({"\ud800": 2}, "^the file: .*key.*surrogate"),
        ({"a": {1, 2}}, "^a: .*set .*quotes"),
        (nested(MAX_DEPTH + 1), "at most 30 levels"),
        (float("inf"), "^the file: .*finite"),
    ],
)
def test_what_is_not_plain(value, message):
    with pytest.raises(ValueError, match=message):
        check_json_value(value)
