"""Find the jobs that a command requests, and check whether this device can run them."""

from collections.abc import Sequence

import torch

from resnest_bench.errors import UserError
from resnest_bench.paths import Job
from resnest_bench.specs import RecipeSpec, StudySpec


def check_recipe(recipe: RecipeSpec, device: torch.device) -> None:
    """Raise UserError if this device can't run the recipe."""
    if recipe.mode == "cudagraph" and device.type != "cuda":
        raise UserError(
            "mode cudagraph needs an NVIDIA GPU, but this job runs on a CPU: choose auto, eager or compiled"
        )
    if recipe.precision == "tf32" and device.type != "cuda":
        raise UserError(
            "precision tf32 needs an NVIDIA GPU, but this job runs on a CPU: choose fp32 or bf16"
        )


def requested_jobs(
    study: StudySpec,
    kind: str,
    dataset: str,
    recipe: str,
    variant: str,
    seeds: Sequence[int] | None = None,
) -> list[Job]:
    """Return the jobs for `run_job`. Raises UserError if the study neither has a job nor may add it."""
    jobs = [Job(kind, dataset, recipe, variant, seed) for seed in seeds or study.seeds]
    if all(job in study.listed_trials for job in jobs):
        return jobs
    place = (kind, dataset, recipe, variant)
    if not any((j.kind, j.dataset, j.recipe, j.variant) == place for j in study.own_jobs()):
        raise UserError(f"study {study.study!r} has no job {jobs[0]}: see `resnest-bench plan`")
    adaptive = study.adaptive if kind == "train" else None
    allowed = adaptive.order(study.seeds) if adaptive else study.seeds
    for job in jobs:
        if job.seed not in allowed:
            raise UserError(
                f"seed {job.seed} is none of study {study.study!r}, whose seeds are "
                f"{', '.join(map(str, allowed))}: choose one of them, or list it under seeds (or, for a "
                "training, allow more under adaptive)"
            )
    return jobs
