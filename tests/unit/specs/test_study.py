import copy

import pytest

from resnest_bench.errors import UserError
from resnest_bench.paths import Job
from resnest_bench.specs import dump_study, study_from_config

CONFIG = {
    "study": "s",
    "seeds": [0, 1],
    "variants": [
        {"name": "A", "family": "timm", "model": "resnet18"},
        {"name": "B", "family": "timm", "model": "resnet34", "note": "a note"},
    ],
    "datasets": {
        "digits": {"source": "digits"},
        "half": {"source": "digits", "classes": [0, 1, 2]},
    },
    "train": [{"dataset": "digits", "recipe": "smoke"}],
    "latency": [{"dataset": "digits", "variants": ["B"]}],
    "finetune": [
        {
            "dataset": "half",
            "recipes": ["paper_finetune", "from_scratch"],
            "weights": {"A": {"train": "digits/smoke"}},
        }
    ],
}


@pytest.fixture
def config():
    return copy.deepcopy(CONFIG)


def test_jobs_are_every_combination_that_is_asked_for(config):
    jobs = study_from_config(config, "c").jobs()
    expected = [Job("train", "digits", "smoke", v, s) for v in "AB" for s in (0, 1)]
    expected += [Job("latency", "digits", "default", "B", number) for number in range(8)]
    expected += [
        Job("finetune", "half", r, "A", s)
        for r in ("paper_finetune", "from_scratch")
        for s in (0, 1)
    ]
    assert jobs == expected


def test_a_fine_tuning_starts_from_the_same_seed_and_variant(config):
    study = study_from_config(config, "c")
    job = Job("finetune", "half", "paper_finetune", "A", 1)
    assert study.source_job(job) == Job("train", "digits", "smoke", "A", 1)
    assert study.weights(Job("finetune", "half", "from_scratch", "A", 1)) is None


@pytest.mark.parametrize(
    ("keep_weights", "kept", "required"),
    [(None, "AB", "A"), (True, "AB", "AB"), (False, "A", "A")],
)
def test_weights_are_required_where_a_fine_tuning_needs_them(config, keep_weights, kept, required):
    config["train"][0]["keep_weights"] = keep_weights
    study = study_from_config(config, "c")
    for name in "AB":
        job = Job("train", "digits", "smoke", name, 0)
        assert study.keeps_weights(job) == (name in kept)
        assert study.requires_weights(job) == (name in required)
    tuned = Job("finetune", "half", "from_scratch", "A", 0)
    assert study.keeps_weights(tuned)
    assert not study.requires_weights(tuned)
    assert not study.keeps_weights(Job("latency", "digits", "default", "B", 0))


def test_a_job_spec_holds_its_own_row_and_no_other(config):
    before = study_from_config(config, "c")
    config["variants"][1]["dropout"] = 0.5
    after = study_from_config(config, "c")
    of_a, of_b = (Job("train", "digits", "smoke", name, 0) for name in "AB")
    assert before.job_spec(of_a) == after.job_spec(of_a)
    assert before.job_spec(of_b) != after.job_spec(of_b)


def test_a_note_and_a_seed_change_no_spec(config):
    before = study_from_config(config, "c")
    config["variants"][1]["note"] = "another note"
    config["seeds"] = [0, 1, 2]
    after = study_from_config(config, "c")
    job = Job("train", "digits", "smoke", "B", 0)
    assert before.job_spec(job) == after.job_spec(job)


def test_a_fine_tunings_spec_follows_its_source(config):
    job = Job("finetune", "half", "paper_finetune", "A", 0)
    before = study_from_config(config, "c").job_spec(job)
    config["datasets"]["digits"]["classes"] = [0, 1, 2, 3]
    assert study_from_config(config, "c").job_spec(job) != before


def test_another_dataset_spec_has_another_folder(config):
    before = study_from_config(config, "c").prepared("digits")
    config["datasets"]["digits"]["classes"] = [0, 1]
    assert study_from_config(config, "c").prepared("digits") != before


def test_what_was_computed_of_a_study_goes_into_no_comparison_and_no_copy(config):
    study, fresh = study_from_config(config, "c"), study_from_config(config, "c")
    tuned = Job("finetune", "half", "paper_finetune", "A", 0)
    spec, digest, trained = study.job_spec(tuned), study.digest, study.jobs()[:4]
    assert study == fresh
    assert dump_study(study) == dump_study(fresh)
    copied = study.model_copy(update={"seeds": (5,), "variants": study.variants[:1]})
    assert copied.jobs()[0] == Job("train", "digits", "smoke", "A", 5)
    assert copied.digest != digest
    assert (study.digest, study.job_spec(tuned), study.jobs()[:4]) == (digest, spec, trained)


def test_the_list_of_jobs_is_the_callers_own(config):
    study = study_from_config(config, "c")
    study.jobs().clear()
    assert study.jobs()


TAUGHT = {"epochs": 1, "learning_rate": 0.1, "teacher": {"train": "digits/smoke", "variant": "A"}}


@pytest.fixture
def taught(config):
    """A by recipe smoke teaches B by recipe taught."""
    config["finetune"] = []
    config["recipes"] = {"taught": copy.deepcopy(TAUGHT)}
    config["train"].append({"dataset": "digits", "recipe": "taught", "variants": ["B"]})
    return config


def test_a_student_has_the_teacher_of_its_own_seed(taught):
    study = study_from_config(taught, "c")
    student, teacher = (
        Job("train", "digits", recipe, name, 1)
        for recipe, name in (("taught", "B"), ("smoke", "A"))
    )
    assert study.teacher_job(student) == teacher
    assert study.teacher_job(teacher) is None
    assert study.teacher_job(Job("latency", "digits", "default", "B", 0)) is None
    assert study.requires_weights(teacher)
    assert not study.requires_weights(student)
    assert study.job_spec(student)["teacher"] == study.job_spec(teacher)
    assert "teacher" not in study.job_spec(teacher)


@pytest.mark.parametrize(
    ("teacher", "words"),
    [
        ({"variant": "C"}, "unknown name 'C'"),
        ({"train": "digits/smok"}, "did you mean 'smoke'"),
        ({"train": "digits"}, "DATASET/RECIPE"),
        ({"train": "half/smoke"}, "student's dataset 'digits'"),
        ({"train": "digits/paper20"}, "no train block trains A on digits/paper20"),
        ({"train": "digits/taught", "variant": "B"}, "its own student"),
        ({"temperature": 0}, "greater than 0"),
        ({"weight": 1.5}, "at most 1|less than or equal to 1"),
        ({"wieght": 0.5}, "weight"),
    ],
)
def test_a_teacher_that_can_not_teach_is_refused(taught, teacher, words):
    taught["recipes"]["taught"]["teacher"] |= teacher
    with pytest.raises(UserError, match=words):
        study_from_config(taught, "c")


def test_teachers_that_teach_each_other_are_refused(taught):
    taught["recipes"]["back"] = {**TAUGHT, "teacher": {"train": "digits/taught", "variant": "B"}}
    taught["recipes"]["taught"]["teacher"]["train"] = "digits/back"
    taught["train"].append({"dataset": "digits", "recipe": "back", "variants": ["A"]})
    with pytest.raises(UserError, match="its own student"):
        study_from_config(taught, "c")


def test_a_fine_tuning_has_no_teacher(taught):
    taught["finetune"] = copy.deepcopy(CONFIG["finetune"])
    taught["finetune"][0]["recipes"] = ["taught"]
    with pytest.raises(UserError, match="which is for train blocks"):
        study_from_config(taught, "c")
