import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from resnest_bench.stats.multiplicity import holm


def test_holms_p_values_by_hand_and_as_statsmodels_has_them():
    # Four tests at 0.01, 0.04, 0.03, 0.005: times 3, 1, 2, 4, never below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    p = np.random.default_rng(0).uniform(0, 0.3, (6, 9))
    expected = [multipletests(row, method="holm")[1] for row in p]
    assert holm(p) == pytest.approx(np.array(expected))


def test_what_has_no_p_value_is_no_part_of_the_family():
    seen = holm([0.01, np.nan, 0.04])
    assert seen[[0, 2]] == pytest.approx([0.02, 0.04])
    assert np.isnan(seen[1])
    assert np.isnan(holm([np.nan, np.nan])).all()
