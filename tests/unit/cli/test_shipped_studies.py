"""Every study under config/ is valid, can be built, and asks about networks that it has."""

from pathlib import Path

import pytest
import torch

from resnest_bench.cli.plan import Resources, check_study, describe_plan
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
    assert "lineage" in names


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.parent.name)
def test_a_shipped_study_can_be_run(path):
    study = load_study(path)
    for name in {job.variant for job in study.jobs()}:
        check_buildable(study.variant(name))


def test_isoparams_are_equal_within_what_it_says():
    study = load_study(ROOT / "config/isoparams/config.yaml")
    counts = [params(variant) for variant in study.variants]
    assert all(abs(count / 8_233_514 - 1) <= 0.025 for count in counts), counts


@pytest.mark.slow
def test_the_lineage_asks_about_every_network_of_it(tmp_path):
    study = load_study(ROOT / "config/lineage/config.yaml")
    check_study(study, tmp_path)
    assert "Untested" not in describe_plan(study, tmp_path, Resources("cpu"), cost=False)
    asked = {name for claim in study.claims for name in claim.test.variants_named}
    assert asked == set(study.variant_names)
    trained = {job.variant for job in study.jobs() if job.kind == "train"}
    timed = {job.variant for job in study.jobs() if job.kind == "latency"}
    assert trained == timed == asked


def test_the_lineages_50_layers_are_alike_in_size():
    """So that a claim about two of them is not one about parameters; the papers print 25 to 27.6
    million with 1,000 classes."""
    study = load_study(ROOT / "config/lineage/config.yaml")
    counts = [params(v) for v in study.variants if v.name.endswith("-50")]
    assert len(counts) == 5
    assert max(counts) / min(counts) < 1.15


def test_the_search_gives_each_family_the_same_budget_and_asks_about_its_finalists(tmp_path):
    study = load_study(ROOT / "config/search/config.yaml")
    text = describe_plan(study, tmp_path, Resources("cpu"), cost=False)
    assert "ResNeSt-14 20, ResNet-18 20, EfficientNet-b0 20" in text
    assert "15 trainings confirm" in text
    assert "Untested" not in text
    asked = {name for claim in study.claims for name in claim.test.variants_named}
    assert asked == {*study.search.list_finalists(), "EfficientNet-b0"}
    assert not set(study.seeds) & {study.search.seed}
