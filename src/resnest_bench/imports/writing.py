"""Imported results as a study: a config, study.json, and one record for each job. All of it or nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from resnest_bench import records
from resnest_bench.digests import json_digest
from resnest_bench.errors import UserError
from resnest_bench.files import write_text
from resnest_bench.imports.assemble import Imports
from resnest_bench.imports.runs import UNKNOWN_DATA, ImagePredictions
from resnest_bench.paths import Job, StudyPaths, check_name
from resnest_bench.records import Record, pack_bits
from resnest_bench.records.imports import ImageResults, ImportedResults
from resnest_bench.records.observations import DatasetIdentity, JobIdentity
from resnest_bench.records.predictions import (
    keep_classes,
    write_predicted_classes,
    write_predictions,
)
from resnest_bench.specs import ImportedBlock, StudySpec, dump_study, load_study, read_yaml
from resnest_bench.specs.load import study_from_config
from resnest_bench.words import count_noun, list_names

HEADER = (
    "# Written by `resnest-bench import` and `evaluate`: results from elsewhere (docs/import.md), and of further\n"
    "# test sets (docs/deploy.md).\n"
)
SMALLEST = 1e-30


@dataclass(frozen=True)
class Target:
    """The study that results go to: its config, the list of what was imported, and its results.

    `spec` is that of an existing study, or None for a new one.
    """

    name: str
    config: Path
    sheet: Path
    paths: StudyPaths
    spec: StudySpec | None = None


def new_target(name: str, results: Path) -> Target:
    """A study of its own. Raises UserError if there is one of this name."""
    try:
        check_name(name)
    except ValueError as error:
        raise UserError(f"--as names the new study: {error}") from None
    folder, paths = Path("config") / name, StudyPaths(results / name)
    taken = [folder, paths.root]
    for parent in (folder.parent, results):
        if parent.is_dir():
            # Two names that differ only in case are one folder on some file systems.
            taken += [p for p in parent.iterdir() if p.name.lower() == name.lower()]
    for place in taken:
        if place.exists() or place.is_symlink():
            raise UserError(
                f"import makes a new study and never overwrites one, but {place} exists: choose another name with "
                f"--as, or add to that study with --into {folder / 'config.yaml'}"
            )
    return Target(name, folder / "config.yaml", folder / "imported.yaml", paths)


def existing_target(config: Path, results: Path) -> Target:
    """A study that has a config. Raises UserError where it can't be added to."""
    if config.name == "study.json" or config.is_dir():
        raise UserError(
            f"--into names the config file of a study, like config/config.yaml, but got {config}: name the file "
            "that you edit"
        )
    spec = load_study(config)
    return Target(spec.study, config, find_sheet(config), spec.paths(results), spec)


def find_sheet(config: Path) -> Path:
    """Where a config's list of further results is, or will be. Raises UserError for a list in the config."""
    stated = read_yaml(config).get("imported")
    if stated is not None and not isinstance(stated, str):
        raise UserError(
            f"{config}: imported must name a file to add to, but holds a list: move the list to a file of its own, and "
            "write its path there"
        )
    sheet = Path(stated) if stated else config.with_name("imported.yaml")
    if not stated and sheet.exists():
        raise UserError(
            f"no file is overwritten, but {sheet} exists and {config} does not name it: add `imported: {sheet}` to "
            "the config, or move the file away"
        )
    return sheet


def plan_study(target: Target, found: Imports) -> StudySpec:
    """The study with these results. Raises UserError for what it already has, and for wrong names."""
    if target.spec is None:
        return study_from_config(_new_config(target, found, inline=True), str(target.config))
    for job in found.results:
        if job in set(target.spec.jobs()):
            raise UserError(
                f"study {target.name!r} must not have a result yet that is imported, but has {job}: rename the "
                "network with --rename OLD=NEW, or correct the seed"
            )
    merged = merge_blocks([*target.spec.imported, *found.blocks])
    raw = {**target.spec.model_dump(mode="json"), "imported": [_plain(block) for block in merged]}
    raw["variants"] = [v for v in raw["variants"] if v["family"] != "imported"]
    known = {variant.name for variant in target.spec.own_variants}
    for name in {job.variant for job in found.results} & known:
        raise UserError(
            f"an imported network must not have the name of one that the study can run, but {name} has: rename it, "
            f"like --rename {name}={name}-theirs"
        )
    return study_from_config(raw, str(target.config))


def merge_blocks(blocks: list[ImportedBlock]) -> list[ImportedBlock]:
    """One block for each experiment."""
    merged: dict[tuple[str, str, str], ImportedBlock] = {}
    for block in blocks:
        key = (block.kind, block.dataset, block.recipe)
        seeds = dict(merged[key].seeds) if key in merged else {}
        for name, numbers in block.seeds.items():
            seeds[name] = tuple(sorted({*seeds.get(name, ()), *numbers}))
        merged[key] = block.model_copy(update={"seeds": seeds})
    return list(merged.values())


