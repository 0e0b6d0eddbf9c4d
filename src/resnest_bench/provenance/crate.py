"""A study as a Workflow Run RO-Crate, profile Provenance Run Crate 0.5.

Profiles: https://www.researchobject.org/workflow-run-crate/. The crate has the workflow, `study.json`, the
records, tables and figures as files; each record is the result of an action with its inputs. Prepared images
and weights stay where they are: the crate has their digests.
"""

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rocrate.model.contextentity import ContextEntity
from rocrate.model.data_entity import DataEntity
from rocrate.rocrate import ROCrate

from resnest_bench import __version__
from resnest_bench.errors import UserError
from resnest_bench.files import replacing
from resnest_bench.paths import StudyPaths
from resnest_bench.provenance.actions import (
    AGENT,
    Entity,
    describe_licence,
    environment_file,
    link,
    run_entities,
)
from resnest_bench.provenance.croissant import describe_datasets
from resnest_bench.provenance.licences import NOT_STATED
from resnest_bench.provenance.relative import cut_file
from resnest_bench.provenance.workflow import SNAKEFILE, workflow_entities
from resnest_bench.records import Record
from resnest_bench.specs import StudySpec, dump_study
from resnest_bench.status.outcomes import outcomes

WORKFLOW_RO_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
RUN_TERMS = "https://w3id.org/ro/terms/workflow-run/context"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/provenance/0.5": ("Provenance Run Crate", "0.5"),
    WORKFLOW_RO_CRATE: ("Workflow RO-Crate", "1.0"),
}
# Of the study's folder; a Parquet file has the rows of the CSV file next to it.
FOLDERS = {"tables": "Tables", "figures": "Figures", "adaptive": "Looks", "search": "Rounds"}
LEFT_OUT = (".parquet",)
TEXTS = (".json", ".csv", ".md", ".tex", ".smk", ".yaml", ".yml", ".svg", ".rst", ".txt")
TYPES = {
    ".json": "application/json",
    ".jsonld": "application/ld+json",
    ".csv": "text/csv",
    ".md": "text/markdown",
    ".tex": "application/x-tex",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".npz": "application/x-npz",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}
# Zip files have dates from 1980 on: the same crate is the same bytes.
ZIP_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Credits:
    """Who ran the study, and under which licence its results are."""

    agent: str = ""
    orcid: str = ""
    licence: str = ""


def write_crate(
    study: StudySpec, paths: StudyPaths, project: Path, out: Path, credits: Credits
) -> Path:
    """Write a study as a crate, a folder or (`out` ends in .zip) an archive; return `out`.

    Absolute paths in its texts are cut to their last part. `project` has `workflow/`. Raises UserError if
    there is no record, or `out` exists and is no file that can be replaced.
    """
    is_zip = out.suffix == ".zip"
    if out.exists() and (not is_zip or out.is_dir()):
        raise UserError(
            f"--out must be a new folder or a .zip file, but {out} exists: name another one, or delete it"
        )
    made = [o for o in outcomes(study, paths) if o.record is not None]
    if not made:
        raise UserError(
            f"a crate describes runs, but {paths.root} has no record: run the study first, with "
            "`resnest-bench run`"
        )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as temporary:
            folder = Path(temporary) / "crate"
            records = {paths.record_name(o.job): o.record for o in made if o.record}
            _fill(folder, study, paths, project, records, credits)
            if is_zip:
                with replacing(out) as archive:
                    _pack(folder, archive)
            else:
                folder.rename(out)
    except OSError as error:
        raise UserError(
            f"cannot write {out}: {error.strerror or error}: free space or name another place"
        ) from error
    return out


