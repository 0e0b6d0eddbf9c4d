"""Every study under config/ is valid, can be built, and asks about networks that it has."""

from pathlib import Path

import pytest
import torch

from resnest_bench.measure.complexity import count_params
from resnest_bench.models import build_model, check_buildable
from resnest_bench.specs import load_study

ROOT = Path(__file__).parents[3]
CONFIGS = sorted(ROOT.glob("config/**/config.yaml"))


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    """Paths in a config are relative to where the workflow is started."""
    monkeypatch.chdir(ROOT)


def params(variant):
    with torch.device("meta"):
        return count_params(build_model(variant, 10))


def test_there_are_the_papers_open_questions():
    names = {path.parent.name for path in CONFIGS}
    assert {"config", "demo", "subset", "hotdog", "protocol", "stem", "isoparams"} <= names


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.parent.name)
def test_a_shipped_study_can_be_run(path):
    study = load_study(path)
    for name in {job.variant for job in study.jobs()}:
        check_buildable(study.variant(name))


def test_isoparams_are_equal_within_what_it_says():
    study = load_study(ROOT / "config/isoparams/config.yaml")
    counts = [params(variant) for variant in study.variants]
    assert all(abs(count / 8_233_514 - 1) <= 0.025 for count in counts), counts