def _plain(block: ImportedBlock) -> dict[str, Any]:
    return block.model_dump(mode="json")


def _new_config(target: Target, found: Imports, inline: bool = False) -> dict[str, Any]:
    labels = {
        **found.labels,
        **({UNKNOWN_DATA: "unknown data"} if UNKNOWN_DATA in found.labels else {}),
    }
    datasets = {
        name: {"source": "imported", **({"label": label} if label != name else {})}
        for name, label in labels.items()
    }
    blocks = [_plain(block) for block in found.blocks]
    timed = any(block["kind"] == "latency" for block in blocks)
    return {
        "study": target.name,
        "datasets": datasets,
        "imported": blocks if inline else target.sheet.as_posix(),
        **({"tables": {"tradeoff": {}}} if timed else {}),
    }


def write_imports(target: Target, spec: StudySpec, found: Imports) -> list[Path]:
    """Write records, config and study.json; return the config's files. What was written goes if one fails."""
    written: list[Path] = []
    try:
        for job, results in found.results.items():
            path = target.paths.record(job)
            record = _make_record(spec, job, results)
            if job in found.predictions:
                written.append(target.paths.predictions(job))
                record = _with_predictions(
                    record, written[-1], found.predictions[job], found.identities
                )
            written.append(path)
            records.write(path, record)
        texts = _config_texts(target, spec, found)
    except BaseException:
        _remove(written, target)
        raise
    return _write_config(target, texts, written)


def write_records(target: Target, spec: StudySpec, made: Mapping[Job, Record]) -> list[Path]:
    """As `write_imports`, of whole records for an existing study."""
    written: list[Path] = []
    try:
        for job, record in made.items():
            written.append(target.paths.record(job))
            records.write(written[-1], record)
        texts = _config_texts(target, spec)
    except BaseException:
        _remove(written, target)
        raise
    return _write_config(target, texts, written)


def _write_config(target: Target, texts: Mapping[Path, str], written: list[Path]) -> list[Path]:
    """Write the config's files, or leave them as they are and remove the records."""
    try:
        before = {path: path.read_bytes() if path.exists() else None for path in texts}
    except BaseException:
        _remove(written, target)
        raise
    try:
        for path, text in texts.items():
            write_text(path, text)
    except BaseException:
        for path, content in before.items():
            if content is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(content)
        _remove(written, target)
        raise
    return [path for path in texts if path != target.paths.study]


def _config_texts(target: Target, spec: StudySpec, found: Imports | None = None) -> dict[Path, str]:
    texts = {target.sheet: dump_sheet(spec.imported)}
    if target.spec is None and found is not None:
        texts[target.config] = _config_text(_new_config(target, found), spec, found)
    else:
        text = target.config.read_text(encoding="utf-8")
        if "imported" not in read_yaml(target.config):
            texts[target.config] = append_line(target.config, text, describe_line(target.sheet))
    texts[target.paths.study] = dump_study(spec)
    return texts


def describe_line(sheet: Path) -> str:
    """The line of a config that names the list of imported results."""
    return str(yaml.safe_dump({"imported": sheet.as_posix()}).strip())


def dump_sheet(blocks: Iterable[ImportedBlock]) -> str:
    """The YAML list of blocks that a config's `imported` names."""
    plain = [_plain(block) for block in blocks]
    return HEADER + yaml.safe_dump(plain, sort_keys=False, default_flow_style=None, width=120)


def append_line(config: Path, text: str, line: str) -> str:
    """The config with one more key. Raises UserError where that needs an editor."""
    longer = f"{text.rstrip()}\n\n{HEADER}{line}\n"
    try:
        same = {**yaml.safe_load(longer)}
        is_kept = same.pop("imported", None) is not None and same == yaml.safe_load(text)
    except (yaml.YAMLError, TypeError):
        is_kept = False
    if not is_kept:
        raise UserError(
            f"{config} must name the imported results, but is in a form to which no line can be added: write "
            f"`{line}` into it, then run the same command again"
        )
    return longer


def _rank_variants(spec: StudySpec, found: Imports) -> list[str]:
    """Names with the highest accuracy first, as far as accuracies are values."""
    values: dict[str, list[float]] = {}
    for job, results in found.results.items():
        if "test_accuracy" in results.values:
            values.setdefault(job.variant, []).append(results.values["test_accuracy"])
    means = {name: float(np.mean(numbers)) for name, numbers in values.items()}
    return sorted(spec.variant_names, key=lambda name: -means.get(name, 0.0))


