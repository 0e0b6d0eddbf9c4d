"""`python -m resnest_bench.cli.store ... -- COMMAND`: run a job whose files are in an S3 store (docs/decisions/027).

Snakemake moves what a rule declares. This moves what jobs share besides: prepared arrays, weights,
predictions, and the checkpoints of a training, which must reach the store even if the job is killed.
A file has the same name in the store and in the working folder; only checkpoints lie in the store under
the name of their job.
"""

import argparse
import hashlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resnest_bench import files
from resnest_bench.errors import UserError
from resnest_bench.paths import TRAINING_KINDS, DataPaths, Job, StudyPaths
from resnest_bench.specs import StudySpec, load_study

log = logging.getLogger(__name__)

# How often a running training's new checkpoints are looked for.
PUSH_SECONDS = float(os.environ.get("RESNEST_BENCH_STORE_SECONDS", "10"))
# Larger objects have several parts, and an ETag that is no MD5. S3 takes 5 GB in one part.
LARGEST_PART = 5 * 1024**3 - 1


@dataclass(frozen=True)
class Folder:
    """A folder of files here, and the prefix of their keys in the store, which ends with '/'."""

    here: Path
    prefix: str


@dataclass(frozen=True)
class Needs:
    """What a job takes from the store, and what it brings there besides its declared outputs."""

    pull: list[Folder] = field(default_factory=list)
    push: list[Folder] = field(default_factory=list)


class Store:
    """The objects below `address`, s3://BUCKET/PREFIX.

    Endpoint and credentials come from the environment, as for every program that uses boto3:
    AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY.
    """

    def __init__(self, address: str) -> None:
        self.bucket, self.root = split_address(address)
        try:
            import boto3
            from boto3.s3.transfer import TransferConfig
        except ModuleNotFoundError as error:
            raise UserError(
                "a store needs boto3, which is not installed: run `pip install 'resnest-bench[storage]'`"
            ) from error
        self.client: Any = boto3.client("s3")
        self.transfer = TransferConfig(multipart_threshold=LARGEST_PART)
        # Stamps of the files that are in the store as they are here: path to (inode, time, size), key.
        self.stored: dict[Path, tuple[tuple[int, int, int], str]] = {}

    def pull(self, folder: Folder) -> None:
        """Download what the store has of `folder`, unless the file here is the same or newer."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=self.root + folder.prefix
        )
        for page in pages:
            for found in page.get("Contents", []):
                name = found["Key"].removeprefix(self.root + folder.prefix)
                path = folder.here / name if name else folder.here
                if not path.resolve().is_relative_to(Path.cwd()):
                    continue
                if not is_current(path, found):
                    with files.replacing(path) as temporary:
                        self.client.download_file(self.bucket, found["Key"], str(temporary))
                self.stored[path] = stamp(path), found["Key"]

    def push(self, folder: Folder, skip: frozenset[Path] = frozenset()) -> None:
        """Upload the files of `folder` that are new or changed since the last push or pull."""
        paths = [folder.here] if folder.here.is_file() else sorted(folder.here.rglob("*"))
        for path in paths:
            # Locks hold on one machine only, and a hidden file is half written.
            if path.name == "lock" or path.name.startswith(".") or path in skip:
                continue
            with suppress(FileNotFoundError):  # replaced or removed by the job at this moment
                if path.is_file():
                    self._push_file(path, folder)

    def _push_file(self, path: Path, folder: Folder) -> None:
        before = stamp(path)
        if path in self.stored and self.stored[path][0] == before:
            return
        name = "" if path == folder.here else path.relative_to(folder.here).as_posix()
        key = self.root + folder.prefix + name
        with path.open("rb") as file:
            self.client.upload_fileobj(file, self.bucket, key, Config=self.transfer)
        self.stored[path] = before, key

    def remove_deleted(self) -> None:
        """Delete from the store what this job had pulled or pushed, and its command has removed."""
        for path, (_, key) in list(self.stored.items()):
            if not path.exists():
                self.client.delete_object(Bucket=self.bucket, Key=key)
                del self.stored[path]


def split_address(address: str) -> tuple[str, str]:
    """Return bucket and prefix of s3://BUCKET/PREFIX; the prefix is '' or ends with '/'."""
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    if not address.startswith("s3://") or not bucket:
        raise UserError(
            f"a store's address is s3://BUCKET or s3://BUCKET/PREFIX, but got {address!r}: set it "
            "with --default-storage-prefix"
        )
    prefix = prefix.strip("/")
    return bucket, f"{prefix}/" if prefix else ""


