"""Several looks at simulated studies: a few hundred of each, wide bounds, a fixed seed.

docs/simulations.md has the figures of 2,000. Each bound is three Monte Carlo standard errors beyond what
the rule is meant to keep.
"""

import importlib.util

import numpy as np
import pytest
from scipy.special import ndtri

from resnest_bench.digests import PACKAGE

FOLDER = PACKAGE.parents[1] / "benchmarks"
STUDIES = 400


@pytest.fixture(scope="module")
def adaptive():
    spec = importlib.util.spec_from_file_location("adaptive_error", FOLDER / "adaptive_error.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        spec.loader.exec_module(module)
        patch.setattr(module, "NUM_IMAGES", 300)
        yield module


@pytest.mark.parametrize(
    ("num_looks", "z", "level"), [(2, 2.178, 0.0294), (3, 2.289, 0.0221), (5, 2.413, 0.0158)]
)
def test_pococks_levels_are_the_published_ones(adaptive, num_looks, z, level):
    """Pocock 1977, table 1: looks after equal numbers of values, 5 % two-sided."""
    found = adaptive.pocock_level(0.05, tuple(range(1, num_looks + 1)))
    assert found == pytest.approx(level, abs=1e-4)
    assert -ndtri(found / 2) == pytest.approx(z, abs=2e-3)


def values(rows, figure):
    return {row["method"]: row["value"] for row in rows if row["figure"] == figure}


def test_looking_often_is_wrong_often_unless_it_is_allowed_for(adaptive):
    rows = adaptive.error_rows((3, 9, 2), 1.0, 0.0, STUDIES, np.random.default_rng(1))
    seen = values(rows, "any look, no image part")
    assert seen["used: O'Brien-Fleming"] <= 0.083
    assert seen["uncorrected (wrong)"] > 0.083


def test_five_claims_stay_at_the_level_with_looks(adaptive):
    rows = adaptive.family_rows((3, 9, 2), 1.0, STUDIES, np.random.default_rng(2))
    for row in rows:
        assert row["value"] <= 0.083


def test_adding_seeds_finds_more_and_intervals_cover_where_one_stops(adaptive):
    rows = adaptive.stopping_rows((3, 9, 2), 4.0, 1.0, STUDIES, np.random.default_rng(3))
    found, covered = values(rows, "found"), values(rows, "coverage where one stops")
    assert found["adaptive"] > found["seeds fixed at the first look's"] + 0.1
    assert found["adaptive"] <= found["seeds fixed at the most"]
    assert covered["repeated (used)"] >= 0.917
    assert values(rows, "mean n")["adaptive"] < 9


def test_new_seeds_for_the_noisier_side_find_more_early_and_err_no_more(adaptive):
    wrong = adaptive.allocation_rows((3, 9, 2), (1.0, 4.0), 0.0, STUDIES, np.random.default_rng(4))
    found = adaptive.allocation_rows((3, 9, 2), (1.0, 4.0), 0.9, STUDIES, np.random.default_rng(5))
    assert all(row["value"] <= 0.05 + 3 * row["error"] for row in wrong)
    seeds = {row["method"]: row["value"] for row in found if row["figure"] == "mean n"}
    assert seeds["noisier (used)"] < seeds["equal"]
