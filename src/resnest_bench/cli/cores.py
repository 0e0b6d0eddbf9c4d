"""How a study uses the cores that it is given, on a machine without a GPU."""

from collections.abc import Sequence
from pathlib import Path

import torch

from resnest_bench.cli.launch import parse_cores
from resnest_bench.cli.todo import find_renamed, list_to_do, read_outcomes
from resnest_bench.errors import UserError
from resnest_bench.paths import Job
from resnest_bench.planning.clock import Clock
from resnest_bench.planning.cores import (
    Choice,
    Work,
    choose_work,
    find_threads,
    list_ways,
    measure_ways,
)
from resnest_bench.planning.datasets import inspect_dataset
from resnest_bench.planning.estimate import group_jobs
from resnest_bench.planning.worker import Answer
from resnest_bench.specs import StudySpec, load_study, study_with_looks


def choose_for_run(config: Path, options: Sequence[str]) -> tuple[Choice | None, list[str]]:
    """How a run with these options trains, and what Snakemake is told; (None, []) to leave it be.

    Only several cores on this machine without a GPU are anything to choose about.
    """
    cores = parse_cores(options)
    if cores is None or torch.cuda.is_available():
        return None, []
    study = load_study(config)
    choice = choose_for_study(study, Path("results"), cores)
    return choice, choice.options(list_rules(study))


def list_rules(study: StudySpec) -> list[str]:
    """The workflow's rules that train."""
    return ["train", "finetune", *(["train_more"] if study.adaptive else [])]


def choose_for_study(study: StudySpec, results: Path, cores: int) -> Choice:
    """How what is to do of a study is trained with `cores`; measured where that decides."""
    paths = study.paths(results)
    study = study_with_looks(study, paths)
    found = read_outcomes(study, paths)
    todo = list_to_do(found, find_renamed(study, paths, found))
    trainings = [job for job in todo if job.kind != "latency"]
    threads = find_threads(outcome.record for outcome in found if outcome.record)
    return choose_for_jobs(study, trainings, cores, threads)


def choose_for_jobs(
    study: StudySpec, trainings: Sequence[Job], cores: int, threads: int | None
) -> Choice:
    groups = list(group_jobs(trainings))

    def measure(ways: Sequence[Work]) -> dict[Work, Answer]:
        group = groups[0]
        data = inspect_dataset(study, group.dataset, Clock(torch.device("cpu")))
        return measure_ways(study.variant(group.variant), study.recipe(group.recipe), data, ways)

    try:
        return choose_work(cores, len(groups), threads, measure)
    except UserError as error:
        usual = list_ways(cores, len(groups))[0]
        return Choice(usual, f"it could not be measured: {error}", {})
