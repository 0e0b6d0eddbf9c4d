"""A study with teachers, and records whose accuracies are chosen."""

from pathlib import Path

from resnest_bench import records
from resnest_bench.files import write_text
from resnest_bench.results import StudyResults
from resnest_bench.specs import StudySpec, dump_study
from support.records_factory import CONFIG, make_record, make_study

QUICK = CONFIG["recipes"]["quick"]
RECIPES = {
    **CONFIG["recipes"],
    "taught": {**QUICK, "teacher": {"train": "low/quick", "variant": "T"}},
    "longer": {**QUICK, "epochs": 3, "teacher": {"train": "low/quick", "variant": "T"}},
}
ACCURACIES = {
    "quick": {"A": 0.60, "B": 0.70, "T": 0.80},
    "taught": {"A": 0.66},
    "longer": {"B": 0.5},
}


def taught_study(**changes) -> StudySpec:
    """A learns from T by `taught`, and B by `longer`, which no recipe without a teacher matches."""
    train = [
        {"dataset": "low", "recipe": "quick"},
        {"dataset": "low", "recipe": "taught", "variants": ["A"]},
        {"dataset": "low", "recipe": "longer", "variants": ["B"]},
    ]
    fields = {"recipes": RECIPES, "train": train, "latency": [], "finetune": [], "tables": {}}
    return make_study(**{**fields, **changes})


def write_taught(study: StudySpec, root: Path) -> StudyResults:
    """Records of all trainings but one; A gains 6 points in each of the others, and one more for each seed."""
    paths = study.paths(root)
    write_text(paths.study, dump_study(study))
    for job in study.jobs():
        accuracy = ACCURACIES[job.recipe][job.variant] + 0.01 * job.seed
        if job.recipe == "taught":
            if job.seed == 2:
                continue
            accuracy += 0.01 * job.seed
        records.write(paths.record(job), make_record(study, job, accuracy=accuracy))
    return StudyResults(study, paths)
