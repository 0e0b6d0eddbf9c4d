"""Distillation: its loss against timm's, and a student that learns from a training of the study."""

import pytest
import torch
from timm.models import create_model
from timm.task import LogitDistillationTask
from torch import nn

from resnest_bench import records
from resnest_bench.data.batches import BatchLoader
from resnest_bench.errors import UserError
from resnest_bench.measure.evaluation import Evaluator
from resnest_bench.paths import Job
from resnest_bench.records import pack_bits
from resnest_bench.specs import RecipeSpec
from resnest_bench.training import jobs as jobs_module
from resnest_bench.training.execution import Execution
from resnest_bench.training.initial import build_teacher
from resnest_bench.training.jobs import run_job
from resnest_bench.training.losses import distillation_loss
from resnest_bench.training.step import make_step

CPU = torch.device("cpu")
EAGER = Execution("contiguous", "eager")
STUDENT = Job("train", "low", "taught", "B", 0)


def recipe(**teacher):
    teacher = {"train": "low/r", "variant": "A", **teacher}
    return RecipeSpec(epochs=1, batch_size=8, learning_rate=0.1, momentum=0, teacher=teacher)


@pytest.mark.parametrize(("weight", "temperature"), [(0.9, 4.0), (0.3, 1.0), (1.0, 2.5)])
def test_the_loss_is_timms(weight, temperature):
    """With both networks normalised alike, as in a study."""
    torch.manual_seed(0)
    student, teacher = (create_model("resnet10t", num_classes=5).eval() for _ in range(2))
    task = LogitDistillationTask(
        student,
        teacher,
        criterion=nn.CrossEntropyLoss(),
        task_loss_weight=1 - weight,
        temperature=temperature,
        device=CPU,
        verbose=False,
    ).eval()
    images, labels = torch.randn(6, 3, 32, 32), torch.arange(6) % 5
    wanted = task(images, labels)["loss"]
    step = make_step(
        student, recipe(weight=weight, temperature=temperature), CPU, EAGER, teacher=teacher
    )
    assert step._loss(images, student(images), labels).item() == pytest.approx(
        wanted.item(), rel=1e-4
    )


def test_a_student_that_agrees_has_no_loss_of_the_teacher():
    logits = torch.randn(4, 3)
    assert distillation_loss(logits, logits.clone(), 3.0).item() == pytest.approx(0, abs=1e-6)


def test_a_step_learns_from_the_teacher_and_leaves_it_as_it_is():
    torch.manual_seed(0)
    student, teacher = (nn.Sequential(nn.Flatten(), nn.Linear(12, 3)) for _ in range(2))
    for network in (student, teacher):
        network.get_classifier = lambda network=network: network[1]
    before = [p.detach().clone() for p in teacher.parameters()]
    step = make_step(student, recipe(weight=1.0), CPU, EAGER, teacher=teacher)
    images, labels = torch.randn(8, 3, 2, 2), torch.zeros(8, dtype=torch.int64)

    def distance():
        with torch.no_grad():
            return distillation_loss(student(images), teacher(images), 4.0).item()

    far = distance()
    for _ in range(50):
        step(images, labels, 0.1, 0)
    assert distance() < 0.5 * far
    assert all(torch.equal(old, new) for old, new in zip(before, teacher.parameters(), strict=True))


@pytest.fixture
def taught(config):
    """Of the config: A is trained by recipe r, and teaches B by recipe taught."""
    config["seeds"] = [0]
    config["finetune"] = []
    config["recipes"]["taught"] = {
        **config["recipes"]["r"],
        "epochs": 2,
        "teacher": {"train": "low/r", "variant": "A"},
    }
    config["train"] = [
        {"dataset": "low", "recipe": "r", "variants": ["A"]},
        {"dataset": "low", "recipe": "taught", "variants": ["B"]},
    ]
    return config


def test_a_student_of_a_study(taught, make_study, tmp_path):
    study, paths = make_study(taught), make_study(taught).paths(tmp_path)
    (teacher,) = run_job(study, "train", "low", "r", "A", CPU, tmp_path)
    (student,) = run_job(study, "train", "low", "taught", "B", CPU, tmp_path)
    assert student.train.teacher.sha256 == teacher.train.final_weights_sha256
    assert student.spec["teacher"] == teacher.spec
    assert teacher.train.teacher is None
    assert records.read(paths.record(STUDENT), STUDENT) == student
    # The labels alone give another network.
    taught["recipes"]["alone"] = {
        key: value for key, value in taught["recipes"]["taught"].items() if key != "teacher"
    }
    taught["train"].append({"dataset": "low", "recipe": "alone", "variants": ["B"]})
    (alone,) = run_job(make_study(taught), "train", "low", "alone", "B", CPU, tmp_path)
    losses = [r.train.epochs[-1].test_loss for r in (student, alone)]
    assert losses[0] != losses[1]


def test_the_teacher_answers_as_it_did_at_the_end_of_its_training(taught, make_context):
    context = make_context(taught)
    teacher_job = context.study.teacher_job(STUDENT)
    record = jobs_module.run_seed(context, teacher_job)
    records.write(context.paths.record(teacher_job), record)
    teacher, seen = build_teacher(context.study, STUDENT, context.paths, 3, 32)
    testing = BatchLoader(context.data.test, context.data.meta, None, CPU)
    found = Evaluator(teacher)(testing.iterate_eval(500))
    assert pack_bits(found.correct) == record.train.test_correct
    assert found.loss == pytest.approx(record.train.epochs[-1].test_loss, rel=1e-5)
    assert seen.sha256 == record.train.final_weights_sha256


def test_a_renamed_teacher_teaches_the_same(taught, make_study, tmp_path, monkeypatch):
    for asked in (("r", "A"), ("taught", "B")):
        before = run_job(make_study(taught), "train", "low", *asked, CPU, tmp_path)
    monkeypatch.setattr(jobs_module, "_train", lambda *_: pytest.fail("trained again"))
    taught["variants"][0]["name"] = "Z"
    taught["recipes"]["taught"]["teacher"]["variant"] = "Z"
    taught["train"][0]["variants"] = ["Z"]
    study = make_study(taught)
    run_job(study, "train", "low", "r", "Z", CPU, tmp_path)
    after = run_job(study, "train", "low", "taught", "B", CPU, tmp_path)
    assert [r.train for r in after] == [r.train for r in before]


def test_a_teacher_without_its_weights(taught, make_study, tmp_path):
    study = make_study(taught)
    run_job(study, "train", "low", "r", "A", CPU, tmp_path)
    study.paths(tmp_path).weights(study.teacher_job(STUDENT)).unlink()
    with pytest.raises(UserError, match=r"weights/low/r/A/seed-0\.safetensors"):
        run_job(study, "train", "low", "taught", "B", CPU, tmp_path)
