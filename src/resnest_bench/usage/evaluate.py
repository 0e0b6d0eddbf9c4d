"""Evaluate the trained networks of a study on a further test set, which becomes one more dataset of its tables."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from resnest_bench import records
from resnest_bench.comparisons.accuracies import accuracy_intervals
from resnest_bench.digests import code_digest
from resnest_bench.errors import UserError
from resnest_bench.files import write_text
from resnest_bench.formats import row_dicts
from resnest_bench.frames.correctness import build_correctness
from resnest_bench.imports.writing import (
    append_line,
    describe_line,
    dump_sheet,
    find_sheet,
    merge_blocks,
)
from resnest_bench.measure.evaluation import Evaluation
from resnest_bench.measure.identity import now
from resnest_bench.paths import Experiment, Job, StudyPaths, check_name
from resnest_bench.records import Record, pack_bits
from resnest_bench.records.imports import (
    EvaluationSource,
    ImageResults,
    ImportedResults,
    ImportedSource,
)
from resnest_bench.records.observations import (
    DatasetIdentity,
    Environment,
    JobIdentity,
    PredictionsObservation,
)
from resnest_bench.records.predictions import write_predictions
from resnest_bench.specs import ImportedBlock, StudySpec, dump_study, read_yaml
from resnest_bench.specs.load import study_from_config
from resnest_bench.stats.summary import paired_difference
from resnest_bench.training.jobs import evaluation_batch
from resnest_bench.usage.labelled import TestImages
from resnest_bench.usage.trained import TrainedNetwork

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Evaluated:
    """One trained network on the further test set."""

    network: Job
    trained: Record
    sha256: str
    found: Evaluation


def evaluate_network(
    network: TrainedNetwork, images: TestImages, device: torch.device, batch_size: int | None = None
) -> Evaluated:
    """Evaluate one network as its training evaluated its own test images.

    Raises UserError if its probabilities are not finite.
    """
    side = network.preprocessing.crop
    size = batch_size or evaluation_batch(network.recipe.batch_size, side)

    def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for start in range(0, len(images.images), size):
            part = slice(start, start + size)
            normalised = network.preprocessing.normalise(images.images[part], device)
            yield normalised, torch.from_numpy(images.labels_N[part]).to(device)

    with network.in_precision() as evaluator:
        found = evaluator(batches(), keep_probabilities=True)
    if not np.isfinite(found.loss):
        raise UserError(
            f"a network must give finite values, but {network.job} does not for some of these images: train it "
            "again, or leave the variant out"
        )
    return Evaluated(network.job, network.record, network.sha256, found)


@dataclass(frozen=True, eq=False)
class TestSet:
    """A further test set as a dataset of a study: its name, its label for display, and its images."""

    __test__ = False

    name: str
    label: str
    origin: Path
    images: TestImages
    classes: tuple[str, ...]


def extend_study(
    study: StudySpec, experiment: Experiment, name: str, jobs: Sequence[Job]
) -> StudySpec:
    """Return the study with the evaluations of these trainings. Raises UserError where it can't have them."""
    try:
        check_name(name)
    except ValueError as error:
        raise UserError(f"--as names the test set: {error}") from None
    if name in study.own_datasets:
        raise UserError(
            f"--as must be a new name, but {name} is a dataset of this study already: choose another"
        )
    if study.adaptive:
        raise UserError(
            "a study whose seeds are adaptive takes no further test set, since its seeds follow from claims about its "
            "own: see the figures by --dry-run, or remove adaptive when all seeds are trained and list them under seeds"
        )
    same = [block for block in study.imported if block.dataset == name]
    if any(block.trained_on != experiment.dataset for block in same):
        raise UserError(
            f"--as must be a new name, but the study has other results on {name}: choose another"
        )
    seeds: dict[str, list[int]] = {}
    for job in jobs:
        seeds.setdefault(job.variant, []).append(job.seed)
    block = ImportedBlock(
        dataset=name,
        recipe=experiment.recipe,
        trained_on=experiment.dataset,
        seeds={variant: tuple(numbers) for variant, numbers in seeds.items()},
    )
    raw = study.model_dump(mode="json")
    merged = merge_blocks([*study.imported, block])
    raw["imported"] = [one.model_dump(mode="json") for one in merged]
    return study_from_config(raw, f"study {study.study}")


def check_same_images(study: StudySpec, paths: StudyPaths, test_set: TestSet) -> None:
    """Raise UserError if the study has evaluations on other images of this name."""
    for job in study.imported_jobs():
        if job.dataset != test_set.name or not paths.record(job).exists():
            continue
        dataset = records.read(paths.record(job), job).dataset
        if dataset and dataset.fingerprint != test_set.images.fingerprint:
            raise UserError(
                f"networks are compared on the same images, but {test_set.name} names other images, of which there "
                f"are results: choose another name by --as, or delete {paths.record(job).parents[2]} first"
            )


