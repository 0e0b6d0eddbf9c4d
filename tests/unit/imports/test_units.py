import pytest

from resnest_bench.errors import UserError
from resnest_bench.imports.units import Column, convert, parse_number, read_times, time_unit


def column(*cells, name="acc", delimiter=","):
    return Column(name, cells, lambda row: f"r.csv, line {row + 2}", delimiter)


@pytest.mark.parametrize(
    ("text", "delimiter", "value"),
    [
        ("81.2", ",", 81.2),
        (" 81.2 % ", ",", 81.2),
        ("", ",", None),
        ("1,013.01", ",", 1013.01),
        ("1,013", ",", 1013.0),
        ("81,2", ";", 81.2),
        ("1,013", ";", 1.013),
        ("-3e-2", ",", -0.03),
    ],
)
def test_a_number_in_a_cell(text, delimiter, value):
    assert parse_number(text, delimiter) == value


@pytest.mark.parametrize(
    "text", ["nan", "inf", "-Infinity", "x", "1_000", "81.2 ± 0.3", "0x10", "１x"]
)
def test_what_is_no_number(text):
    with pytest.raises(ValueError, match=r"number|spread"):
        parse_number(text)


@pytest.mark.parametrize(
    ("cells", "name", "stated", "unit", "first"),
    [
        (["0.93", "0.94"], "acc", None, "fraction", 0.93),
        (["93", "94.5"], "acc", None, "percent", 0.93),
        (["93%", "94%"], "acc", None, "percent", 0.93),
        (["0.5", "0.6"], "Acc (%)", None, "percent", 0.005),
        (["0.5", "0.6"], "acc", "percent", "percent", 0.005),
        (["0", "55"], "acc", None, "percent", 0.0),
        (["1", "1"], "acc", None, "fraction", 1.0),
    ],
)
def test_percent_or_fraction(cells, name, stated, unit, first):
    numbers = convert("test_accuracy", column(*cells, name=name), stated)
    assert numbers.unit == unit
    assert numbers.values[0] == pytest.approx(first)


@pytest.mark.parametrize(
    ("metric", "cells", "stated", "words"),
    [
        ("test_accuracy", ["0.93", "94"], None, "percent in every row"),
        ("test_accuracy", ["101"], None, "between 0 and 100"),
        ("test_accuracy", ["-1", "50"], None, "between 0 and 100"),
        ("test_accuracy", ["94"], "fraction", "between 0 and 1"),
        ("test_accuracy", ["94"], "ms", "percent, fraction"),
        ("test_accuracy", ["NaN"], None, "finite"),
        ("cohen_kappa", ["1.5"], None, "between -1 and 1"),
        ("brier_score", ["2.5"], None, "between 0 and 2"),
        ("test_loss", ["-0.1"], None, "at least 0"),
        ("test_loss", ["0.1"], "percent", "no choice"),
        ("num_params", ["5", "7"], None, "can't be known"),
    ],
)
def test_values_that_can_not_be(metric, cells, stated, words):
    with pytest.raises(UserError, match=words):
        convert(metric, column(*cells), stated)


@pytest.mark.parametrize(
    ("name", "cells", "stated", "value"),
    [
        ("params", ["25557032"], None, 25_557_032),
        ("param_count", ["25.56", "11.7"], None, 25_560_000),
        ("params_m", ["25"], None, 25_000_000),
        ("params", ["5"], "millions", 5_000_000),
        ("infer_gmacs", ["4.11"], None, 4_110_000_000),
    ],
)
def test_counts_in_their_units(name, cells, stated, value):
    metric = "num_macs" if "macs" in name else "num_params"
    assert convert(metric, column(*cells, name=name), stated).values[0] == value


@pytest.mark.parametrize(
    ("name", "unit"),
    [("latency_ms", "ms"), ("latency_s", "s"), ("p50_us", "us"), ("infer_step_time", "ms")],
)
def test_the_name_says_the_unit_of_a_time(name, unit):
    assert time_unit(name, None) == unit


def test_a_time_without_a_unit_asks():
    with pytest.raises(UserError, match="--unit latency=ms"):
        time_unit("latency", None)
    assert time_unit("latency", "s") == "s"


def test_times_become_milliseconds():
    assert read_times(column("0.004", "", "[0.001, 0.002]"), "s") == [
        [4.0],
        [],
        pytest.approx([1.0, 2.0]),
    ]
    for cell in ("0", "-1", "[1,", "[[1]]"):
        with pytest.raises(UserError):
            read_times(column(cell), "ms")
