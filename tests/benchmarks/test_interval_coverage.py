"""A few hundred simulated studies of the main methods: wide bounds, a fixed seed, seconds.

docs/simulations.md has the figures of 2,000. Each bound is three Monte Carlo standard errors beyond what
the method is meant to keep.
"""

import importlib.util
import json
import sys

import numpy as np
import pytest

from resnest_bench.digests import PACKAGE

FOLDER = PACKAGE.parents[1] / "benchmarks"
STUDIES = 400


@pytest.fixture(scope="module")
def coverage():
    # Not by its name alone: there is a package on PyPI that is called so.
    spec = importlib.util.spec_from_file_location(
        "simulated_coverage", FOLDER / "interval_coverage.py"
    )
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        spec.loader.exec_module(module)
        # The bootstrap takes most of the time, and no table uses it.
        patch.setattr("interval_simulations.BOOTSTRAPS", 0)
        yield module


def values(rows, figure):
    """Method to value, of one figure."""
    return {row["method"]: row["value"] for row in rows if row["figure"] == figure}


@pytest.fixture(scope="module")
def rng():
    return lambda: np.random.default_rng(2024)


@pytest.mark.parametrize("n", [3, 5])
def test_intervals_cover_what_they_say(coverage, rng, n):
    setting = coverage.Setting(n, 1000, 1.0)
    seen = values(coverage.accuracy_rows(setting, STUDIES, rng()), "coverage")
    used = {k: v for k, v in seen.items() if "wrong" not in k and "not used" not in k}
    assert len(used) == 6
    # 93-97 %, and three standard errors of 1.1 % beyond.
    assert all(0.917 <= value <= 0.99 for value in used.values()), used
    # What the interval over seeds alone is not: an interval for new images.
    assert seen["variant, all: t over seeds alone (wrong)"] < 0.93


def test_near_a_bound_the_interval_used_covers_and_stays_inside(coverage, rng):
    for rows in (
        coverage.bounded_accuracy_rows(3, 0.99, 1000, STUDIES, rng()),
        coverage.bounded_latency_rows(3, 0.3, STUDIES, rng()),
    ):
        used = "t on the bounded scale, by the delta method (used)"
        assert 0.917 <= values(rows, "coverage")[used] <= 0.99
        assert values(rows, "leaves the bounds")[used] == 0
        assert values(rows, "leaves the bounds")["plain t (not used)"] > 0.05


def test_one_seed_speaks_of_one_network(coverage, rng):
    rows = coverage.one_seed_rows(1000, 1.0, STUDIES, rng())
    seen = values(rows, "coverage")
    assert 0.917 <= seen["network, images: Wilson"] <= 0.983
    assert 0.917 <= seen["pair, networks: Bonett and Price"] <= 0.983
    assert seen["pair, all: Bonett and Price (wrong)"] < 0.92
    same = values(coverage.one_seed_rows(1000, 0.0, STUDIES, rng()), "false positives")
    assert same["McNemar"] <= 0.083


def test_holm_keeps_the_rate_of_any_false_positive(coverage, rng):
    seen = values(coverage.family_rows(coverage.Setting(3, 500, 1.0), STUDIES, rng()), "any of six")
    assert max(seen["Holm, all"], seen["Holm, seeds"]) <= 0.083
    assert min(seen["uncorrected, all"], seen["uncorrected, seeds"]) > 0.10


def test_latencies_and_their_noise_floor(coverage, rng):
    rows = coverage.latency_rows(3, STUDIES, rng())
    assert all(0.917 <= value <= 0.983 for value in values(rows, "coverage").values())
    assert max(values(rows, "false alarms").values()) <= 0.083


def test_what_is_said_to_be_probable_is_true_as_often(coverage, rng):
    rows = coverage.probability_rows(5, 1.0, STUDIES, rng())
    rows += coverage.front_rows(5, 3.0, STUDIES // 2, rng())
    sure = [r for r in rows if "95-99" in r["figure"] and "not used" not in r["method"]]
    assert len(sure) == 4
    assert all(r["value"] > r["said"] - 3 * max(r["error"], 0.02) for r in sure), sure


def test_effects_and_power(coverage, rng):
    seen = values(coverage.effect_rows(3, 1.0, 60, rng()), "coverage, all effects")
    assert all(0.90 <= value <= 0.99 for value in seen.values()), seen
    found = values(
        coverage.power_rows(3, STUDIES, rng()), "power at the minimum detectable difference"
    )
    assert all(0.74 <= value <= 0.86 for value in found.values()), found


def test_the_report_is_a_table_a_section_and_a_file(coverage, monkeypatch, capsys, tmp_path):
    out = tmp_path / "coverage.json"
    monkeypatch.setattr(
        sys, "argv", ["coverage.py", "--studies", "20", "--only", "power", "--out", str(out)]
    )
    coverage.main()
    printed = capsys.readouterr().out
    assert "### power" in printed
    assert "| method | figure | n = 3 | n = 5 | n = 10 |" in printed
    rows = json.loads(out.read_text())["rows"]
    assert {row["section"] for row in rows} == {"power"}
    assert all(set(row) >= {"method", "value", "error", "studies"} for row in rows)


def test_the_bootstrap_draws_whole_images(benchmark_module):
    simulations = benchmark_module("interval_simulations")
    # One seed: nothing but images. The binomial error of 0.62 on 400 images is 0.02427.
    bits = (np.arange(400) < 248)[None]
    seen = simulations.crossed_bootstrap(bits, 4000, np.random.default_rng(0))
    assert (seen.high - seen.low) / 2 == pytest.approx(1.96 * 0.02427, rel=0.06)
    # Two seeds and images that are all alike: the means of two seeds drawn from two.
    bits = np.array([[1] * 50, [0] * 50])
    seen = simulations.crossed_bootstrap(bits, 1000, np.random.default_rng(0))
    assert (seen.low, seen.estimate, seen.high) == (0, 0.5, 1)
