"""The trained networks of a study, with their weights and the preprocessing of their test images."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from resnest_bench.data.prepared import PreparedMeta, read_meta
from resnest_bench.device.environment import precision
from resnest_bench.errors import UserError, first_line
from resnest_bench.measure.evaluation import Evaluator
from resnest_bench.measure.trained import find_trained_weights
from resnest_bench.models import build_model, fit_to_image
from resnest_bench.models.weight_files import load_weights_file
from resnest_bench.paths import TRAINING_KINDS, Experiment, Job, StudyPaths
from resnest_bench.records import Record
from resnest_bench.specs import RecipeSpec, StudySpec
from resnest_bench.status.fingerprints import read_fingerprints
from resnest_bench.status.outcomes import Outcome, judge
from resnest_bench.training.initial import expected_stats
from resnest_bench.usage.preprocessing import Preprocessing
from resnest_bench.words import list_names

log = logging.getLogger(__name__)

ALL_SEEDS = "all"


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A network with the weights that one training ended with, in evaluation mode."""

    job: Job
    record: Record
    model: nn.Module
    recipe: RecipeSpec
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    weights: Path

    @property
    def sha256(self) -> str:
        """Of the weights (hex), which `load_trained` has checked."""
        assert self.record.train, "`load_trained` takes no other"
        return str(self.record.train.final_weights_sha256)

    def prepared_by(self, preprocessing: Preprocessing) -> "TrainedNetwork":
        """The same network, whose images are prepared otherwise."""
        return replace(self, preprocessing=preprocessing)

    @contextmanager
    def in_precision(self) -> Iterator[Evaluator]:
        """Yield an evaluator with the precision in which the training evaluated its test images."""
        with precision(self.recipe.precision):
            yield Evaluator(self.model, self.recipe.precision == "bf16")

    def logits(self, images_BCHW: Tensor) -> Tensor:
        """Logits (B, K) in float32 of normalised images, on their device."""
        with self.in_precision() as evaluator:
            return evaluator.logits(images_BCHW)

    def probabilities(self, images_BHWC: np.ndarray, device: torch.device) -> np.ndarray:
        """Probabilities (B, K) in float64 of uint8 images. Raises UserError where they are not finite."""
        logits_BK = self.logits(self.preprocessing.normalise(images_BHWC, device))
        probabilities_BK = logits_BK.double().softmax(dim=1).cpu().numpy()
        if not np.isfinite(probabilities_BK).all():
            raise UserError(
                f"a network must give finite values, but {self.job} does not for some of these images: train it "
                "again, or take another seed"
            )
        return probabilities_BK


def find_experiment(
    study: StudySpec, variant: str, dataset: str | None = None, recipe: str | None = None
) -> Experiment:
    """Return the experiment that trained `variant`, as far as data and recipe narrow it down.

    Raises UserError if there is none, or if there are several.
    """
    study.variant(variant)
    every = [
        job for job in study.own_jobs() if job.kind in TRAINING_KINDS and job.variant == variant
    ]
    if not every:
        raise UserError(
            f"study {study.study!r} must train {variant}, but only "
            f"{'times it' if variant in {j.variant for j in study.own_jobs()} else 'imports results of it'}: name one of "
            f"{list_names(dict.fromkeys(j.variant for j in study.own_jobs() if j.kind in TRAINING_KINDS), 8) or '(none)'}"
        )
    found = [
        one
        for one in dict.fromkeys(job.experiment for job in every)
        if dataset in (None, one.dataset) and recipe in (None, one.recipe)
    ]
    trained = "; ".join(
        f"--dataset {one.dataset} --recipe {one.recipe}"
        for one in dict.fromkeys(job.experiment for job in every)
    )
    if not found:
        raise UserError(
            f"{variant} must be trained on the data and by the recipe that are named, but got dataset "
            f"{dataset or '(any)'} and recipe {recipe or '(any)'}: name one of: {trained}"
        )
    # A training and a fine-tuning by the same recipe on the same data: the first in the config.
    if len({(one.dataset, one.recipe) for one in found}) > 1:
        raise UserError(
            f"which training of {variant} is meant must be clear, but there are several: name one of: {trained}"
        )
    return found[0]


