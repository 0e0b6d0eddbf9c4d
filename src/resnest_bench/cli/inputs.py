"""Data and weights of a study, which are downloaded and prepared before the first job."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from resnest_bench.errors import UserError
from resnest_bench.paths import DataPaths
from resnest_bench.specs import StudySpec


def prepare_datasets(study: StudySpec, names: Sequence[str]) -> Iterator[str]:
    """Prepare these datasets, or all of the study if none is named. Yields lines about each."""
    from resnest_bench.data import counts_text, prepare

    downloads = DataPaths(Path(study.data_dir)).downloads
    for name in names or study.own_datasets:
        folder = study.prepared(name)
        meta = prepare(study.dataset(name), name, folder, downloads)
        counts = {part: sum(by_class.values()) for part, by_class in meta.counts_per_class.items()}
        yield (
            f"{meta.label}: {counts['train']} + {counts['test']} images in {len(meta.classes)} "
            f"classes, in {folder}"
        )
        if meta.duplicates:
            yield counts_text(meta.duplicates)


def list_hub_weights(study: StudySpec) -> dict[str, Path]:
    """Return the pretrained weights from the hub that the study fine-tunes: name to local file."""
    names = {w.hub for block in study.finetune for w in block.weights.values() if w.hub}
    data = DataPaths(Path(study.data_dir))
    return {name: data.hub_weights(name) for name in sorted(names)}


def fetch_named_weights(study: StudySpec, hub: str | None) -> Iterator[str]:
    """Download the weights `hub`, or all missing ones of the study if it is None. Yields lines.

    Raises UserError if the study doesn't use such weights or they can't be downloaded.
    """
    from resnest_bench.models.hub import fetch_weights

    files = list_hub_weights(study)
    if hub is not None and hub not in files:
        raise UserError(
            f"--hub must be one of this study's weights, {', '.join(files) or '(none)'}, but is {hub!r}"
        )
    for name, path in files.items():
        if hub is None and path.exists():
            yield f"{name}: in {path}"
        elif hub in (None, name):
            yield f"{name}: SHA-256 {fetch_weights(name, path)}, in {path}"


def describe_missing_weights(study: StudySpec) -> str:
    """Say which weights must be downloaded, or what to do if the hub can't be reached.

    Returns '' if no weights are missing.
    """
    missing = {name: path for name, path in list_hub_weights(study).items() if not path.exists()}
    if not missing:
        return ""
    from resnest_bench.models.hub import explain_offline, find_hub_problem

    problem = find_hub_problem()
    if problem is None:
        return f"Weights to download: {', '.join(missing)}."
    folder = next(iter(missing.values())).parent
    text = explain_offline(list(missing), folder, problem)
    return (
        f"{text[:1].upper()}{text[1:]}. Until then, their fine-tunings fail; everything else runs."
    )
