import numpy as np
import pytest

from resnest_bench.comparisons.effects import effects_table, study_effects
from resnest_bench.frames.rows import build_runs
from resnest_bench.paths import Job
from resnest_bench.report.effects import effects_caption, effects_display, effects_notes
from resnest_bench.stats.mixed_model import FactorEffects
from support.claims_study import claims_study, make_outcomes
from support.records_factory import make_record

VARIANTS = [
    {
        "name": f"r{radix}{stem}",
        "family": "resnest",
        "layers": [1],
        "radix": radix,
        "width": 16,
        "stem": stem,
        **({"avg_down": False} if stem == "conv7" else {}),
    }
    for radix in (0, 1)
    for stem in ("conv7", "small")
]
RADIX, STEM = 2.0, 5.0


def build_study(**changes):
    names = [v["name"] for v in VARIANTS]
    fields = {
        "variants": VARIANTS,
        "latency": [],
        "finetune": [],
        "claims": [],
        "tables": {"ablation": {"variants": names}},
        "seeds": [0, 1, 2, 3],
    }
    return claims_study(**{**fields, **changes})


def runs_with(study, gain_of_recipe=0.0, spread=0.2):
    """Accuracies that are a sum of effects: radix 1 adds 2 points, the small stem 5."""
    rng = np.random.default_rng(0)
    made = {}
    for job in study.jobs():
        network = study.variant(job.variant)
        percent = 50 + RADIX * network.radix + STEM * (network.stem == "small") + job.seed
        percent += gain_of_recipe * (job.recipe != "quick") + rng.normal(0, spread)
        made[job] = make_record(study, job, accuracy=round(percent / 100, 3), num_test=1000)
    return build_runs(make_outcomes(study, made))


def effect(found, factor):
    return found.table[found.table["factor"] == factor].iloc[0]


def test_effects_that_add_up_are_found_in_points():
    study = build_study()
    found = study_effects(study, runs_with(study))
    assert isinstance(found, FactorEffects)
    radix, stem = effect(found, "radix"), effect(found, "stem")
    # Of 16 accuracies that scatter by 0.2 each, an effect is known to 0.1.
    assert radix["effect"] == pytest.approx(RADIX, abs=0.4)
    assert stem["effect"] == pytest.approx(STEM, abs=0.4)
    assert radix["low"] < radix["effect"] < radix["high"] < stem["low"]
    # The lowest level is the base, and conv7 is below small.
    assert stem["base_level"].startswith("conv7")
    assert stem["level"].startswith("small")
    assert any("layers" in note and "no effect" in note for note in effects_notes(found))
    assert "mixed linear model" in str(effects_caption(found))
    assert effects_display(found)["n"].tolist() == ["4"] * len(found.table)


def test_a_second_recipe_is_a_factor_too():
    recipe = {"epochs": 3, "batch_size": 8, "learning_rate": 0.1}
    study = build_study(
        recipes={
            "quick": {**recipe, "epochs": 2},
            "longer": recipe,
            "tune": {**recipe, "init": "pretrained"},
        },
        train=[{"dataset": "low", "recipe": "quick"}, {"dataset": "low", "recipe": "longer"}],
    )
    found = study_effects(study, runs_with(study, gain_of_recipe=3.0))
    row = effect(found, "recipe")
    assert (row["base_level"], row["level"]) == ("quick", "longer")
    assert row["effect"] == pytest.approx(3.0, abs=0.5)


def test_networks_of_other_families_are_named():
    timm = {"name": "T", "family": "timm", "model": "resnet18"}
    names = [v["name"] for v in VARIANTS] + ["T"]
    study = build_study(variants=[*VARIANTS, timm], tables={"ablation": {"variants": names}})
    found = study_effects(study, runs_with_timm(study))
    assert effects_notes(found)[0].endswith(": T.")


def runs_with_timm(study):
    made = {job: make_record(study, job, accuracy=0.5 + job.seed / 100) for job in study.jobs()}
    return build_runs(make_outcomes(study, made))


def test_without_seeds_or_trainings_it_says_why():
    study = build_study()
    one = {j: make_record(study, j) for j in study.jobs() if j.seed == 0}
    why = study_effects(study, build_runs(make_outcomes(study, one)))
    assert why == "fewer than two seeds have a result"
    assert not len(effects_table(why))
    assert not len(effects_display(why))
    assert why in str(effects_caption(why))
    assert effects_notes(why) == []


def test_nothing_that_varies_is_nothing_to_estimate():
    study = build_study(variants=VARIANTS[:1], tables={"ablation": {"variants": ["r0conv7"]}})
    assert "none of radix" in study_effects(study, runs_with(study))
    assert Job("train", "low", "quick", "r0conv7", 0) in study.jobs()


def test_lists_gates_and_channels_are_factors_where_they_vary():
    extra = [
        {**VARIANTS[3], "name": "even", "gate": "uniform"},
        {**VARIANTS[3], "name": "half", "channels": 0.5},
        {**VARIANTS[3], "name": "eca", "attention": "eca"},
    ]
    lists = [{**v, "layers": [1, 1]} for v in (*VARIANTS, *extra)]
    late = {**lists[3], "name": "late", "radix": [0, 1]}
    study = build_study(variants=[*lists, late], tables={})
    rng = np.random.default_rng(0)
    made = {
        job: make_record(study, job, accuracy=0.5 + rng.normal(0, 0.01), num_test=1000)
        for job in study.jobs()
    }
    table = study_effects(study, build_runs(make_outcomes(study, made))).table
    found = set(zip(table["factor"], table["level"], strict=True))
    assert found >= {("radix", "0-1"), ("gate", "attention"), ("channels", "1")}
    assert ("attention", "eca") in found
    whole = study_effects(build_study(), runs_with(build_study()))
    assert not any("channels" in note or "gate" in note for note in whole.notes)