def find_experiments(
    study: StudySpec, variants: Sequence[str], dataset: str | None, recipe: str | None
) -> tuple[Experiment, list[str]]:
    """Return the experiment that trained all `variants`, and their names; without a name all that it trained.

    Raises UserError as `find_experiment`.
    """
    trained = [job for job in study.own_jobs() if job.kind in TRAINING_KINDS]
    if not trained:
        raise UserError(f"study {study.study!r} must train networks, but trains none: name another")
    first = find_experiment(study, variants[0] if variants else trained[0].variant, dataset, recipe)
    for name in variants[1:]:
        other = find_experiment(study, name, dataset, recipe)
        if other != first:
            raise UserError(
                "networks are evaluated together if one recipe trained them on the same data, but "
                f"{variants[0]} and {name} were not: name --dataset and --recipe, or evaluate them one by one"
            )
    every = dict.fromkeys(job.variant for job in trained if job.experiment == first)
    return first, list(variants or every)


def parse_seeds(text: str | None) -> tuple[int, ...] | str | None:
    """'0,2' -> (0, 2); 'all' stays. Raises UserError."""
    if text is None or text == ALL_SEEDS:
        return text
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts) or len(set(parts)) < len(parts):
        raise UserError(f"--seeds takes numbers like 0 or 0,1,2, or all, but got {text!r}")
    return tuple(map(int, parts))


def choose_seeds(
    study: StudySpec,
    paths: StudyPaths,
    experiment: Experiment,
    variant: str,
    seeds: Sequence[int] | str | None,
) -> list[Outcome]:
    """Return the finished trainings of these seeds; None takes the first that finished, 'all' each that did.

    The first one is chosen by its number alone. The seed with the best test accuracy would look better
    than it is. Raises UserError for a named seed that has no finished training.
    """
    known = read_fingerprints(study)
    jobs = [
        job for job in study.own_jobs() if (job.experiment, job.variant) == (experiment, variant)
    ]
    judged = {job.seed: judge(study, paths, job, known) for job in jobs}
    if isinstance(seeds, tuple | list):
        for seed in seeds:
            if seed not in judged:
                raise UserError(
                    f"seed must be one of {', '.join(map(str, judged))} for {variant}, but got {seed}: name another"
                )
            _check_finished(judged[seed])
        return [judged[seed] for seed in seeds]
    finished = [one for one in judged.values() if one.usable]
    if not finished:
        _check_finished(next(iter(judged.values())))
    return finished if seeds == ALL_SEEDS else finished[:1]


def _check_finished(outcome: Outcome) -> None:
    if outcome.usable:
        return
    raise UserError(
        f"a network must be trained before it is used, but {outcome.job} is {outcome.status} "
        f"({outcome.reason}): run the study, or name another seed"
    )


def load_trained(
    study: StudySpec, paths: StudyPaths, outcome: Outcome, device: torch.device
) -> TrainedNetwork:
    """Build the network of a finished training with its weights, on `device`.

    Raises UserError if the weights or the prepared data are not those of the record.
    """
    job, record = outcome.job, outcome.record
    assert record is not None, "`choose_seeds` takes no other"
    assert record.train is not None, "`choose_seeds` takes no other"
    if outcome.status == "stale":
        log.warning("%s is stale: %s", job, outcome.reason)
    meta = _read_meta(study, record)
    path, _ = find_trained_weights(paths, record)
    recipe = study.recipe(job.recipe, job.variant)
    variant, _ = fit_to_image(study.variant(job.variant), meta.image_size)
    options = (recipe.dropout, recipe.zero_last_gamma, meta.num_channels)
    model = build_model(variant, len(meta.classes), *options)
    stats = expected_stats(study, job, model, meta.num_channels)
    try:
        model.load_state_dict(load_weights_file(path))
    except RuntimeError as error:
        raise UserError(
            f"the weights in {path} must fit {job.variant}, but do not ({first_line(error)}): the network was "
            "changed since its training: undo that, or train it again"
        ) from error
    return TrainedNetwork(
        job,
        record,
        model.to(device).eval().requires_grad_(False),
        recipe,
        Preprocessing.of(meta, stats),
        meta.classes,
        path,
    )


def _read_meta(study: StudySpec, record: Record) -> PreparedMeta:
    """The prepared data's description: sizes, mean and standard deviation."""
    job = record.job
    meta = read_meta(study.prepared(job.dataset))
    if record.dataset and record.dataset.fingerprint != meta.fingerprint:
        raise UserError(
            f"images must be prepared as those of the training, but the data of {job.dataset} in "
            f"{study.prepared(job.dataset)} have changed since: restore them and run `resnest-bench data`, or "
            "train again"
        )
    return meta
