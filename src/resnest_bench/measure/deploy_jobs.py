"""The deploy job: evaluate trained networks in one deployment mode on all test images.

It runs the very calls that a latency times (`measure.deployment.MODES`), with the trained weights.
docs/decisions/022-deployment-modes.md says why it is a job of its own.
"""

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from resnest_bench import files, records
from resnest_bench.data import open_prepared
from resnest_bench.data.batches import BatchLoader
from resnest_bench.data.prepared import PreparedDataset
from resnest_bench.deploy.formats import FILE_MODES
from resnest_bench.device.environment import describe, precision
from resnest_bench.digests import code_digest
from resnest_bench.errors import UserError
from resnest_bench.measure.deployment import (
    MODES,
    Call,
    Output,
    Setting,
    check_available,
    checked_error,
    in_setting,
    open_files,
    relative_error,
)
from resnest_bench.measure.evaluation import Evaluation, Evaluator
from resnest_bench.measure.identity import dataset_identity, now
from resnest_bench.measure.latency import describe_error
from resnest_bench.measure.trained import SourceFailedError, load_trained_weights
from resnest_bench.models import build_model, fit_to_image
from resnest_bench.paths import Job, StudyPaths, split_deployment
from resnest_bench.records import Record
from resnest_bench.records.deploy import DeployObservations
from resnest_bench.records.observations import Failure, JobIdentity, WeightsObservation
from resnest_bench.records.predictions import write_predictions
from resnest_bench.specs import StudySpec
from resnest_bench.specs.deploy import BASE_MODE, find_cell, is_int8
from resnest_bench.specs.deployments import find_source
from resnest_bench.status.outcomes import judge

log = logging.getLogger(__name__)

BATCH_SIZE = 64
CALIBRATION_TAG = 22


@dataclass(frozen=True)
class Context:
    """What all seeds of a job have in common."""

    study: StudySpec
    paths: StudyPaths
    data: PreparedDataset
    device: torch.device


@dataclass(frozen=True, eq=False)
class Opened:
    """A network in one mode, ready to be called, and how large its files are."""

    call: Call
    file_bytes: int
    num_calibration: int


