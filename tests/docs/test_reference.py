"""The shipped records are what their studies ask for now: none is stale, failed or invalid."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from resnest_bench.paths import StudyPaths
from resnest_bench.report.tables import write_tables
from resnest_bench.specs import load_study
from resnest_bench.status.outcomes import outcomes

REFERENCE = Path(__file__).parents[2] / "results/reference"
STUDIES = sorted(REFERENCE.glob("*/*/study.json"))


def test_there_are_shipped_studies():
    assert STUDIES


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.parent.name)
def test_a_shipped_record_is_current(path):
    found = outcomes(load_study(path), StudyPaths(path.parent))
    assert {str(o.job): o.reason for o in found if o.status not in ("ok", "missing")} == {}


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.parent.name)
def test_what_is_missing_is_said(path):
    found = outcomes(load_study(path), StudyPaths(path.parent))
    missing = {outcome.job.recipe for outcome in found if outcome.status == "missing"}
    text = (REFERENCE / "README.md").read_text()
    assert all(f"`{recipe}`" in text for recipe in missing)


def read_numbers(path):
    frame = pd.read_csv(path)
    return frame.select_dtypes(["number", "bool"]).reset_index(drop=True)


@pytest.mark.slow
@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.parent.name)
def test_the_records_give_the_shipped_tables(path, tmp_path):
    """Whoever changes how a figure is computed changes the shipped tables, in the same commit."""
    # Of a shipped run the code is its own: that is known by its place.
    folder = tmp_path / "reference" / "device" / path.parent.name
    shutil.copytree(path.parent / "records", folder / "records")
    write_tables(load_study(path), StudyPaths(folder))
    shipped = sorted((path.parent / "tables").glob("*.csv"))
    assert {file.name for file in shipped} == {f.name for f in (folder / "tables").glob("*.csv")}
    for file in shipped:
        made = read_numbers(folder / "tables" / file.name)
        # Another processor adds up in another order, and the mixed model's search then ends elsewhere:
        # 3e-9 between an AMD EPYC and an Intel Xeon.
        pd.testing.assert_frame_equal(made, read_numbers(file), rtol=1e-7, atol=0, obj=file.name)