def make_record(
    study: StudySpec, evaluated: Evaluated, test_set: TestSet, environment: Environment
) -> Record:
    """The record of one network on the test set, still without its file of predictions."""
    was, found, images = evaluated.network, evaluated.found, test_set.images
    job = Job("train", test_set.name, was.recipe, was.variant, was.seed)
    time, num_classes = now(), len(test_set.classes)
    identity = DatasetIdentity(
        name=test_set.name,
        label=test_set.label,
        fingerprint=images.fingerprint,
        num_train=None,
        num_validation=None,
        num_test=len(images.labels_N),
        classes=list(test_set.classes),
        test_images_per_class=np.bincount(images.labels_N, minlength=num_classes).tolist(),
    )
    assert evaluated.trained.train, "only finished trainings have a network"
    results = ImportedResults(
        sources=[
            ImportedSource(
                file=test_set.origin.name,
                sha256=images.fingerprint,
                imported_at=time,
                columns={"result of each image": f"evaluated by the network of {was}"},
            )
        ],
        device=environment.device_name,
        dataset_label=test_set.label,
        num_test=len(images.labels_N),
        values={"num_params": float(evaluated.trained.train.num_params)},
        unknown=[],
        evaluation=EvaluationSource(
            trained=JobIdentity(**vars(was)),
            weights_sha256=evaluated.sha256,
            code_digest=code_digest("train"),
            environment=environment,
            evaluated_at=time,
        ),
    )
    return Record(
        job=JobIdentity(**vars(job)),
        status="ok",
        failure=None,
        spec=study.job_spec(job) if job in study.imported_jobs() else {},
        code_digest="",
        dataset=identity,
        train=None,
        latency=None,
        environment=None,
        started_at=None,
        finished_at=None,
        imported=results.model_copy(update={"images": _image_results(found, num_classes)}),
    )


def _image_results(found: Evaluation, num_classes: int) -> ImageResults:
    return ImageResults(
        num_test=len(found.correct),
        test_correct=pack_bits(found.correct),
        test_predictions_per_class=np.bincount(found.predictions, minlength=num_classes).tolist(),
        # Of the file that `write_evaluations` writes.
        predictions=PredictionsObservation(format=1, sha256="", all_classes=True),
    )


def write_evaluations(
    study: StudySpec,
    paths: StudyPaths,
    config: Path | None,
    made: Mapping[Job, tuple[Record, Evaluation]],
) -> list[Path]:
    """Write predictions, records, the config's list and study.json, the last one last; return what was edited.

    `config` is the study's config file, if it is known.
    """
    texts = _config_texts(study, paths, config)
    for job, (record, found) in made.items():
        assert found.labels is not None, "they were asked for"
        assert found.log_probabilities is not None, "they were asked for"
        kept = write_predictions(
            paths.predictions(job), found.labels, found.predictions, found.log_probabilities
        )
        assert record.imported, "`make_record` makes no other"
        assert record.imported.images, "`make_record` makes no other"
        images = record.imported.images.model_copy(update={"predictions": kept})
        imported = record.imported.model_copy(update={"images": images})
        records.write(paths.record(job), record.model_copy(update={"imported": imported}))
    for path, text in texts.items():
        write_text(path, text)
    write_text(paths.study, dump_study(study))
    return list(texts)


def _config_texts(study: StudySpec, paths: StudyPaths, config: Path | None) -> dict[Path, str]:
    """The list of further results, and the config with a line that names it."""
    sheet = paths.root / "imported.yaml" if config is None else find_sheet(config)
    texts = {sheet: dump_sheet(study.imported)}
    if config is not None and "imported" not in read_yaml(config):
        text = config.read_text(encoding="utf-8")
        texts[config] = append_line(config, text, describe_line(sheet))
    return texts


def find_config(study: StudySpec, given: str) -> Path | None:
    """The config file of a study: the one that was named, or the one in config/ with this study's name."""
    path = Path(given)
    if path.is_file() and path.name != "study.json":
        return path
    for file in sorted([*Path("config").glob("*.yaml"), *Path("config").glob("*/config.yaml")]):
        try:
            raw = read_yaml(file)
        except UserError:
            continue
        if isinstance(raw, dict) and raw.get("study") == study.study:
            return file
    return None


def compare_accuracies(evaluated: Sequence[tuple[Record, Record]]) -> list[dict[str, Any]]:
    """One row per variant, from pairs (its training, its evaluation): accuracies and their difference in %.

    Intervals are for new seeds (`accuracy_intervals`); the difference is paired over seeds.
    """
    before = row_dicts(accuracy_intervals(build_correctness(one for one, _ in evaluated)))
    after = row_dicts(accuracy_intervals(build_correctness(other for _, other in evaluated)))
    rows = []
    for old, new in zip(before, after, strict=True):
        pairs = [pair for pair in evaluated if pair[0].job.variant == old["variant"]]
        change = paired_difference(
            {other.job.seed: 100 * _accuracy(other) for _, other in pairs},
            {one.job.seed: 100 * _accuracy(one) for one, _ in pairs},
        )
        rows.append({"variant": old["variant"], "before": old, "after": new, "change": change})
    return rows


def _accuracy(record: Record) -> float:
    assert record.images, "only evaluated networks are compared"
    bits_N = records.unpack_bits(record.images.test_correct, record.images.num_test)
    return float(bits_N.mean())
