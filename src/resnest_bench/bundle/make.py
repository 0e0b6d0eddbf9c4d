"""Make the archive: the exported networks, the protocol, the runner, and a list of contents with digests."""

import gzip
import hashlib
import inspect
import io
import json
import logging
import re
import tarfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from resnest_bench.bundle import measuring, runner
from resnest_bench.bundle.networks import (
    COPY_BYTES,
    NO_TRAINING,
    TOLERANCE,
    export_network,
    export_probes,
    export_reference,
)
from resnest_bench.data import open_prepared
from resnest_bench.deploy.problems import ExportError
from resnest_bench.errors import UserError
from resnest_bench.files import write_bytes
from resnest_bench.measure.identity import dataset_identity
from resnest_bench.paths import Job, StudyPaths
from resnest_bench.specs import StudySpec
from resnest_bench.specs.blocks import LatencyBlock
from resnest_bench.words import list_names

log = logging.getLogger(__name__)

# The import of the other part of the runner, in whose place that part stands in run.py.
IMPORT = re.compile(r"^from resnest_bench\.bundle\.measuring import \(\n.*?^\)\n", re.M | re.S)
DOCSTRING = re.compile(r'^""".*?^"""\n', re.M | re.S)
FUTURE = "from __future__ import annotations\n"
README = """\
Networks of the study {study}, to be timed on this device.

    pip install numpy onnxruntime
    python run.py --device-name "Raspberry Pi 5"

It takes about {minutes} minutes on a device as fast as the one that made this archive needs per call. Stopped at
any time, the same command goes on. Take the results file back: resnest-bench import FILE --into CONFIG
"""


@dataclass(frozen=True)
class Bundle:
    """An archive that was written: its networks, and why others are left out."""

    path: Path
    networks: tuple[str, ...]
    left_out: dict[str, str]
    trained: tuple[str, ...]
    num_bytes: int


def join_runner() -> str:
    """The text of run.py: both parts of the runner in one file that imports nothing of the project."""
    own, part = inspect.getsource(runner), inspect.getsource(measuring)
    body = DOCSTRING.sub("", part, count=1).replace(FUTURE, "", 1)
    return IMPORT.sub(lambda _: body.strip("\n") + "\n", own, count=1)


def choose_block(study: StudySpec, dataset: str | None, protocol: str | None) -> LatencyBlock:
    """The first latency block with this dataset and protocol. Raises UserError without any."""
    for block in study.latency:
        if dataset in (None, block.dataset) and protocol in (None, block.protocol):
            return block
    known = [f"{block.dataset} by {block.protocol}" for block in study.latency]
    raise UserError(
        f"a bundle holds what a latency block of the study times, but {study.study!r} has "
        f"{list_names(known, 5) or 'none'}: add one under `latency:`, or correct --dataset and --protocol"
    )


def find_weights(study: StudySpec, paths: StudyPaths, dataset: str, variant: str) -> Path | None:
    """The kept weights of the first training of a variant on a dataset, if there are some."""
    kept = (
        paths.weights(job)
        for job in study.own_jobs()
        if job.kind == "train" and (job.dataset, job.variant) == (dataset, variant)
    )
    return next((path for path in kept if path.exists()), None)


def make_bundle(
    study: StudySpec,
    paths: StudyPaths,
    output: Path,
    dataset: str | None = None,
    protocol: str | None = None,
    use_trained: bool = True,
) -> Bundle:
    """Write the archive; return what it holds. A network that can't be exported is left out, with the reason.

    Raises UserError for a study without latencies, for data that is not prepared, and if no network can
    be exported.
    """
    block = choose_block(study, dataset, protocol)
    data = open_prepared(study.prepared(block.dataset))
    timing = study.protocol(block.protocol)
    image = {"size": data.meta.image_size, "channels": data.meta.num_channels}
    files: dict[str, bytes] = {}
    networks: list[dict[str, Any]] = []
    left_out: dict[str, str] = {}
    for name in _list_variants(study, block):
        weights = find_weights(study, paths, block.dataset, name) if use_trained else None
        log.info("exporting %s", name)
        try:
            made = export_network(study.variant(name), len(data.meta.classes), image, weights)
        except ExportError as error:
            log.warning("left out: %s: %s", name, error)
            left_out[name] = str(error)
            continue
        file = f"networks/{name}.onnx"
        files[file] = made.content
        spec = study.job_spec(Job("latency", block.dataset, block.protocol, name, 0))
        networks.append(
            {
                "variant": name,
                "file": file,
                "sha256": hashlib.sha256(made.content).hexdigest(),
                "spec": spec,
                "digest": runner.digest(spec),
                "weights": str(weights.relative_to(paths.root)) if weights else NO_TRAINING,
                **made.facts,
            }
        )
    if not networks:
        why = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise UserError(f"a bundle needs a network that can be exported to ONNX, but: {why}")
    reference_image = {**image, "channels": 3}
    files["networks/reference.onnx"] = export_reference(timing, reference_image)
    probes = []
    for file, content, facts in export_probes():
        files[f"networks/{file}"] = content
        probes.append({"file": f"networks/{file}", **facts})
    files["run.py"] = join_runner().encode()
    manifest = {
        "format": runner.FORMAT,
        "made_by": f"resnest-bench {version('resnest-bench')}",
        "study": study.study,
        "dataset": dataset_identity(data, len(data.train), 0).model_dump(mode="json"),
        "image": image,
        "num_classes": len(data.meta.classes),
        "protocol_name": block.protocol,
        "protocol": timing.as_dict(),
        "rounds": block.rounds,
        "networks": networks,
        "reference": {"file": "networks/reference.onnx", "image": reference_image},
        "probes": probes,
        "copy_bytes": COPY_BYTES,
        "tolerance": TOLERANCE,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    files[runner.MANIFEST] = (json.dumps(manifest, indent=1, allow_nan=False) + "\n").encode()
    seconds = timing.min_seconds + timing.warmup_seconds
    minutes = block.rounds * len(networks) * (len(timing.batch_sizes) + 1) * seconds / 60
    files["README.txt"] = README.format(study=study.study, minutes=max(1, round(minutes))).encode()
    archive = _pack(f"{study.study}-bundle", files)
    write_bytes(output, archive)
    trained = tuple(one["variant"] for one in networks if one["weights"] != NO_TRAINING)
    names = tuple(one["variant"] for one in networks)
    return Bundle(output, names, left_out, trained, len(archive))


def _list_variants(study: StudySpec, block: LatencyBlock) -> list[str]:
    jobs = study.own_jobs()
    place = ("latency", block.dataset, block.protocol)
    return list(dict.fromkeys(job.variant for job in jobs if job.experiment == place))


def _pack(folder: str, files: dict[str, bytes]) -> bytes:
    """A .tar.gz with one folder; the same files give the same bytes."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, compresslevel=3) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for name, content in files.items():
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
