"""How a study's trainings share the cores of a machine without a GPU."""

from collections.abc import Sequence
from pathlib import Path

import torch

from resnest_bench.cli.launch import parse_cores
from resnest_bench.cli.todo import find_renamed, list_to_do, read_outcomes
from resnest_bench.errors import UserError
from resnest_bench.paths import TRAINING_KINDS, Job
from resnest_bench.planning.clock import Clock
from resnest_bench.planning.cores import (
    Choice,
    CoreUse,
    choose_core_use,
    find_threads,
    list_core_uses,
    measure_core_uses,
)
from resnest_bench.planning.datasets import inspect_dataset
from resnest_bench.planning.estimate import group_jobs
from resnest_bench.planning.worker import Answer
from resnest_bench.specs import StudySpec, load_study, study_with_trials


def choose_for_run(config: Path, options: Sequence[str]) -> tuple[Choice | None, list[str]]:
    """Choose how a run with these Snakemake options trains; also return further options for it.

    Returns (None, []) if there is nothing to choose: with one core, or with a GPU.
    """
    cores = parse_cores(options)
    if cores is None or torch.cuda.is_available():
        return None, []
    study = load_study(config)
    choice = choose_for_study(study, Path("results"), cores)
    return choice, choice.options(list_rules(study))


def list_rules(study: StudySpec) -> list[str]:
    """Return the names of the workflow's rules that train."""
    more = {"train_more": study.adaptive, "trial": study.search}
    return ["train", "finetune", *(rule for rule, used in more.items() if used)]


def choose_for_study(study: StudySpec, results: Path, cores: int) -> Choice:
    """Choose how the pending trainings of a study use `cores`, by a measurement if necessary."""
    paths = study.paths(results)
    study = study_with_trials(study, paths)
    outcomes = read_outcomes(study, paths)
    pending = list_to_do(outcomes, find_renamed(study, paths, outcomes))
    trainings = [job for job in pending if job.kind in TRAINING_KINDS]
    threads = find_threads(outcome.record for outcome in outcomes if outcome.record)
    return choose_for_jobs(study, trainings, cores, threads)


def choose_for_jobs(
    study: StudySpec, trainings: Sequence[Job], cores: int, threads: int | None
) -> Choice:
    """Choose how `trainings` use `cores`. `threads`: of the study's existing records, or None."""
    groups = list(group_jobs(trainings))

    def measure(ways: Sequence[CoreUse]) -> dict[CoreUse, Answer]:
        group = groups[0]
        data = inspect_dataset(study, group.dataset, Clock(torch.device("cpu")))
        return measure_core_uses(
            study.variant(group.variant), study.recipe(group.recipe, group.variant), data, ways
        )

    try:
        return choose_core_use(cores, len(groups), threads, measure)
    except UserError as error:
        default = list_core_uses(cores, len(groups))[0]
        return Choice(default, f"the alternatives could not be measured: {error}", {})