def stamp(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size


def is_current(path: Path, found: dict[str, Any]) -> bool:
    """Whether the file here is the store's, or newer than it."""
    if not path.is_file():
        return False
    if path.stat().st_mtime > found["LastModified"].timestamp():
        return True
    if path.stat().st_size != found["Size"]:
        return False
    with path.open("rb") as file:
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    etag: str = found["ETag"]
    return md5 == etag.strip('"')


def same(path: Path) -> Folder:
    """A folder that has the same name in the store."""
    return Folder(path, f"{path.as_posix()}/")


def list_needs(study: StudySpec, paths: StudyPaths, outputs: Sequence[str]) -> Needs:
    """Return what the job that writes `outputs`, paths relative to the working folder, takes and brings."""
    by_name = {(paths.root / paths.record_name(job)).as_posix(): job for job in study.own_jobs()}
    jobs = [by_name[name] for name in outputs if name in by_name]
    if jobs:
        return _list_job_needs(study, paths, jobs)
    prepared = [study.prepared(name) for name in study.own_datasets]
    made = [folder for folder in prepared if (folder / "meta.json").as_posix() in outputs]
    if made:
        return Needs(push=list(map(same, made)))
    if any(name.startswith(f"{paths.tables.as_posix()}/") for name in outputs):
        return Needs(pull=[same(paths.records)])
    return Needs()


def _list_job_needs(study: StudySpec, paths: StudyPaths, jobs: Sequence[Job]) -> Needs:
    first = jobs[0]
    own = [same(paths.record(first).parent)]
    if first.kind in TRAINING_KINDS:
        own.append(same(paths.weights(first).parent))
        name = f"{first.kind}/{first.dataset}/{first.recipe}/{first.variant}"
        checkpoints = paths.root / "checkpoints"
        own.append(Folder(checkpoints, f"{checkpoints.as_posix()}/{name}/"))
    sources = [s for job in jobs for s in (study.source_job(job), study.teacher_job(job)) if s]
    used = [f for s in sources for f in (paths.record(s).parent, paths.weights(s).parent)]
    weights = study.weights(first) if first.kind == "finetune" else None
    if weights and weights.hub:
        file = DataPaths(Path(study.data_dir)).hub_weights(weights.hub)
        own_file = [Folder(file, file.as_posix())]
    else:
        own_file = []
    taken = [same(folder) for folder in dict.fromkeys([study.prepared(first.dataset), *used])]
    return Needs(pull=[*taken, *own_file, *own], push=own)


def run_in_store(
    store: Store, study_file: Path, mirror: Path, outputs: Sequence[Path], command: Sequence[str]
) -> int:
    """Pull, run `command` while its new files are pushed, and return its exit code (128 + N for signal N).

    `outputs` are the paths below `mirror` where Snakemake expects what the command writes to the
    working folder.
    """
    store.pull(Folder(study_file, study_file.as_posix()))
    study = load_study(study_file)
    names = [output.relative_to(mirror).as_posix() for output in outputs]
    needs = list_needs(study, study.paths(), names)
    for folder in needs.pull:
        store.pull(folder)
    declared = frozenset(map(Path, names))

    def push() -> None:
        for folder in needs.push:
            store.push(folder, declared)

    code = _run_and_push(command, push)
    push()
    store.remove_deleted()
    if code == 0:
        for name, output in zip(names, outputs, strict=True):
            output.parent.mkdir(parents=True, exist_ok=True)
            if not output.exists() or not Path(name).samefile(output):
                shutil.copyfile(name, output)
    return code if code >= 0 else 128 - code


def _run_and_push(command: Sequence[str], push: Any) -> int:
    process = subprocess.Popen(command)
    ended = threading.Event()

    def pass_on(number: int, frame: object) -> None:
        process.send_signal(number)

    def push_now_and_then() -> None:
        while not ended.wait(PUSH_SECONDS):
            try:
                push()
            except Exception as error:  # the next one tries again, and the last one raises
                log.warning("cannot reach the store (%s); trying again", error)

    before = {s: signal.signal(s, pass_on) for s in (signal.SIGTERM, signal.SIGINT)}
    thread = threading.Thread(target=push_now_and_then, daemon=True)
    thread.start()
    try:
        return process.wait()
    finally:
        ended.set()
        thread.join()
        for number, handler in before.items():
            signal.signal(number, handler)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m resnest_bench.cli.store")
    parser.add_argument("--study", type=Path, required=True, help="the study's file, study.json")
    parser.add_argument("--at", required=True, help="the store: s3://BUCKET/PREFIX")
    parser.add_argument("--mirror", type=Path, required=True, help="Snakemake's copy of the store")
    parser.add_argument("--outputs", type=Path, nargs="*", default=[], help="outputs in that copy")
    split = sys.argv.index("--")
    given = parser.parse_args(sys.argv[1:split])
    try:
        store = Store(given.at)
        code = run_in_store(store, given.study, given.mirror, given.outputs, sys.argv[split + 1 :])
    except UserError as error:
        print(f"resnest-bench: error: {error}", file=sys.stderr)
        code = 1
    sys.exit(code)


if __name__ == "__main__":
    main()
