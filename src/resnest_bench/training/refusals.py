"""Explain a failed training in one line if network or recipe are at fault."""

import torch

from resnest_bench.data.prepared import PreparedMeta
from resnest_bench.errors import UserError
from resnest_bench.models import check_image
from resnest_bench.paths import Job, StudyPaths
from resnest_bench.specs import StudySpec
from resnest_bench.training.execution import Execution, check_layout, choose_mode, probe_batch
from resnest_bench.training.initial import build_initial
from resnest_bench.training.step import probe_steps


def explain_failure(
    study: StudySpec,
    paths: StudyPaths,
    job: Job,
    meta: PreparedMeta,
    device: torch.device,
    error: Exception,
) -> None:
    """Raise UserError if `error` was caused by the image size or the memory layout.

    `meta` is that of the job's dataset. Both causes are checked by at most one step.
    """
    if isinstance(error, UserError):
        return
    check_image(study.variant(job.variant), meta.image_size, meta.num_channels)
    recipe, num_classes = study.recipe(job.recipe, job.variant), len(meta.classes)
    if recipe.layout != "channels_last":
        return
    image = (meta.image_size, meta.num_channels)
    model, _ = build_initial(study, job, paths, num_classes, *image)
    sizes = (probe_batch(recipe, meta.image_size), meta.image_size, num_classes, meta.num_channels)
    maker, crash = probe_steps(model, device, recipe, *sizes)
    check_layout(Execution(recipe.layout, choose_mode(recipe, device)), maker, device, crash)
