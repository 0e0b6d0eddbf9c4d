"""The initial network of a run: random, or pretrained with a new head."""

import logging
from pathlib import Path

import numpy as np
import torch
from torch import nn

from resnest_bench.data.batches import BatchLoader
from resnest_bench.data.splits import choose_for_init
from resnest_bench.errors import UserError
from resnest_bench.measure.trained import load_trained_weights
from resnest_bench.models import build_model, fit_to_image, head_module, input_stats
from resnest_bench.models.airbench import WhiteningConv2d
from resnest_bench.models.image_size import show_args
from resnest_bench.models.input_channels import adapt_stats
from resnest_bench.models.weight_files import load_weights_file, read_weights_file
from resnest_bench.models.weights import apply_weights, file_sha256, hub_license, hub_stats
from resnest_bench.paths import DataPaths, Job, StudyPaths
from resnest_bench.records.observations import DataInitObservation, WeightsObservation
from resnest_bench.specs import StudySpec
from resnest_bench.training.optimizer import freeze_backbone

log = logging.getLogger(__name__)

# As the original code of the one layer that needs them.
INIT_IMAGES = 5_000
INIT_BATCH_SIZE = 250


def _fetched_weights(hub: str, path: Path) -> tuple[dict, WeightsObservation]:
    # A job never uses the hub: its node may be offline, and all seeds must start from the same file.
    if not path.exists():
        raise UserError(
            f"the weights {hub} must be at {path} before a fine-tuning starts, but are not: fetch "
            f"them where the internet is, by `resnest-bench weights --study STUDY --hub {hub}`"
        )
    seen = WeightsObservation(
        source=f"hub {hub}", sha256=file_sha256(path), license=hub_license(hub)
    )
    return load_weights_file(path), seen


def _read_file(path: Path, key: str | None) -> tuple[dict, WeightsObservation]:
    found = read_weights_file(path, key)
    if found.other_keys:
        log.info(
            "%s: took %s; `key:` can choose %s", path, found.key, " or ".join(found.other_keys)
        )
    seen = WeightsObservation(source=f"file {path.name}", sha256=file_sha256(path), key=found.key)
    return found.tensors, seen


def load_initial(
    study: StudySpec, job: Job, paths: StudyPaths
) -> tuple[dict, WeightsObservation] | None:
    """Load the initial tensors of a fine-tuning; None for a start from scratch."""
    weights = study.weights(job)
    if weights is None:
        return None
    if weights.hub:
        return _fetched_weights(
            weights.hub, DataPaths(Path(study.data_dir)).hub_weights(weights.hub)
        )
    if weights.file:
        path = Path(weights.file)
        return _read_file(path, weights.key)
    source = study.source_job(job)
    assert source is not None, "its weights come from a training"
    return load_trained_weights(source, paths)


def build_initial(
    study: StudySpec,
    job: Job,
    paths: StudyPaths,
    num_classes: int,
    image_size: int,
    in_chans: int = 3,
) -> tuple[nn.Module, WeightsObservation | None]:
    """Build the network before its first step. Seed k has the same random numbers for every variant."""
    recipe = study.recipe(job.recipe, job.variant)
    variant, size_args = fit_to_image(study.variant(job.variant), image_size)
    if size_args:
        log.info("%s: set for %d pixels: %s", variant.name, image_size, show_args(size_args))
    torch.manual_seed(recipe.part_seed("init", job.seed))
    options = (recipe.dropout, recipe.zero_last_gamma, in_chans)
    model = build_model(variant, num_classes, *options)
    initial = load_initial(study, job, paths)
    seen = None
    if initial is not None:
        seen = _load(model, *initial)
        renew_head(model)
    if recipe.trainable == "head":
        freeze_backbone(model)
    return model, seen


def initialise_from_data(
    model: nn.Module, loader: BatchLoader, indices: np.ndarray, seed: int
) -> DataInitObservation | None:
    """Let layers compute their first weights from training images; None where no layer does.

    Such a layer has `initialise_from`, which takes normalised images in batches, as in evaluation. A
    network that starts from given weights has these weights already.

    Args:
        loader, indices: the training images of this seed, of which up to INIT_IMAGES are chosen.
        seed: of the initial weights.
    """
    layers = {n: m for n, m in model.named_modules() if isinstance(m, WhiteningConv2d)}
    if not layers:
        return None
    chosen = choose_for_init(indices, INIT_IMAGES, seed)
    for layer in layers.values():
        layer.initialise_from(images for images, _ in loader.iterate_eval(INIT_BATCH_SIZE, chosen))
    return DataInitObservation(layers=list(layers), num_images=len(chosen))


def build_teacher(
    study: StudySpec,
    job: Job,
    paths: StudyPaths,
    num_classes: int,
    image_size: int,
    in_chans: int = 3,
) -> tuple[nn.Module | None, WeightsObservation | None]:
    """Return the teacher of `job`, in evaluation mode; (None, None) without one."""
    source = study.teacher_job(job)
    if source is None:
        return None, None
    variant, _ = fit_to_image(study.variant(source.variant), image_size)
    model = build_model(variant, num_classes, in_chans=in_chans)
    # Also load its head: `apply_weights` would keep a new one, for fine-tuning.
    state, seen = load_trained_weights(source, paths)
    model.load_state_dict(state)
    return model.eval().requires_grad_(False), seen


def _load(model: nn.Module, state: dict, seen: WeightsObservation) -> WeightsObservation:
    """Load `state`; return `seen` with the matching of names."""
    match = apply_weights(model, state, seen.source)
    return seen.model_copy(
        update={
            "renamed": match.renamed,
            "ignored": match.ignored,
            "converted": match.converted,
        }
    )


def renew_head(model: nn.Module) -> None:
    """Initialise a new head for transfer: Glorot and Bengio's uniform weights, zero biases.

    As in Dive into Deep Learning, section 14.2, whose recipe the paper follows. The initialisation of a family
    can be bad for few classes: timm's EfficientNets use +-1/sqrt(classes), which for two classes starts at a
    loss of six nats.
    """
    for parameter in head_module(model).parameters():
        if parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter)
        else:
            nn.init.zeros_(parameter)


def expected_stats(study: StudySpec, job: Job, model: nn.Module, in_chans: int = 3) -> tuple | None:
    """Return (mean, std) of the pretrained weights of a fine-tuning.

    Also from scratch, so that a transfer gain compares only the weights. None if the initial weights are from
    a training of this study, which used the dataset's own, and for more channels than RGB.
    """
    for block in study.finetune:
        if job.kind == "finetune" and block.dataset == job.dataset and job.variant in block.weights:
            weights = block.weights[job.variant]
            if weights.train:
                return None
            stats = hub_stats(weights.hub) if weights.hub else input_stats(model)
            return stats and adapt_stats(stats, in_chans)
    return None
