"""What the seeds of a job have in common: data, device, checkpoints, and how steps are run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.progress import Progress as Bars
from torch import nn

from resnest_bench.data import PreparedDataset
from resnest_bench.device.memory import free_memory
from resnest_bench.device.threads import count_threads, keep_threads
from resnest_bench.digests import code_digest, json_digest
from resnest_bench.measure.identity import now
from resnest_bench.paths import Job, StudyPaths
from resnest_bench.records.observations import (
    Environment,
    EpochObservation,
    ExecutionObservation,
    JobIdentity,
)
from resnest_bench.records.progress import LiveProgress, write_progress
from resnest_bench.specs import StudySpec
from resnest_bench.status.changes import normalise_spec
from resnest_bench.training.checkpoints import Checkpoint
from resnest_bench.training.execution import choose, decided, probe_batch, share_recipe
from resnest_bench.training.helpers import Helpers
from resnest_bench.training.step import probe_steps


@dataclass(frozen=True)
class Context:
    """What all seeds of a job have in common."""

    study: StudySpec
    paths: StudyPaths
    data: PreparedDataset
    device: torch.device
    environment: Environment
    bars: Bars | None = None
    # This process, of those that share each batch.
    rank: int = 0
    num_processes: int = 1
    # Starts the other processes; None if there are none, and in these.
    helpers: Helpers | None = None


def open_checkpoint(context: Context, job: Job) -> Checkpoint:
    """Open the checkpoint, whose key has everything that affects the result: spec, code, data, device type."""
    key = json_digest(
        {
            "kind": job.kind,
            "names": [job.dataset, job.recipe, job.variant],
            "spec": normalise_spec(context.study.job_spec(job)),
            "code": code_digest(job.kind),
            "data": context.data.meta.fingerprint,
            "device": context.device.type,
        }
    )
    return Checkpoint(context.paths.checkpoint(key, job.seed))


def choose_execution(
    context: Context, job: Job, checkpoint: Checkpoint, model: nn.Module, num_train: int
) -> ExecutionObservation:
    """Choose layout, mode and threads once for all seeds of this job.

    Several processes run their shares eagerly, which one of them tries alone.
    """
    recipe, meta = context.study.recipe(job.recipe, job.variant), context.data.meta
    recipe = share_recipe(recipe, context.num_processes)
    batch = probe_batch(recipe, meta.image_size)
    num_images = recipe.epochs * num_train * len(context.study.seeds) // context.num_processes

    def decide() -> ExecutionObservation:
        sizes = (batch, meta.image_size, len(meta.classes), meta.num_channels)
        maker, crash = probe_steps(model, context.device, recipe, *sizes)
        chosen = choose(recipe, context.device, maker, num_images, batch, crash)
        run = {"num_threads": count_threads(context.device), "num_processes": context.num_processes}
        return chosen.model_copy(update=run)

    seen = decided(execution_file(context, checkpoint), decide)
    keep_threads(seen.num_threads, context.device)
    # Free the memory of the copies that were timed.
    free_memory(context.device)
    return seen


def execution_file(context: Context, checkpoint: Checkpoint) -> Path:
    """Return the file with the execution of all seeds, next to the folders of their checkpoints."""
    several = f"-{context.num_processes}" if context.num_processes > 1 else ""
    return checkpoint.folder.parent / f"execution{several}.json"


def make_progress_writer(context: Context, job: Job) -> Callable[[list[EpochObservation]], None]:
    """Return a function that updates the progress file, which the dashboard reads."""

    def tell(epochs: list[EpochObservation]) -> None:
        seen = LiveProgress(
            job=JobIdentity(**vars(job)),
            num_epochs=context.study.recipe(job.recipe, job.variant).epochs,
            epochs=epochs,
            dataset_label=context.data.meta.label,
            device_kind=context.environment.device_kind,
            device_name=context.environment.device_name,
            updated_at=now(),
        )
        write_progress(context.paths.progress(job), seen)

    return tell