def _pack(folder: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for path in sorted(folder.rglob("*")):
            # A folder has an entry of its own: the metadata name it.
            is_folder = path.is_dir()
            name = path.relative_to(folder).as_posix() + "/" * is_folder
            info = zipfile.ZipInfo(name, ZIP_DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (0o40755 if is_folder else 0o100644) << 16
            target.writestr(info, b"" if is_folder else path.read_bytes())


def _fill(
    folder: Path,
    study: StudySpec,
    paths: StudyPaths,
    project: Path,
    records: dict[str, Record],
    credits: Credits,
) -> None:
    """Write all files of the crate and its metadata to `folder`."""
    _write(folder / "study.json", dump_study(study).encode())
    for path in _workflow_files(project):
        _write(folder / path.relative_to(project), path.read_bytes())
    for name in FOLDERS:
        for path in sorted((paths.root / name).glob("*.*")):
            if path.suffix not in LEFT_OUT:
                _write(folder / name / path.name, path.read_bytes())
    for name in records:
        for path in (paths.root / name, (paths.root / name).with_suffix(".npz")):
            if path.is_file():
                _write(folder / path.relative_to(paths.root), path.read_bytes())
    described = describe_datasets(study, records.values())
    for name, metadata in described.items():
        text = json.dumps(metadata, indent=1, ensure_ascii=False) + "\n"
        _write(folder / "data" / f"{name}.croissant.jsonld", text.encode())
    for name, text in _environments(records.values()).items():
        _write(folder / name, text.encode())
    _write(folder / "README.md", _readme(study).encode())
    crate = _describe(folder, study, records, credits)
    crate.metadata.write(folder)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cut_file(path.name, content) if path.suffix in TEXTS else content)


def _workflow_files(project: Path) -> Iterator[Path]:
    """The workflow's own files, without what Snakemake and Python leave there."""
    for path in sorted((project / "workflow").rglob("*")):
        parts = path.relative_to(project).parts
        if path.is_file() and not any(p.startswith((".", "__")) for p in parts):
            yield path
    yield project / "environment.yml"


def _environments(records: Iterable[Record]) -> dict[str, str]:
    """Machine and software of the records: one file for each distinct one, by name."""
    return {
        environment_file(r.environment): r.environment.model_dump_json(indent=1) + "\n"
        for r in records
        if r.environment
    }


def _readme(study: StudySpec) -> str:
    return (
        f"# {study.study}\n\n"
        f"A study by resnest-bench {__version__} as a Workflow Run RO-Crate: `ro-crate-metadata.json`\n"
        "says what ran, from what, on which machine.\n\n"
        "`study.json` is the whole configuration, `records/` the raw results, `tables/` and `figures/`\n"
        "what was made of them, `data/` the data sets as Croissant, `environments/` machines and software.\n"
        "Absolute paths in these files are cut to their last part.\n\n"
        "To read it: put this folder under `results/`, then `resnest-bench dashboard`, or\n"
        "`resnest-bench export FOLDER`.\n"
    )


def _describe(
    folder: Path, study: StudySpec, records: dict[str, Record], credits: Credits
) -> ROCrate:
    """The crate's metadata: an entity for each file, the runs, and what they used."""
    crate = ROCrate(version="1.1")
    crate.metadata.extra_contexts.append(RUN_TERMS)
    crate.metadata["conformsTo"] = [
        {"@id": "https://w3id.org/ro/crate/1.1"},
        {"@id": WORKFLOW_RO_CRATE},
    ]
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            crate.add(_file(crate, folder, path))
    licence = describe_licence(credits.licence or NOT_STATED)
    entities = [
        *run_entities(study, folder, records, credits.agent, credits.orcid),
        *workflow_entities(records.values()),
        licence,
    ]
    for entity in entities:
        _add(crate, entity)
    for identifier, (name, version) in PROFILES.items():
        crate.add(
            ContextEntity(
                crate,
                identifier,
                {"@type": "CreativeWork", "name": name, "version": version},
            )
        )
    root = crate.root_dataset
    root["name"] = f"{study.study}: image classifiers compared by resnest-bench"
    root["description"] = (
        f"{len(records)} runs of the study {study.study}: accuracies and latencies of "
        f"{len(study.variant_names)} networks, with records, tables and figures."
    )
    ends = [r.finished_at for r in records.values() if r.finished_at]
    # The date of the results, not of this file: the same study is the same crate.
    root["datePublished"] = max(ends, default="1970-01-01T00:00:00+00:00")
    root["license"] = link(licence["@id"])
    if credits.agent:
        root["author"] = link(credits.orcid or AGENT)
    root["mainEntity"] = link(SNAKEFILE)
    root["conformsTo"] = [link(name) for name in PROFILES]
    root["mentions"] = [link(e["@id"]) for e in entities if e.get("@type") == "CreateAction"]
    return crate


def _file(crate: ROCrate, folder: Path, path: Path) -> DataEntity:
    name = path.relative_to(folder).as_posix()
    more: dict[str, Any] = {"encodingFormat": TYPES.get(path.suffix, "text/plain")}
    if name == "README.md":
        more["about"] = link("./")
    content = path.read_bytes()
    more |= {"contentSize": str(len(content)), "sha256": hashlib.sha256(content).hexdigest()}
    return DataEntity(crate, name, {"@type": "File", "name": name, **more})


def _add(crate: ROCrate, entity: Entity) -> None:
    """Add an entity, or its properties to the file that it describes."""
    # Of a list with one item, RO-Crate wants the item.
    entity = {k: v[0] if isinstance(v, list) and len(v) == 1 else v for k, v in entity.items()}
    known = crate.dereference(entity["@id"])
    if known is not None:
        known.properties().update(entity)
    else:
        kind = DataEntity if entity["@id"].endswith("/") else ContextEntity
        crate.add(kind(crate, entity["@id"], {k: v for k, v in entity.items() if k != "@id"}))
