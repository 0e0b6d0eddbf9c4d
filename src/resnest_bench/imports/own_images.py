"""Whether imported predictions are of the test images that a study has: then networks are compared image by image."""

import itertools
from dataclasses import replace
from pathlib import PurePath

import numpy as np

from resnest_bench.comparisons.differences import find_trainings
from resnest_bench.errors import UserError
from resnest_bench.imports.assemble import Imports, reorder, reorder_classes
from resnest_bench.imports.runs import ImagePredictions
from resnest_bench.paths import StudyPaths
from resnest_bench.records.observations import DatasetIdentity
from resnest_bench.results import StudyResults
from resnest_bench.specs import StudySpec

# Without names of images the order of labels must tell images apart: not that of a folder for each class.
FEWEST_CHANGES = 2


def adopt_images(found: Imports, spec: StudySpec, paths: StudyPaths) -> Imports:
    """`found` with the images of the study's own trainings, where they are the same.

    Otherwise a note says why networks are compared by seeds alone.
    """
    results = StudyResults(spec, paths)
    predictions, notes = dict(found.predictions), list(found.notes)
    identities: dict[str, DatasetIdentity] = {}
    for dataset in dict.fromkeys(job.dataset for job in found.predictions):
        own = _find_own(results, dataset)
        if own is None:
            continue
        identity, labels_N, names = own
        jobs = [job for job in found.predictions if job.dataset == dataset]
        try:
            for job in jobs:
                predictions[job] = _match(found.predictions[job], identity, labels_N, names)
        except UserError as error:
            notes.append(f"{dataset}: {error}: networks are compared by their seeds alone")
            predictions |= {job: found.predictions[job] for job in jobs}
            continue
        identities[dataset] = identity
        notes.append(f"{dataset}: the test images are those of the study's own trainings")
    return replace(found, predictions=predictions, identities=identities, notes=tuple(notes))


def _find_own(
    results: StudyResults, dataset: str
) -> tuple[DatasetIdentity, np.ndarray, list[str] | None] | None:
    """The data, labels and names of images of the first own trainings that kept their predictions."""
    for experiment in results.experiments:
        if experiment.dataset != dataset or experiment.kind == "latency":
            continue
        own = results.class_predictions(find_trainings(results.spec, experiment))
        if own is None or not own.variants:
            continue
        identity = DatasetIdentity(
            name=dataset,
            label=own.dataset_label,
            fingerprint=own.fingerprint,
            num_train=None,
            num_validation=None,
            num_test=len(own.labels_N),
            classes=list(own.classes),
            test_images_per_class=own.class_counts_K.tolist(),
        )
        return identity, own.labels_N, results.image_names(experiment, own)
    return None


def _match(
    found: ImagePredictions,
    identity: DatasetIdentity,
    labels_N: np.ndarray,
    names: list[str] | None,
) -> ImagePredictions:
    """The predictions in the study's order of images and classes. Raises UserError with what differs."""
    if len(found.labels) != len(labels_N):
        raise UserError(
            f"the study has {len(labels_N):,} test images, but the file has {len(found.labels):,}"
        )
    renamed = _rename_classes(found, tuple(identity.classes))
    wanted = [identity.classes[label] for label in labels_N.tolist()]
    if renamed.images is not None and names is not None:
        renamed = _reorder_by_name(renamed, names)
    elif sum(a != b for a, b in itertools.pairwise(wanted)) < FEWEST_CHANGES * len(
        identity.classes
    ):
        raise UserError(
            "the file names no images that the study knows, and labels alone don't tell them"
        )
    if renamed.labels != wanted:
        raise UserError("the labels of the images differ from the study's")
    return renamed


def _rename_classes(found: ImagePredictions, classes: tuple[str, ...]) -> ImagePredictions:
    if set(found.classes) == set(classes):
        return reorder_classes(found, classes)
    numbers = {name: int(name) for name in found.classes if name.isascii() and name.isdigit()}
    known = len(numbers) == len(found.classes) and max(numbers.values()) < len(classes)
    complete = found.probabilities_NK is None or len(found.classes) == len(classes)
    if not known or not complete:
        raise UserError("the classes of the file are not those of the study")
    named = {name: classes[number] for name, number in numbers.items()}
    rows = found.probabilities_NK
    order = sorted(range(len(found.classes)), key=lambda i: numbers[found.classes[i]])
    return replace(
        found,
        labels=[named[name] for name in found.labels],
        predicted=[named[name] for name in found.predicted],
        classes=classes,
        probabilities_NK=None if rows is None else rows[:, order],
    )


def _reorder_by_name(found: ImagePredictions, names: list[str]) -> ImagePredictions:
    """By whole names, or by file names without folders where these tell images apart."""
    assert found.images is not None
    for simplify in (str, lambda name: PurePath(name).name):
        ours, theirs = [simplify(name) for name in names], [simplify(name) for name in found.images]
        places = {name: index for index, name in enumerate(theirs)}
        if len(places) == len(theirs) and set(ours) == set(places) and len(set(ours)) == len(ours):
            return reorder(found, [places[name] for name in ours])
    raise UserError("the images of the file have other names than those of the study")
