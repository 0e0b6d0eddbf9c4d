"""Each record as the result of an action: what ran when, from which inputs, by whom."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from resnest_bench.digests import json_digest
from resnest_bench.provenance.relative import cut_json, cut_paths
from resnest_bench.records import Record
from resnest_bench.records.observations import Environment, WeightsObservation
from resnest_bench.specs import StudySpec

Entity = dict[str, Any]

ENGINE = "https://snakemake.github.io"
IMPORT = "import"
KIND_ORDER = ("train", "finetune", "deploy", "latency", IMPORT)
COMPLETED = "http://schema.org/CompletedActionStatus"
FAILED = "http://schema.org/FailedActionStatus"
RUN = "#run"
AGENT = "#agent"


def link(name: str) -> dict[str, str]:
    """A reference to an entity."""
    return {"@id": name}


def tool_name(kind: str) -> str:
    return f"#tool-{kind}"


def step_name(kind: str) -> str:
    return f"#step-{kind}"


def record_kind(record: Record) -> str:
    """The command that made a record: a kind of job, or `import` for results from elsewhere."""
    return IMPORT if record.imported or record.elsewhere else record.job.kind


def list_kinds(records: Iterable[Record]) -> list[str]:
    """The commands that made the records, in the order in which a study calls them."""
    kinds = {record_kind(record) for record in records}
    return [kind for kind in KIND_ORDER if kind in kinds]


def environment_file(environment: Environment) -> str:
    """The file of a machine and its software in the crate: equal ones share it."""
    return f"environments/{json_digest(environment.model_dump(mode='json'))[:12]}.json"


def run_entities(
    study: StudySpec, folder: Path, records: Mapping[str, Record], agent: str, orcid: str
) -> list[Entity]:
    """The run of the workflow, one action for each record, and their inputs.

    Args:
        folder: of the crate, whose files are there already.
        records: by their name in the crate.
        agent: who ran the study; empty if unknown.
        orcid: address that identifies the agent; empty if unknown.
    """
    who = {"agent": link(orcid or AGENT)} if agent else {}
    entities: dict[str, Entity] = {}
    controls = []
    for name, record in records.items():
        action = _action(folder, name, record, entities) | who
        entities[action["@id"]] = action
        if record_kind(record) != IMPORT:
            controls.append(_control(action, record))
    used = [e for key, e in entities.items() if key.startswith("#data-")]
    starts = [r.started_at for r in records.values() if r.started_at]
    ends = [r.finished_at for r in records.values() if r.finished_at]
    run: Entity = {
        "@id": RUN,
        "@type": "CreateAction",
        "name": f"Run of the study {study.study}",
        "description": f"{len(records)} jobs, whose records tables and figures are made of.",
        "instrument": link("workflow/Snakefile"),
        "object": [link("study.json"), *(link(e["@id"]) for e in used)],
        "result": [link(f"{part}/") for part in _folders(folder)],
        **({"startTime": min(starts)} if starts else {}),
        **({"endTime": max(ends)} if ends else {}),
        **who,
    }
    made = [run, *entities.values(), *controls, *_datasets(folder)]
    if controls:
        made.append(
            {
                "@id": "#engine-run",
                "@type": "OrganizeAction",
                "name": "Run of Snakemake",
                "instrument": link(ENGINE),
                "object": [link(control["@id"]) for control in controls],
                "result": link(RUN),
                **who,
            }
        )
    if agent:
        made.append({"@id": orcid or AGENT, "@type": "Person", "name": agent})
    return made


def describe_licence(licence: str) -> Entity:
    """A licence as an entity: an SPDX name, an address, or any text."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]*", licence):
        name = f"https://spdx.org/licenses/{licence}"
    else:
        name = licence if re.match(r"https?://\S+$", licence) else "#licence"
    return {"@id": name, "@type": "CreativeWork", "name": licence, "description": licence}


def _folders(folder: Path) -> list[str]:
    return [name for name in ("records", "tables", "figures") if (folder / name).is_dir()]


def _datasets(folder: Path) -> list[Entity]:
    """The folders of results, with their files."""
    parts = []
    for name in _folders(folder):
        files = sorted(p for p in (folder / name).rglob("*") if p.is_file())
        parts.append(
            {
                "@id": f"{name}/",
                "@type": "Dataset",
                "name": name,
                "hasPart": [link(p.relative_to(folder).as_posix()) for p in files],
            }
        )
    return parts


