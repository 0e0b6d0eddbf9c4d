"""Where a figure comes from: one record with its machine, its code and its data."""

import json
import shlex
from collections.abc import Mapping

import pandas as pd
import streamlit as st

import address
import data
import views
from resnest_bench.paths import Job
from resnest_bench.records import Record
from resnest_bench.records.elsewhere import MeasuredElsewhere
from resnest_bench.records.imports import UNKNOWN, ImportedResults
from resnest_bench.records.observations import DatasetIdentity

MAX_JSON_BYTES = 2**20
RECORD = "record"
KEY = ["kind", "dataset", "recipe", "variant", "seed"]


def job_key(job: Job) -> str:
    return f"{job.kind}/{job.dataset}/{job.recipe}/{job.variant}/{job.seed}"


def job_keys(runs: pd.DataFrame) -> list[str]:
    """The key of each row's job."""
    return ["/".join(map(str, row)) for row in runs[KEY].itertuples(index=False)]


def choose(loaded: data.Loaded, jobs: Mapping[str, Job]) -> None:
    """A job picked in the table, in the URL or here; only jobs of the study can be."""
    name = address.pick_or_none(
        "Record",
        list(jobs),
        RECORD,
        placeholder="kind / dataset / recipe / variant / seed or round",
    )
    if name is not None:
        show(loaded, jobs[name])


def show(loaded: data.Loaded, job: Job) -> None:
    outcome = loaded.results.read_outcomes([job])[0]
    head = f"{views.plain(str(job))}: **{views.plain(outcome.status)}**"
    st.markdown(head + (f" ({views.plain(outcome.reason)})" if outcome.reason else ""))
    if loaded.study.is_imported(job):
        st.caption("Imported, or made by `resnest-bench evaluate`: no run makes it again.")
    else:
        st.caption("Run this job again:")
        st.code(rerun_command(loaded, job), language="sh", wrap_lines=True)
    if outcome.record is None:
        return
    facts, raw = st.tabs(["Origin", "Raw record"])
    with facts:
        st.dataframe(
            list_facts(outcome.record),
            hide_index=True,
            width="stretch",
            column_config={"value": st.column_config.TextColumn(width="large")},
        )
    with raw:
        text = outcome.path.read_text(encoding="utf-8")
        st.download_button(
            "JSON",
            text,
            f"{job.kind}_{job.variant}_{job.seed}.json",
            "application/json",
            icon=":material/download:",
            on_click="ignore",
        )
        if len(text) <= MAX_JSON_BYTES:
            # As code: a viewer that makes links or pictures of texts would follow a record's.
            st.code(text, language="json", height=420)
        else:
            st.caption(f"{len(text) / 2**20:.1f} MiB is too long to show here: download it.")


def list_facts(record: Record) -> pd.DataFrame:
    """Environment, code, data and times as two columns of texts."""
    environment = record.environment.model_dump() if record.environment else {}
    versions = environment.pop("versions", {})
    facts = {} if record.imported is None else _describe_import(record.imported)
    if record.elsewhere is not None:
        facts |= _describe_elsewhere(record.elsewhere)
    facts |= {
        "started": record.started_at,
        "finished": record.finished_at,
        "code digest": record.code_digest,
        **environment,
        "versions": ", ".join(f"{k} {v}" for k, v in versions.items()),
    }
    if record.dataset:
        seen = record.dataset
        facts |= {
            "data": seen.label,
            "data fingerprint": seen.fingerprint,
            "images": _describe_images(seen),
            "classes": ", ".join(_describe_classes(seen)),
            "duplicate images": seen.duplicates and seen.duplicates.model_dump(),
        }
    facts |= {"spec": json.dumps(record.spec, ensure_ascii=False)}
    rows = [
        {"fact": name.replace("_", " "), "value": _text(value)} for name, value in facts.items()
    ]
    return pd.DataFrame(rows)


def _describe_elsewhere(elsewhere: MeasuredElsewhere) -> dict[str, object]:
    return {
        "imported from": elsewhere.file,
        "SHA-256 of the file": elsewhere.sha256,
        "imported": elsewhere.imported_at,
        "bundle": elsewhere.bundle,
        "network's file": elsewhere.onnx_sha256,
        "weights": elsewhere.weights,
        **elsewhere.facts,
    }


def _describe_import(imported: ImportedResults) -> dict[str, object]:
    facts: dict[str, object] = {}
    for number, source in enumerate(imported.sources, start=1):
        which = f" ({number})" if len(imported.sources) > 1 else ""
        facts |= {
            f"imported from{which}": source.file,
            f"its SHA-256{which}": source.sha256,
            f"imported{which}": source.imported_at,
            f"columns{which}": "; ".join(f"{k}: {v}" for k, v in source.columns.items()),
        }
    if imported.evaluation:
        seen = imported.evaluation
        facts |= {
            "evaluated network": str(seen.trained.job),
            "SHA-256 of its weights": seen.weights_sha256,
            "code digest of the evaluation": seen.code_digest,
            "evaluated": seen.evaluated_at,
        }
    return facts | {
        "run": imported.run,
        "device": imported.device or UNKNOWN,
        "unknown": ", ".join(imported.unknown),
    }


def _describe_images(seen: DatasetIdentity) -> str:
    counts = {"train": seen.num_train, "validation": seen.num_validation, "test": seen.num_test}
    return ", ".join(f"{UNKNOWN if n is None else n} {part}" for part, n in counts.items())


def _describe_classes(seen: DatasetIdentity) -> list[str]:
    """Each class with its training and test images, as far as the record says them."""
    if not seen.train_images_per_class:
        return seen.classes
    counts = zip(seen.classes, seen.train_images_per_class, seen.test_images_per_class, strict=True)
    return [f"{name} ({train:,} train, {test:,} test)" for name, train, test in counts]


def _text(value: object) -> str:
    if value is None:
        return "–"
    return json.dumps(value) if isinstance(value, dict) else str(value)


def rerun_command(loaded: data.Loaded, job: Job) -> str:
    """The workflow's command for this record alone: everything that it needs comes before it."""
    study = shlex.quote(loaded.paths.study.as_posix())
    own = loaded.study.paths().record(job).as_posix()
    return (
        f"snakemake --cores 1 --resources gpu=1 --configfile {study} --force -- {shlex.quote(own)}"
    )