class ModeNetwork(nn.Module):
    """A mode's call as a network: images are copied to where the call reads them."""

    def __init__(self, call: Call, image_BCHW: Tensor) -> None:
        super().__init__()
        self.call, self.image_BCHW = call, image_BCHW

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Logits (B, classes) of at most as many images as the call takes."""
        count = len(images_BCHW)
        self.image_BCHW[:count].copy_(images_BCHW)
        return torch.as_tensor(self.call())[:count].float().to(images_BCHW.device)


def run_deploy_job(
    study: StudySpec,
    dataset: str,
    recipe: str,
    variant: str,
    device: torch.device,
    results: Path = Path("results"),
) -> list[Record]:
    """Evaluate a variant's trainings in one mode and write one record per seed, where it isn't current.

    `recipe` is RECIPE+MODE. A mode that is not available here, or a network that can't be exported, is a
    failed record with the reason: the other modes go on. Raises UserError for anything that the user can
    fix.
    """
    place = ("deploy", dataset, recipe, variant)
    jobs = [job for job in study.own_jobs() if (*job.experiment, job.variant) == place]
    if not jobs:
        names = "deploy jobs are named RECIPE+MODE: see `resnest-bench plan`"
        raise UserError(f"study {study.study!r} has no job {Job(*place, 0)}: {names}")
    paths = study.paths(results)
    files.check_writable(paths.root)
    data = open_prepared(study.prepared(dataset))
    _, mode = split_deployment(recipe)
    context = Context(study, paths, data, torch.device("cpu") if mode in FILE_MODES else device)
    return [_write_seed(context, job) for job in jobs]


def _write_seed(context: Context, job: Job) -> Record:
    fingerprints = {job.dataset: context.data.meta.fingerprint}
    current = judge(context.study, context.paths, job, fingerprints)
    if (
        current.record is not None
        and not current.to_do
        and _has_same_weights(context, current.record)
    ):
        log.info("%s: the record is current; to make it again, delete %s", job, current.path)
        current.path.touch()
        return current.record
    record = _run_seed(context, job)
    records.write(context.paths.record(job), record)
    if record.status == "failed":
        context.paths.predictions(job).unlink(missing_ok=True)
    return record


def _has_same_weights(context: Context, record: Record) -> bool:
    """Whether a record is of the weights that the training has now."""
    source = find_source(record.job.job)
    trained = records.read(context.paths.record(source), source).train
    if record.deploy is None or trained is None:
        return record.deploy is None and trained is None
    return record.deploy.weights.sha256 == trained.final_weights_sha256


def _run_seed(context: Context, job: Job) -> Record:
    started, observed, failure = now(), None, None
    try:
        observed = _evaluate(context, job)
    except UserError:
        raise
    except SourceFailedError as error:
        failure = Failure(reason=str(error))
    # Compiler, exporter and runtime raise their own exceptions.
    except Exception as error:
        failure = Failure(reason=describe_error(error))
    if failure:
        log.warning("%s: %s", job, failure.reason)
    return Record(
        job=JobIdentity(**vars(job)),
        status="failed" if failure else "ok",
        failure=failure,
        spec=context.study.job_spec(job),
        code_digest=code_digest("deploy"),
        dataset=dataset_identity(context.data, len(context.data.train), 0),
        train=None,
        latency=None,
        deploy=observed,
        environment=describe(context.device),
        started_at=started,
        finished_at=now(),
    )


@torch.inference_mode()
def _evaluate(context: Context, job: Job) -> DeployObservations:
    _, mode = split_deployment(job.recipe)
    setting = Setting(find_cell(mode)[0], "contiguous", find_cell(mode)[1])
    check_available(setting, context.device)
    network, weights = _load_network(context, job)
    data, device = context.data, context.device
    testing = BatchLoader(data.test, data.meta, None, device)
    size = min(BATCH_SIZE, len(data.test))
    first_BCHW, _ = next(iter(testing.iterate_eval(size)))
    with precision(setting.precision):
        expected = network(first_BCHW)
        start = time.perf_counter()
        image_BCHW = first_BCHW.clone().to(torch.bfloat16 if mode == "bf16" else torch.float32)
        opened = _open(context, job, network, setting, image_BCHW)
        output = opened.call()
        seconds = time.perf_counter() - start
        error = _check(output, expected, mode)
        same = torch.as_tensor(output).float().argmax(1).cpu() == expected.argmax(1).cpu()
        evaluator = Evaluator(ModeNetwork(opened.call, image_BCHW))
        found = evaluator(testing.iterate_eval(size), keep_probabilities=True)
    if mode == "compiled":
        torch.compiler.reset()
    log.info("%s: accuracy %.4f", job, found.accuracy)
    return DeployObservations(
        mode=mode,
        num_params=sum(parameter.numel() for parameter in network.parameters()),
        test_loss=found.loss,
        **_describe_images(context, job, found),
        weights=weights,
        batch_size=size,
        num_calibration=opened.num_calibration,
        file_bytes=opened.file_bytes,
        output_error=error,
        agreement=float(same.float().mean()),
        export_seconds=seconds,
    )


def _load_network(context: Context, job: Job) -> tuple[nn.Module, WeightsObservation]:
    meta = context.data.meta
    state, seen = load_trained_weights(find_source(job), context.paths)
    fitted, _ = fit_to_image(context.study.variant(job.variant), meta.image_size)
    network = build_model(fitted, len(meta.classes), in_chans=meta.num_channels)
    network.load_state_dict(state)
    return network.to(context.device).eval().requires_grad_(False), seen


def _open(
    context: Context, job: Job, network: nn.Module, setting: Setting, image_BCHW: Tensor
) -> Opened:
    if setting.mode in FILE_MODES:
        calibration_NCHW = _draw_calibration(context, job) if is_int8(setting.mode) else None
        call, num_bytes = open_files(setting.mode, network, image_BCHW, calibration_NCHW)
        return Opened(call, num_bytes, 0 if calibration_NCHW is None else len(calibration_NCHW))
    own = in_setting(network, setting)
    num_bytes = sum(tensor.nbytes for tensor in own.state_dict().values())
    return Opened(MODES[setting.mode](own, image_BCHW), num_bytes, 0)


def _draw_calibration(context: Context, job: Job) -> np.ndarray:
    """Training images (N, C, H, W) float32, prepared as in evaluation and drawn by the seed."""
    wanted = context.study.job_spec(job)["deploy"]["calibration_images"]
    train, meta = context.data.train, context.data.meta
    count = min(wanted, len(train))
    chosen = np.random.default_rng([job.seed, CALIBRATION_TAG]).permutation(len(train))[:count]
    loader = BatchLoader(train, meta, None, torch.device("cpu"))
    batches = [images.numpy() for images, _ in loader.iterate_eval(BATCH_SIZE, np.sort(chosen))]
    return np.concatenate(batches)


def _check(output: Output, expected: Tensor, mode: str) -> float:
    """Return the relative error of logits. It has a limit where a mode should compute the same."""
    if mode == "bf16":
        return relative_error(output, expected)
    return 0.0 if mode == BASE_MODE else checked_error(output, expected, "fp32", mode)


def _describe_images(context: Context, job: Job, found: Evaluation) -> dict:
    assert found.labels is not None, "probabilities were asked for"
    assert found.log_probabilities is not None
    path = context.paths.predictions(job)
    counts = np.bincount(found.predictions, minlength=len(context.data.meta.classes))
    return {
        "num_test": len(found.correct),
        "test_correct": records.pack_bits(found.correct),
        "test_predictions_per_class": counts.tolist(),
        "predictions": write_predictions(
            path, found.labels, found.predictions, found.log_probabilities
        ),
    }
