"""One job: a variant over all its seeds, with one record per seed."""

import functools
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from resnest_bench import files, records
from resnest_bench.data import check_leakage, open_prepared, report_file
from resnest_bench.data.batches import BatchLoader
from resnest_bench.data.splits import bootstrap, train_validation_split
from resnest_bench.device.allocator import keep_memory
from resnest_bench.device.environment import describe, precision, tuned_convolutions
from resnest_bench.device.memory import free_memory, is_out_of_memory
from resnest_bench.digests import code_digest
from resnest_bench.errors import UserError, first_line
from resnest_bench.measure.evaluation import Evaluation
from resnest_bench.measure.identity import dataset_identity, now
from resnest_bench.measure.trained import SourceFailedError
from resnest_bench.models import fit_to_image
from resnest_bench.models.weights import file_sha256, save_weights
from resnest_bench.paths import Job
from resnest_bench.records import Record
from resnest_bench.records.observations import (
    DataInitObservation,
    ExecutionObservation,
    Failure,
    JobIdentity,
    TrainObservations,
    WeightsObservation,
)
from resnest_bench.records.predictions import copy_predictions
from resnest_bench.specs import RecipeSpec, StudySpec
from resnest_bench.status.changes import find_change
from resnest_bench.status.fingerprints import read_fingerprints
from resnest_bench.status.outcomes import judge
from resnest_bench.training.adoption import adopt_record
from resnest_bench.training.checkpoints import Checkpoint, Progress
from resnest_bench.training.context import (
    Context,
    choose_execution,
    execution_file,
    make_progress_writer,
    open_checkpoint,
)
from resnest_bench.training.ending import keep_predictions, observe_training, warn_of_chance
from resnest_bench.training.execution import Execution, keep
from resnest_bench.training.helpers import HelperFailedError, Helpers
from resnest_bench.training.initial import (
    build_initial,
    build_teacher,
    expected_stats,
    initialise_from_data,
)
from resnest_bench.training.loop import Batches, DivergedError, train_model
from resnest_bench.training.losses import class_weights
from resnest_bench.training.processes import Processes, choose_own
from resnest_bench.training.refusals import explain_failure
from resnest_bench.training.reporting import Reporter, terminal_bars
from resnest_bench.training.requests import check_recipe, requested_jobs
from resnest_bench.training.shared_step import SharedCheckpoint, make_shared_step
from resnest_bench.training.step import TrainStep, make_step

log = logging.getLogger(__name__)

EVALUATION_BATCH_SIZE = 500
EVALUATION_PIXELS = 4_000_000


def make_batches(context: Context, recipe: RecipeSpec, seed: int, stats: tuple | None) -> Batches:
    """Make loaders of the three parts. The validation part depends only on the seed, or is the data's."""
    data, device = context.data, context.device
    training = BatchLoader(data.train, data.meta, recipe, device, stats)
    plain = BatchLoader(data.train, data.meta, None, device, stats)
    testing = BatchLoader(data.test, data.meta, None, device, stats)
    train_indices, validation_indices = train_validation_split(
        data.train.labels,
        recipe.validation_fraction,
        seed,
        data.meta.classes,
        data.meta.reading.num_given_validation,
    )
    held_out = validation_indices if recipe.validation_fraction else None
    if "data" in recipe.vary:
        train_indices = bootstrap(train_indices, seed)
    batch = evaluation_batch(recipe.batch_size, data.meta.image_size)

    tested = None
    if context.num_processes > 1:
        place = context.rank, context.num_processes
        tested = choose_own(np.arange(len(data.test)), *place)
        held_out = None if held_out is None else choose_own(held_out, *place)

    def validation() -> Iterator:
        return plain.iterate_eval(batch, held_out)

    return Batches(
        train=training,
        train_indices=train_indices,
        validation=None if held_out is None else validation,
        test=lambda: testing.iterate_eval(batch, tested),
        num_classes=len(data.meta.classes),
    )


