"""The registry of dataset sources, and the preparation of a dataset: once, atomically and checked."""

import contextlib
import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from resnest_bench.data import (
    cifar,
    digits,
    huggingface,
    imagefolder,
    medmnist,
    table,
    torchvision_sets,
)
from resnest_bench.data.arrays import Content, write_prepared
from resnest_bench.data.folders import walk_files
from resnest_bench.data.leakage import (
    Files,
    add_duplicates,
    check_leakage,
    report_file,
    warn_of_leakage,
)
from resnest_bench.data.prepared import PreparedMeta, open_prepared, read_meta
from resnest_bench.errors import UserError
from resnest_bench.specs import DatasetSpec, StudySpec, local_path

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """One kind of dataset. Values that depend on the files are None."""

    # Called with a spec of this kind, the name and the folder of downloads.
    read: Callable[..., Content]
    classes: tuple[str, ...] | None = None
    sizes: tuple[int, int, int] | None = None  # train images, test images, side in pixels
    # Whether similar images count as copies. Handwritten digits are often similar without being copies.
    look_for_near: Callable[..., bool] = lambda spec: True
    # Called with a spec and the name: raises UserError for problems with local files that show quickly.
    check: Callable[..., object] | None = None
    # Called with a spec with a path: yields its local files with names. None: all files at the path.
    list_files: Callable[..., Iterator[tuple[str, Path]]] | None = None


SOURCES = {
    "cifar10": Source(cifar.read, cifar.CLASSES, (50_000, 10_000, cifar.SIDE)),
    "imagefolder": Source(imagefolder.read),
    "table": Source(table.read, check=table.list_images, list_files=table.list_files),
    "huggingface": Source(huggingface.read, check=huggingface.check),
    "torchvision": Source(
        torchvision_sets.read,
        look_for_near=torchvision_sets.look_for_near,
        list_files=torchvision_sets.list_files,
    ),
    "medmnist": Source(medmnist.read, check=medmnist.count_images),
    # All ten digits; a subset has fewer.
    "digits": Source(
        digits.read,
        tuple(str(digit) for digit in range(10)),
        (1442, 355, digits.SIDE),
        look_for_near=lambda spec: False,
    ),
}


def prepare(spec: DatasetSpec, name: str, folder: Path, downloads: Path) -> PreparedMeta:
    """Write the arrays of `spec` to `folder` atomically, and return their meta.json.

    A complete folder is kept if its local files have not changed since.
    Raises UserError for anything that the user can fix; then `folder` is unchanged.
    """
    source = source_fingerprint(spec)
    done = _finished(folder, source)
    try:
        if done is None or (done.duplicates is None and os.access(folder, os.W_OK)):
            for parent in (folder.parent, downloads):
                parent.mkdir(parents=True, exist_ok=True)
            with FileLock(folder.with_name(f".{folder.name}.lock")):
                # Another process may have prepared it while this one waited.
                done = _finished(folder, source) or _prepare(spec, name, folder, downloads, source)
                if done.duplicates is None:
                    done = _search_again(spec, done, folder, downloads, source)
    except OSError as error:
        raise UserError(
            f"cannot prepare {name} in {folder}: {error}: make it readable or writable, or free "
            "space, then run the same command again"
        ) from error
    check_leakage(spec, done, report_file(folder))
    warn_of_leakage(spec, done, report_file(folder))
    return done


def _finished(folder: Path, source: str) -> PreparedMeta | None:
    if not (folder / "meta.json").exists():
        return None
    try:
        meta = open_prepared(folder).meta
    except UserError as error:
        log.warning("preparing again, because %s", error)
        return None
    # '' means that the files are missing, not that they changed.
    if source and source != meta.source:
        log.info("preparing %s again, because its files have changed", meta.name)
        return None
    return meta


def _prepare(
    spec: DatasetSpec, name: str, folder: Path, downloads: Path, source: str
) -> PreparedMeta:
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # left by a killed run
    log.info("preparing %s in %s", name, folder)
    content = SOURCES[spec.source].read(spec, name, downloads)
    try:
        partial.mkdir()
        write_prepared(partial, name, content, source)
        meta = _search(spec, partial, content.files, report_file(folder))
        check_leakage(spec, meta, report_file(folder))
        _replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return meta


def _search(spec: DatasetSpec, folder: Path, files: Files | None, report: Path) -> PreparedMeta:
    return add_duplicates(folder, files, SOURCES[spec.source].look_for_near(spec), report)


def _search_again(
    spec: DatasetSpec, meta: PreparedMeta, folder: Path, downloads: Path, source: str
) -> PreparedMeta:
    """Look for copies in data that an older release prepared. The arrays don't change."""
    files = None
    if source and source == meta.source:
        # The same files have the same order, so their names are known.
        files = SOURCES[spec.source].read(spec, meta.name, downloads).files
    return _search(spec, folder, files, report_file(folder))


def _replace(new: Path, folder: Path) -> None:
    # A non-empty folder can't be replaced directly. Jobs that have the old arrays open keep them.
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.rename(folder, old)
    os.rename(new, folder)
    shutil.rmtree(old, ignore_errors=True)


def is_prepared(study: StudySpec, name: str) -> bool:
    """Return whether a dataset is prepared, from local files that are unchanged or gone."""
    try:
        meta = read_meta(study.prepared(name))
    except UserError:
        return False
    return source_fingerprint(study.dataset(name)) in ("", meta.source)


def source_fingerprint(spec: DatasetSpec, prepared: Path | None = None) -> str:
    """Return the SHA-256 (hex) of the names, sizes and times of a dataset's local files.

    If the files are missing, return the fingerprint that is stored in `prepared`, or '' without one.
    """
    path = local_path(spec)
    if path is None or not path.exists():
        try:
            return read_meta(prepared).source if path and prepared else ""
        except UserError:
            return ""
    digest = hashlib.sha256()
    for name, stat in _local_files(spec, path):
        digest.update(os.fsencode(name) + f"\0{stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _local_files(spec: DatasetSpec, path: Path) -> Iterator[tuple[str, os.stat_result]]:
    list_files = SOURCES[spec.source].list_files
    for name, file in list_files(spec) if list_files else walk_files(path):
        # Broken links and missing images have no size: they are reported when the data are read.
        with contextlib.suppress(FileNotFoundError):
            yield name, os.stat(file, follow_symlinks=file.exists())
