"""The adaptive block: which numbers of seeds are looked at, and what is refused at the door."""

import pytest

from resnest_bench.errors import UserError
from resnest_bench.paths import Job
from resnest_bench.specs import AdaptiveSpec, dump_study, load_study, study_from_config
from support.claims_study import claim, claims_study
from support.records_factory import CONFIG

GREATER = claim("greater", a=["B"], b=["A"])
FASTER = claim("greater", metric="latency", a=["B"], b=["A"])


@pytest.mark.parametrize(
    ("num_own", "most", "step", "schedule"),
    [(3, 9, 2, (3, 5, 7, 9)), (3, 8, 2, (3, 5, 7, 8)), (2, 3, 5, (2, 3)), (5, 15, 5, (5, 10, 15))],
)
def test_looks_are_planned_beforehand(num_own, most, step, schedule):
    assert AdaptiveSpec(max_seeds=most, step=step).schedule(num_own) == schedule


def test_added_seeds_are_the_smallest_that_are_free():
    spec = AdaptiveSpec(max_seeds=7, step=2)
    assert spec.order((0, 2, 7)) == (0, 2, 7, 1, 3, 4, 5)
    assert spec.order((0, 1)) == (0, 1, 2, 3, 4, 5, 6)
    assert spec.order((10, 11, 12)) == (10, 11, 12, 0, 1, 2, 3)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"adaptive": {"max_seeds": 5}}, "max_seeds must be more than the 5 seeds"),
        ({"adaptive": {"max_seeds": 9}, "seeds": [3]}, "needs 2 seeds at least"),
        ({"adaptive": {"max_seeds": 9}, "claims": [FASTER]}, "no such claim"),
        ({"adaptive": {"max_seeds": 9}, "claims": []}, "no such claim"),
        ({"adaptive": {"max_seeds": 9}, "train": [], "finetune": []}, "trains nothing"),
        ({"adaptive": {"max_seeds": 10**9}}, "adaptive.max_seeds.*1000"),
        ({"adaptive": {"max_seeds": 9, "step": 0}}, "adaptive.step"),
        ({"adaptive": {"max_seeds": 9, "budget_seeds": 0}}, "adaptive.budget_seeds"),
        ({"adaptive": {"max_seeds": 9, "budget_minutes": -1}}, "adaptive.budget_minutes"),
        ({"adaptive": {"max_seed": 9}}, "did you mean 'max_seeds'"),
    ],
)
def test_a_block_that_makes_no_sense_is_refused(changes, said):
    config = {**CONFIG, "seeds": [0, 1, 2, 3, 4], "claims": [GREATER], **changes}
    with pytest.raises(UserError, match=said):
        study_from_config(config, "config.yaml")


def test_a_study_without_the_block_is_as_before(tmp_path):
    study = claims_study(GREATER)
    text = dump_study(study)
    older = text.replace(' "adaptive": null,\n', "")
    assert older != text
    (tmp_path / "study.json").write_text(older)
    assert load_study(tmp_path / "study.json") == study


def test_more_seeds_stand_beside_the_variants_own():
    study = claims_study(GREATER, adaptive={"max_seeds": 7})
    more = study.with_seeds({("low", "quick", "B"): (5, 6)})
    added = [job for job in more.jobs() if job not in set(study.jobs())]
    assert added == [Job("train", "low", "quick", "B", seed) for seed in (5, 6)]
    place = more.jobs().index(added[0])
    assert more.jobs()[place - 1] == Job("train", "low", "quick", "B", 4)
    # What the config says is the same: only what is asked for differs.
    assert dump_study(more) == dump_study(study)
    assert len(study.jobs()) == len(more.jobs()) - 2