def evaluation_batch(batch_size: int, image_size: int) -> int:
    """Return the images per evaluation batch: fewer for photos, to need less memory than training."""
    fitting = max(16, EVALUATION_PIXELS // image_size**2)
    return min(EVALUATION_BATCH_SIZE, 2 * batch_size, fitting)


@dataclass(frozen=True)
class Parts:
    """What a training starts from, and where its weights came from."""

    model: nn.Module
    initial: WeightsObservation | None
    teacher: nn.Module | None
    taught_by: WeightsObservation | None
    batches: Batches
    data_init: DataInitObservation | None


def build_parts(context: Context, job: Job) -> Parts:
    """Build the network before its first step, its teacher and its batches."""
    study, recipe = context.study, context.study.recipe(job.recipe, job.variant)
    meta = context.data.meta
    num_classes, image = len(meta.classes), (meta.image_size, meta.num_channels)
    model, initial = build_initial(study, job, context.paths, num_classes, *image)
    teacher, taught_by = build_teacher(study, job, context.paths, num_classes, *image)
    stats = expected_stats(study, job, model, meta.num_channels)
    batches = make_batches(context, recipe, job.seed, stats)
    data_init = None
    if initial is None:
        init_seed = recipe.part_seed("init", job.seed)
        data_init = initialise_from_data(model, batches.train, batches.train_indices, init_seed)
    return Parts(model, initial, teacher, taught_by, batches, data_init)


def run_training(
    context: Context,
    job: Job,
    parts: Parts,
    checkpoint: Checkpoint,
    seen: ExecutionObservation,
    processes: Processes | None,
) -> tuple[TrainStep, Progress, Evaluation]:
    """Train to the last epoch, alone or as one of several `processes`."""
    recipe, file = (
        context.study.recipe(job.recipe, job.variant),
        execution_file(context, checkpoint),
    )

    def on_smaller(execution: Execution) -> None:
        change = {"mode": execution.mode, "micro_batch_size": execution.micro_batch_size}
        keep(file, seen.model_copy(update=change))

    batches = parts.batches
    weights_K = class_weights(recipe, batches.train_labels, batches.num_classes)
    make: Callable[..., TrainStep] = make_step
    if processes is not None:
        make = functools.partial(make_shared_step, processes=processes)
        checkpoint = SharedCheckpoint(checkpoint, processes)
    step = make(
        parts.model,
        recipe,
        context.device,
        Execution.of(seen),
        on_smaller=on_smaller,
        class_weights_K=weights_K,
        teacher=parts.teacher,
    )
    reporter = Reporter(f"{job.variant} {job.recipe} seed {job.seed}", context.bars)
    tell = make_progress_writer(context, job) if context.rank == 0 else lambda epochs: None
    return step, *train_model(step, batches, job.seed, checkpoint, reporter, tell)


def _train(context: Context, job: Job, checkpoint: Checkpoint) -> tuple[TrainObservations, Batches]:
    study, meta = context.study, context.data.meta
    parts = build_parts(context, job)
    seen = choose_execution(context, job, checkpoint, parts.model, len(parts.batches.train_indices))
    if context.helpers is None:
        step, progress, test = run_training(context, job, parts, checkpoint, seen, None)
    else:
        with context.helpers.training(job, seen) as processes:
            step, progress, test = run_training(context, job, parts, checkpoint, seen, processes)
    sha256 = None
    if study.keeps_weights(job):
        sha256 = save_weights(context.paths.weights(job), step.final_model)
    execution = seen.model_copy(
        update={
            "mode": step.execution.mode,
            "micro_batch_size": step.execution.micro_batch_size,
            "shortages": progress.shortages,
        }
    )
    kept = keep_predictions(context.paths.predictions(job), test)
    seen_by = observe_training(
        *(step.final_model, progress, test, len(meta.classes)),
        *(parts.initial, sha256, execution, kept),
    )
    size_args = fit_to_image(study.variant(job.variant), meta.image_size)[1]
    more = {"size_args": size_args, "teacher": parts.taught_by, "data_init": parts.data_init}
    return seen_by.model_copy(update=more), parts.batches


def run_seed(context: Context, job: Job) -> Record:
    """Train or resume one seed. A diverged seed has a record too."""
    checkpoint = open_checkpoint(context, job)
    with checkpoint.lock():
        return _run_locked(context, job, checkpoint)


def _run_locked(context: Context, job: Job, checkpoint: Checkpoint) -> Record:
    finished = checkpoint.finished_record(job)
    if finished is not None and _can_be_taken(context, job, finished):
        log.info("%s: finished before; its record is in %s", job, checkpoint.finished)
        copy_predictions(checkpoint.predictions, context.paths.predictions(job), finished)
        return finished
    adopted = adopt_record(context.study, context.paths, job, context.data.meta.fingerprint)
    if adopted is not None:
        return adopted
    started, num_train = now(), len(context.data.train)
    observations, failure = None, None
    try:
        observations, batches = _train(context, job, checkpoint)
        num_train = len(batches.train_indices)
    except DivergedError as error:
        failure = Failure(reason=str(error), epoch=error.epoch, step=error.step)
    except SourceFailedError as error:
        failure = Failure(reason=str(error))
    if failure:
        log.error("%s failed: %s", job, failure.reason)
    record = _make_record(context, job, observations, failure, started, num_train)
    if not failure:
        checkpoint.finish(record, context.paths.predictions(job))
    return record


def _make_record(
    context: Context,
    job: Job,
    observations: TrainObservations | None,
    failure: Failure | None,
    started: str,
    num_train: int,
) -> Record:
    return Record(
        job=JobIdentity(**vars(job)),
        status="failed" if failure else "ok",
        failure=failure,
        spec=context.study.job_spec(job),
        code_digest=code_digest(job.kind),
        dataset=dataset_identity(context.data, num_train, len(context.data.train) - num_train),
        train=observations,
        latency=None,
        # A resumed job keeps its number of threads.
        environment=context.environment.model_copy(
            update={"num_cpu_threads": torch.get_num_threads()}
        ),
        started_at=started,
        finished_at=now(),
    )


def _can_be_taken(context: Context, job: Job, record: Record) -> bool:
    """Return whether a finished record has this spec, and its weights exist."""
    change = find_change(record.spec, context.study.job_spec(job))
    if change:
        log.warning("%s: its finished record is of another spec (%s): training again", job, change)
        return False
    return _has_weights(context, job, record)


def _has_weights(context: Context, job: Job, record: Record) -> bool:
    """Return whether the weights that a training has to keep exist and match its record."""
    if record.status == "failed" or not context.study.requires_weights(job):
        return True
    path = context.paths.weights(job)
    wanted = record.train.final_weights_sha256 if record.train else None
    return path.exists() and file_sha256(path) == wanted


def run_job(
    study: StudySpec,
    kind: str,
    dataset: str,
    recipe: str,
    variant: str,
    device: torch.device,
    results: Path = Path("results"),
    seeds: Sequence[int] | None = None,
    more_devices: Sequence[torch.device] = (),
) -> list[Record]:
    """Run a training or fine-tuning over all seeds and write one record per seed.

    With `more_devices`, that many further processes share each batch with this one, one on each.
    `seeds` selects seeds of the study, or for a training also those that its adaptive block may add.

    Raises UserError for anything that the user can fix. A seed that diverges is not an error: its record
    says so, and the next seed follows.
    """
    spec, paths = study.recipe(recipe, variant), study.paths(results)
    jobs = requested_jobs(study, kind, dataset, recipe, variant, seeds)
    check_recipe(spec, device)
    files.check_writable(paths.root)
    allocator = keep_memory() if device.type == "cpu" else None
    start = time.perf_counter()
    done: list[Record] = []
    with precision(spec.precision), tuned_convolutions(device), terminal_bars() as bars:
        data = open_prepared(study.prepared(dataset))
        check_leakage(study.dataset(dataset), data.meta, report_file(study.prepared(dataset)))
        seen = describe(device, allocator)
        helpers = Helpers(study, results, device, more_devices) if more_devices else None
        context = Context(
            *(study, paths, data, device, seen, bars),
            num_processes=1 + len(more_devices),
            helpers=helpers,
        )
        try:
            for job in jobs:
                done.append(_try_seed(context, job))
        finally:
            if helpers is not None:
                helpers.close()
    log.info("%s: %d seeds in %.1f s", variant, len(done), time.perf_counter() - start)
    return done


def _try_seed(context: Context, job: Job) -> Record:
    try:
        return _write_seed(context, job)
    except Exception as error:
        # What a user can fix, as a full disk, is no fault of the trial.
        if job in context.study.listed_trials and not isinstance(error, UserError | OSError):
            return _write_failed_trial(context, job, error)
        _explain_error(context, job, error)
        raise


def _write_failed_trial(context: Context, job: Job, error: Exception) -> Record:
    """Write the record of a trial that can't be trained: a search goes on with the others."""
    reason = "memory ran out: " if is_out_of_memory(error) else ""
    failure = Failure(reason=reason + first_line(error))
    log.error("%s failed: %s", job, failure.reason, exc_info=error)
    free_memory(context.device)
    record = _make_record(context, job, None, failure, now(), len(context.data.train))
    _write(context, job, record)
    return record


def _explain_error(context: Context, job: Job, error: Exception) -> None:
    """Raise UserError if the user can fix the error of this seed; else return."""
    if isinstance(error, HelperFailedError) and not is_out_of_memory(error):
        raise UserError(f"{job}: {error}") from error
    if is_out_of_memory(error):
        raise UserError(
            f"{job}: memory ran out ({first_line(error)}): free the device's memory "
            "(`resnest-bench doctor`) or take one with more; the same command resumes"
        ) from error
    explain_failure(context.study, context.paths, job, context.data.meta, context.device, error)


def _find_current(context: Context, job: Job) -> Record | None:
    """Return the existing record if it is current."""
    known = {**read_fingerprints(context.study), job.dataset: context.data.meta.fingerprint}
    found = judge(context.study, context.paths, job, known)
    if found.record is None or found.to_do or not _has_weights(context, job, found.record):
        return None
    log.info("%s: its record is current; to train it again, delete %s", job, found.path)
    # Make it newer than its inputs, since the workflow compares times.
    found.path.touch()
    return found.record


def _write_seed(context: Context, job: Job) -> Record:
    current = _find_current(context, job)
    if current is not None:
        return current
    record = run_seed(context, job)
    _write(context, job, record)
    warn_of_chance(record)
    return record


def _write(context: Context, job: Job, record: Record) -> None:
    records.write(context.paths.record(job), record)
    if record.status == "failed":  # those of the record that this one replaces
        context.paths.predictions(job).unlink(missing_ok=True)
    context.paths.progress(job).unlink(missing_ok=True)