def _control(action: Entity, record: Record) -> Entity:
    return {
        "@id": action["@id"].replace("#action-", "#control-", 1),
        "@type": "ControlAction",
        "name": f"Snakemake: {record.job.job}",
        "instrument": link(step_name(record.job.kind)),
        "object": link(action["@id"]),
    }


def _action(folder: Path, name: str, record: Record, entities: dict[str, Entity]) -> Entity:
    """The action whose result is the record `name`; what it used is added to `entities`."""
    inputs, results = [link("study.json")], [link(name)]
    predictions = Path(name).with_suffix(".npz").as_posix()
    if (folder / predictions).is_file():
        results.append(link(predictions))
    if record.dataset:
        inputs.append(_remember(entities, _data(folder, record)))
    if record.environment:
        inputs.append(link(environment_file(record.environment)))
    if record.train:
        for weights in (record.train.initial_weights, record.train.teacher):
            if weights:
                inputs.append(_remember(entities, _weights(weights)))
        if digest := record.train.final_weights_sha256:
            results.append(_remember(entities, _file_elsewhere(digest, f"weights of {name}")))
    for source in _sources(record):
        inputs.append(_remember(entities, source))
    inputs.append(_remember(entities, _code(record)))
    return {
        "@id": "#action-" + name.removeprefix("records/").removesuffix(".json"),
        "@type": "CreateAction",
        "name": str(record.job.job),
        "description": _describe(record),
        "instrument": link(tool_name(record_kind(record))),
        "object": inputs,
        "result": results,
        **_times(record),
        "actionStatus": FAILED if record.failure else COMPLETED,
        **({"error": cut_paths(record.failure.reason)} if record.failure else {}),
    }


def _times(record: Record) -> Entity:
    times = {"startTime": record.started_at, "endTime": record.finished_at}
    return {name: time for name, time in times.items() if time}


def _describe(record: Record) -> str:
    environment = record.environment
    if environment is None:
        return "Results from elsewhere: machine and software are unknown."
    changes = ", with uncommitted changes" if environment.git_dirty else ""
    torch = environment.versions.get("torch", "unknown")
    return (
        f"On {environment.device_name}, {environment.num_cpu_threads} CPU threads, torch {torch}, "
        f"commit {environment.git_commit or 'unknown'}{changes}."
    )


def _remember(entities: dict[str, Entity], entity: Entity) -> dict[str, str]:
    entities.setdefault(entity["@id"], entity)
    return link(entity["@id"])


def _data(folder: Path, record: Record) -> Entity:
    assert record.dataset
    seen, croissant = record.dataset, f"data/{record.job.dataset}.croissant.jsonld"
    return {
        "@id": f"#data-{seen.name}-{seen.fingerprint[:12]}",
        "@type": "CreativeWork",
        "name": seen.label,
        "identifier": f"sha256:{seen.fingerprint}",
        **({"subjectOf": link(croissant)} if (folder / croissant).is_file() else {}),
    }


def _weights(weights: WeightsObservation) -> Entity:
    source = str(cut_json(weights.source))
    if not weights.sha256:
        name = f"#weights-{json_digest(source)[:12]}"
        return {"@id": name, "@type": "CreativeWork", "name": source}
    licence = {"license": weights.license} if weights.license else {}
    return _file_elsewhere(weights.sha256, source) | licence


def _file_elsewhere(digest: str, name: str) -> Entity:
    """A file that is not in the crate, by its SHA-256."""
    return {
        "@id": f"#sha256-{digest}",
        "@type": "CreativeWork",
        "name": name,
        "sha256": digest,
    }


def _sources(record: Record) -> list[Entity]:
    """The files that results from elsewhere were imported from."""
    sources = list(record.imported.sources) if record.imported else []
    made = [_file_elsewhere(one.sha256, str(cut_json(one.file))) for one in sources]
    if record.elsewhere:
        made.append(_file_elsewhere(record.elsewhere.sha256, record.elsewhere.file))
    return made


def _code(record: Record) -> Entity:
    return {
        "@id": f"#code-{record.code_digest[:12]}",
        "@type": "PropertyValue",
        "name": "code digest",
        "description": "SHA-256 of the code that the result depends on",
        "value": record.code_digest,
    }
