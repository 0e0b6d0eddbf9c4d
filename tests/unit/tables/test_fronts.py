import numpy as np
import pandas as pd
import pytest

from resnest_bench.tables.axes import metric_axis
from resnest_bench.tables.fronts import (
    describe_front,
    describe_front_probabilities,
    estimate_front_probabilities,
)

LATENCY, ACCURACY = metric_axis("latency_p50_ms"), metric_axis("test_accuracy")


def points(*rows):
    """(variant, on the front, probability) on one device, and more by name."""
    usual = {
        "device": "CPU X",
        "measured_in": "fp32",
        "x": 1.0,
        "y": 50.0,
        "front_y_n": 3,
        "front_x_n": 2,
        "front_reason": "",
    }
    return pd.DataFrame(
        [
            {**usual, "variant": v, "front": on, "front_probability": p, **more}
            for v, on, p, more in rows
        ]
    )


def notes(frame):
    return describe_front_probabilities(frame, LATENCY, ACCURACY)


def test_the_front_and_who_may_be_on_it_in_words():
    frame = points(
        ("A", True, 0.981, {}),
        ("B", True, 0.612, {}),
        ("C", False, 0.1, {}),
        ("D", False, 0.0999, {}),
        ("E", False, np.nan, {"x": np.nan}),
    )
    optimal, possible = describe_front(frame)
    # E was not timed: it is on no front, and not off it.
    assert "(2 of 4): A (0.98), B (0.61)." in optimal
    assert possible.endswith(": C (0.10).")
    (note,) = notes(frame)
    assert "new seeds and new rounds" in note
    assert "(test accuracy: 3 seeds; latency, p50: 2 rounds)" in note


def test_several_panels_have_a_probability_each():
    gpu = {"device": "GPU Y"}
    frame = points(("A", True, 0.9, {}), ("A", False, 0.3, gpu), ("B", True, 0.8, gpu))
    assert "(2 of 2): A (0.90), B (0.80)." in describe_front(frame)[0]
    # A is on one of the fronts: it isn't named twice.
    assert len(describe_front(frame)) == 1
    assert "each device and setting" in notes(frame)[0]
    assert "each device" not in notes(frame.iloc[1:])[0]
    frame = points(("A", True, 0.9, {}), ("A", True, 0.3, gpu), ("B", False, 0.8, gpu))
    assert describe_front(frame)[0].endswith("(1 of 2): A (0.90 / 0.30).")


def test_who_has_no_probability_is_named_with_the_reason():
    one = {"front_reason": "one seed"}
    frame = points(("A", True, 0.9, {}), ("B", True, np.nan, one), ("C", False, 0.2, {}))
    assert describe_front(frame)[0].endswith("(2 of 3): A (0.90), B.")
    _, gap, others = notes(frame)
    assert gap.endswith("for B: one seed.")
    assert "without" in others
    # Of all there is no need to name them.
    (everyone,) = notes(points(("A", True, np.nan, one), ("B", True, np.nan, one)))
    assert everyone.endswith(": one seed.")
    assert " B" not in everyone
    many = points(*((str(i), True, np.nan, {"front_reason": f"r{i}"}) for i in range(5)))
    assert "2 more reasons" in notes(many)[-1]
    assert len(notes(many)) == 4


def test_of_hundreds_a_dozen_are_named():
    frame = points(*((f"V{i}", True, 0.5, {}) for i in range(200)))
    assert describe_front(frame)[0].endswith("V11 (0.50) and 188 more.")


def test_without_a_front_there_is_nothing_to_say():
    frame = points(("A", False, np.nan, {}))
    assert (describe_front(frame), notes(frame)) == ([], [])
    assert describe_front(frame.iloc[:0]) == []


@pytest.mark.parametrize("count", [2, 2000])
def test_thousands_of_variants_have_probabilities(count):
    rng = np.random.default_rng(0)
    names = [f"V{i}" for i in range(count)]
    # The further down the list, the slower and the better, by far more than they vary: all are on it.
    order = np.arange(count, dtype=float)[:, None]
    values = [
        pd.DataFrame(100 + order + rng.normal(0, 1e-3, (count, 3)), index=names).rename_axis(
            "variant"
        )
        for _ in "xy"
    ]
    frame = points(*((name, True, np.nan, {}) for name in names))
    seen = estimate_front_probabilities(frame, LATENCY, ACCURACY, *values)
    # With three seeds a draw can be 0.5 off: t with two degrees of freedom has long tails.
    assert (seen["front_probability"] > 0.99).all()
    assert (seen[["front_y_n", "front_x_n"]] == 3).all(axis=None)
