"""Every study under config/ is valid, can be built, and asks about networks that it has."""

from pathlib import Path

import pytest
import torch

from resnest_bench.cli.plan import Resources, check_study, describe_plan
from resnest_bench.measure.complexity import complexity, count_params
from resnest_bench.models import build_model, check_buildable, fit_to_image
from resnest_bench.specs import load_study
from resnest_bench.specs.ready_recipes import RECIPES

ROOT = Path(__file__).parents[3]
CONFIGS = [
    *sorted(ROOT.glob("config/**/config.yaml")),
    ROOT / "config/channels/eurosat.yaml",
    ROOT / "config/speedrun/cpu.yaml",
]
DIRECTIONS = ("attention", "kernels", "mobile", "distillation", "hybrid", "channels")


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
    assert {"lineage", *DIRECTIONS} <= names


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_shipped_study_can_be_run(path):
    study = load_study(path)
    for name in {job.variant for job in study.jobs()}:
        check_buildable(study.variant(name))


def test_every_claim_of_a_direction_asks_about_what_the_study_trains():
    for name in DIRECTIONS:
        study = load_study(ROOT / f"config/{name}/config.yaml")
        trained = {(j.dataset, j.recipe, j.variant) for j in study.jobs() if j.kind == "train"}
        first = study.train[0]
        for claim in study.claims:
            for side in claim.test.sides:
                variant, recipe = (
                    (side, None) if isinstance(side, str) else (side.variant, side.recipe)
                )
                recipe = recipe or claim.recipe or first.recipe
                assert (claim.dataset or first.dataset, recipe, variant) in trained, claim.name


def test_every_network_of_a_direction_is_asked_about():
    for name in DIRECTIONS:
        study = load_study(ROOT / f"config/{name}/config.yaml")
        trained = {job.variant for job in study.jobs() if job.kind == "train"}
        assert {v for claim in study.claims for v in claim.test.variants_named} == trained, name


@pytest.mark.parametrize("name", ["mobile", "hybrid"])
def test_networks_that_are_compared_at_equal_size_are_of_equal_size(name):
    """Else a claim at equal size would be untested: each network of `a` has a partner in `b`."""
    study = load_study(ROOT / f"config/{name}/config.yaml")
    for claim in study.claims:
        if claim.test.kind != "at_equal":
            continue
        sizes = {v: size(study.variant(v), claim.test.equal) for v in claim.test.variants_named}
        for one, others in ((claim.test.a, claim.test.b), (claim.test.b, claim.test.a)):
            for network in one:
                ratios = [sizes[network] / sizes[other] for other in others]
                near = [max(r, 1 / r) - 1 <= claim.test.within for r in ratios]
                assert any(near), (claim.name, network, ratios)


def size(variant, quantity):
    fitted, _ = fit_to_image(variant, 32)
    counts = complexity(build_model(fitted, 10), 32)
    return counts.num_params if quantity == "params" else counts.num_macs


def test_the_cpus_fast_recipes_are_the_ready_ones_in_bf16():
    recipes = load_study(ROOT / "config/speedrun/cpu.yaml").recipes
    bf16 = {"precision": "bf16"}
    assert recipes["fast_bf16"] == RECIPES["fast"].model_copy(update=bf16)
    assert recipes["fast_muon_bf16"] == RECIPES["fast_muon"].model_copy(update=bf16)
    ahead = {"lookahead_steps": 5}
    assert recipes["fast_lookahead_bf16"] == recipes["fast_bf16"].model_copy(update=ahead)


def test_kernels_differ_in_nothing_else():
    study = load_study(ROOT / "config/kernels/config.yaml")
    counts = {v.name: params(v) for v in study.variants}
    assert counts["selective-3-5"] == counts["radix-2-3x3"] == counts["radix-2-5x5"]
    assert counts["uniform-3-5"] == counts["radix-2-3x3-uniform"]


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
