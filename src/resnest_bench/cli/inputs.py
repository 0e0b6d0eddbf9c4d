"""Data and weights of a study: fetched and prepared before the first job."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from resnest_bench.errors import UserError
from resnest_bench.paths import DataPaths
from resnest_bench.specs import StudySpec


def prepare_datasets(study: StudySpec, names: Sequence[str]) -> Iterator[str]:
    """Prepare these datasets, or all of the study where none is named; yield a text on each."""
    from resnest_bench.data import counts_text, prepare

    downloads = DataPaths(Path(study.data_dir)).downloads
    for name in names or study.datasets:
        folder = study.prepared(name)
        meta = prepare(study.dataset(name), name, folder, downloads)
        counts = {part: sum(by_class.values()) for part, by_class in meta.counts_per_class.items()}
        yield (
            f"{meta.label}: {counts['train']} + {counts['test']} images in {len(meta.classes)} "
            f"classes, at {folder}"
        )
        if meta.duplicates:
            yield counts_text(meta.duplicates)


def list_hub_weights(study: StudySpec) -> dict[str, Path]:
    """The hub's weights that the study starts from: their names, and the files that keep them."""
    names = {w.hub for block in study.finetune for w in block.weights.values() if w.hub}
    data = DataPaths(Path(study.data_dir))
    return {name: data.hub_weights(name) for name in sorted(names)}


def fetch_named_weights(study: StudySpec, hub: str | None) -> Iterator[str]:
    """Download the weights `hub`, or all that the study names and lacks; yield a text on each."""
    from resnest_bench.models.hub import fetch_weights

    files = list_hub_weights(study)
    if hub is not None and hub not in files:
        raise UserError(
            f"--hub is one of {', '.join(files) or '(none)'} in this study, not {hub!r}"
        )
    for name, path in files.items():
        if hub is None and path.exists():
            yield f"{name}: at {path}"
        elif hub in (None, name):
            yield f"{name}: SHA-256 {fetch_weights(name, path)}, at {path}"


def describe_missing_weights(study: StudySpec) -> str:
    """What is to be downloaded, or what to do where the hub can't be reached; empty for neither."""
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
        f"{text[:1].upper()}{text[1:]}. The fine-tunings from them fail until then; all else runs."
    )
