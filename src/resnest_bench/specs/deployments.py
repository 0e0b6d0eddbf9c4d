"""The jobs of `deploy` blocks (floor 1)."""

from collections.abc import Iterable, Sequence
from typing import Any

from resnest_bench.paths import Job, name_deployment, split_deployment
from resnest_bench.specs.deploy import DeployBlock, is_int8

# (dataset, recipe, variant)
Trained = tuple[str, str, str]


def check_deploy(where: str, block: DeployBlock, trained: Iterable[Trained]) -> None:
    """Raise ValueError if no train block trains what a `deploy` block evaluates."""
    names = {name for *place, name in trained if place == [block.dataset, block.recipe]}
    what = f"{block.dataset}/{block.recipe}"
    if not names:
        raise ValueError(f"{where}: no train block trains on {what}: add one, or name another one")
    missing = [] if block.variants == "all" else [n for n in block.variants if n not in names]
    if missing:
        raise ValueError(
            f"{where}.variants: no train block trains {missing[0]} on {what}: add one, or remove the name"
        )


def list_deployments(
    blocks: Iterable[DeployBlock], trained: Iterable[Trained], seeds: Sequence[int]
) -> list[Job]:
    """Return the jobs of all blocks: one per training, seed and mode.

    Seeds that an adaptive study adds are left out: a difference of modes is one of the same weights, so
    that few seeds are enough.
    """
    return [
        Job("deploy", block.dataset, name_deployment(block.recipe, mode), name, seed)
        for block in blocks
        for mode in block.all_modes
        for dataset, recipe, name in trained
        if (dataset, recipe) == (block.dataset, block.recipe) and block.has_variant(name)
        for seed in seeds
    ]


def is_deployed(block: DeployBlock, training: Job) -> bool:
    """Return whether a block evaluates the weights of this training."""
    place = training.kind, training.dataset, training.recipe
    return block.has_variant(training.variant) and place == ("train", block.dataset, block.recipe)


def find_source(job: Job) -> Job:
    """Return the training whose weights a deployment takes."""
    recipe, _ = split_deployment(job.recipe)
    return Job("train", job.dataset, recipe, job.variant, job.seed)


def describe_deployment(blocks: Iterable[DeployBlock], job: Job) -> dict[str, Any]:
    """Return the mode of a job, and how many calibration images it takes: what its result depends on."""
    source = find_source(job)
    _, mode = split_deployment(job.recipe)
    block = next(b for b in blocks if is_deployed(b, source) and mode in b.all_modes)
    count = block.calibration_images if is_int8(mode) else 0
    return {"deploy": {"mode": mode, "calibration_images": count}}
