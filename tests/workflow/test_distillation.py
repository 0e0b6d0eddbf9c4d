"""A teacher and its student through the workflow: which comes first, and what an edit reruns."""

import pandas as pd
import pytest

from resnest_bench import records
from resnest_bench.specs import load_study

pytestmark = pytest.mark.slow


@pytest.fixture
def taught(fresh):
    quick = fresh.config["recipes"]["quick"]
    fresh.config["recipes"]["taught"] = {
        **quick,
        "teacher": {"train": "low/quick", "variant": "B"},
    }
    # The student is asked for first.
    fresh.config |= {
        "train": [
            {"dataset": "low", "recipe": "taught", "variants": ["A"]},
            {"dataset": "low", "recipe": "quick"},
        ],
        "latency": [],
        "finetune": [],
        "claims": [],
        "seeds": [0, 1],
        "tables": {},
    }
    return fresh


def test_a_student_waits_for_its_teacher_and_follows_it(taught):
    taught.run()
    study = load_study(taught.results / "study.json")
    paths = study.paths(taught.folder / "results")
    for job in study.jobs():
        if (teacher := study.teacher_job(job)) is not None:
            student = records.read(paths.record(job), job).train
            source = records.read(paths.record(teacher), teacher).train
            assert student.teacher.sha256 == source.final_weights_sha256
    table = pd.read_csv(paths.tables / "distillation.csv")
    assert table[["variant", "teacher", "base_recipe", "gain_n"]].to_numpy().tolist() == [
        ["A", "B", "quick", 2]
    ]
    assert (paths.figures / "distillation.svg").exists()
    assert "Nothing to be done" in taught.run().stderr
    # The teacher alone has another network: with it the student is stale.
    taught.config["variants"][1]["width"] = 24
    taught.write()
    plan = taught.command("resnest-bench", "plan", "--no-cost", "--study", "config.yaml").stdout
    lines = [line for line in plan.splitlines() if "teacher.variant.width" in line]
    assert lines
    assert "A" in lines[0]