def _config_text(config: Mapping[str, Any], spec: StudySpec, found: Imports) -> str:
    names = _rank_variants(spec, found)
    one, other = names[0], names[1] if len(names) > 1 else "OTHER"
    metric = "accuracy" if spec.imported_blocks("train") else "latency"
    example = {
        "name": "first",
        "claim": f"{one} is above {other}",
        "test": {"kind": "greater", "metric": metric, "a": [one], "b": [other]},
    }
    shown = yaml.safe_dump([example], sort_keys=False, default_flow_style=None, width=120)
    lines = "\n".join(f"#   {line}" for line in shown.strip().splitlines())
    body = yaml.safe_dump(dict(config), sort_keys=False, default_flow_style=None, width=120)
    return (
        "# Results from elsewhere, written by `resnest-bench import` (docs/import.md). Edit it as any study:\n"
        "# claims are added here, and `resnest-bench tables --study` with this file judges them.\n"
        f"{body}\n# A claim, to be made your own (config/README.md has all kinds of tests):\n# claims:\n{lines}\n"
    )


def _make_record(spec: StudySpec, job: Job, results: ImportedResults) -> Record:
    return Record(
        job=JobIdentity(**vars(job)),
        status="ok",
        failure=None,
        spec=spec.job_spec(job),
        code_digest="",
        dataset=None,
        train=None,
        latency=None,
        environment=None,
        started_at=None,
        finished_at=None,
        imported=results.model_copy(
            update={"dataset_label": getattr(spec.dataset(job.dataset), "label", "") or None}
        ),
    )


def fingerprint_images(found: ImagePredictions) -> str:
    """SHA-256 (hex) of images, labels and classes: results with the same one can be compared image by image."""
    return json_digest([found.images, found.labels, list(found.classes)])


def _with_predictions(
    record: Record,
    path: Path,
    found: ImagePredictions,
    identities: Mapping[str, DatasetIdentity],
) -> Record:
    """The record with the results of each image, whose file is written."""
    numbers = {name: index for index, name in enumerate(found.classes)}
    labels_N = np.array([numbers[name] for name in found.labels])
    predicted_N = np.array([numbers[name] for name in found.predicted])
    num_classes = len(found.classes)
    if found.probabilities_NK is not None:
        logs_NK = np.log(np.maximum(found.probabilities_NK, SMALLEST))
        kept = write_predictions(path, labels_N, predicted_N, logs_NK)
    else:
        classes = keep_classes(labels_N, predicted_N, num_classes, found.top_probability_N)
        kept = write_predicted_classes(path, classes)
    assert record.imported is not None
    images = ImageResults(
        num_test=len(labels_N),
        test_correct=pack_bits(labels_N == predicted_N),
        test_predictions_per_class=np.bincount(predicted_N, minlength=num_classes).tolist(),
        predictions=kept,
    )
    dataset = record.job.dataset
    identity = DatasetIdentity(
        name=dataset,
        label=record.imported.dataset_label or dataset,
        fingerprint=fingerprint_images(found),
        num_train=None,
        num_validation=None,
        num_test=len(labels_N),
        classes=list(found.classes),
        test_images_per_class=np.bincount(labels_N, minlength=num_classes).tolist(),
    )
    identity = identities.get(dataset, identity)
    imported = record.imported.model_copy(update={"images": images})
    return record.model_copy(update={"dataset": identity, "imported": imported})


def _remove(written: list[Path], target: Target) -> None:
    """Delete files, and the folders that are empty then."""
    for path in written:
        path.unlink(missing_ok=True)
    folders = {parent for path in [*written, target.config] for parent in path.parents}
    for folder in sorted(folders, key=lambda path: -len(path.parts)):
        inside = target.paths.root in (folder, *folder.parents) or folder == target.config.parent
        if inside and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def describe(found: Imports) -> list[str]:
    """What was understood, as lines for a terminal."""
    lines = []
    for block in found.blocks:
        counts = {len(numbers) for numbers in block.seeds.values()}
        repeat = "round" if block.kind == "latency" else "seed"
        many = " to ".join(map(str, sorted({min(counts), max(counts)})))
        what = "latencies" if block.kind == "latency" else "trainings"
        lines.append(
            f"{what} on {block.dataset} ({block.recipe}): {count_noun(len(block.seeds), 'network')}, {many} "
            f"{repeat}{'' if many == '1' else 's'} each: {list_names(block.seeds, 8)}"
        )
    unknown = dict.fromkeys(text for results in found.results.values() for text in results.unknown)
    return [*found.notes, *lines, f"unknown: {', '.join(unknown)}"]
