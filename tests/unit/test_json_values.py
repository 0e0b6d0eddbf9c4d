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
        ({"a": [1, {"b": float("nan")}]}, r"a\[1\].b: a number must be finite, but came nan"),
        ([MAX_INT + 1], r"\[0\]: a whole number is at most 2\^53 - 1"),
        ([-(10**5000)], r"\[0\]: a whole number is at most"),
        ({"a": "\0"}, "a: text must not contain NUL"),
        ({"a": "\udcff"}, "a: text must be whole characters"),
        ({"a": {1: 2}}, "a: a key must be text, but one is 1"),
        ({"\ud800": 2}, "the file: a key: text must be whole characters"),
        ({"a": {1, 2}}, "a: set is not read here: put it in quotes"),
        (nested(MAX_DEPTH + 1), "at most 30 levels deep are read"),
        (float("inf"), "the file: a number must be finite"),
    ],
)
def test_what_is_not_plain(value, message):
    with pytest.raises(ValueError, match=message):
        check_json_value(value)
