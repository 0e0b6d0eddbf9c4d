"""Hugging Face datasets: written by `save_to_disk`, as Parquet files, or from the hub.

pyarrow reads both formats: an image is a struct of `bytes`, the encoded file, and `path`. The images are
unpacked to files once, and then read like those of any folder.
"""

import json
import logging
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from resnest_bench.data.arrays import Content
from resnest_bench.data.folders import VALIDATION_NAMES, Tree, walk_files
from resnest_bench.data.photos import read_photos
from resnest_bench.data.rows import Rows, make_tree
from resnest_bench.digests import json_digest
from resnest_bench.errors import UserError, first_line
from resnest_bench.files import check_writable
from resnest_bench.specs import HuggingFaceDataset, describe_missing, expand_path
from resnest_bench.words import list_names

log = logging.getLogger(__name__)

STATE, PARTS_FILE, INFO = "state.json", "dataset_dict.json", "dataset_info.json"
# Number of rows in memory at once.
BATCH_ROWS = 256
SHOWN = 10


@dataclass(frozen=True)
class Shards:
    """The files of a dataset.

    Attributes:
        by_part: files by part; '' is the only part if the data don't have parts.
        features: types of the columns, as the library `datasets` describes them.
    """

    root: Path
    by_part: Mapping[str, list[Path]]
    features: Mapping[str, Any]


def read(spec: HuggingFaceDataset, name: str, downloads: Path) -> Content:
    """Unpack the images unless that was done before, and read them. Raises UserError."""
    shards = find_shards(spec, locate(spec, name, downloads), name)
    folder = unpack(spec, shards, name, downloads)
    tree = list_images(spec, shards, name, folder, downloads.parent / "reports")
    return read_photos(spec, name, tree, downloads)


def check(spec: HuggingFaceDataset, name: str) -> None:
    """Check the files of a local dataset without reading images. Raises UserError."""
    if spec.path:
        shards = find_shards(spec, expand_path(spec.path), name)
        _all_files(shards)
        # Check the columns of each part; no image is read.
        columns = [spec.label_column, *([spec.group_column] if spec.group_column else [])]
        for files in shards.by_part.values():
            for _ in read_rows(files[0], columns):
                break


def locate(spec: HuggingFaceDataset, name: str, downloads: Path) -> Path:
    """Return the folder with the files of the dataset, downloaded if necessary. Raises UserError."""
    if spec.hub:
        return fetch_hub(spec, name, downloads)
    path = expand_path(spec.path or "")
    if not path.is_dir():
        problem = f"{path} is a file" if path.exists() else describe_missing(path)
        raise UserError(
            f"datasets.{name}.path must be a folder written by save_to_disk, or with Parquet files, but "
            f"{problem}: change the path"
        )
    return path


def fetch_hub(spec: HuggingFaceDataset, name: str, downloads: Path) -> Path:
    """Download the Parquet files of `spec.hub` once. Raises UserError."""
    # Always installed, since timm needs it.
    from huggingface_hub import snapshot_download

    key = re.sub(r"[^A-Za-z0-9._-]", "_", f"{spec.hub}-{spec.config}-{spec.revision}")
    folder = downloads / "huggingface" / key
    done = folder.with_name(f"{key}.done")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{key}.lock")):
        if done.exists():
            return folder
        try:
            snapshot_download(
                repo_id=spec.hub or "",
                repo_type="dataset",
                revision=spec.revision,
                allow_patterns=[f"{spec.config}/*.parquet", "data/*.parquet"],
                local_dir=folder,
            )
        # The network, the hub and its library can raise anything.
        except Exception as error:
            raise UserError(
                f"datasets.{name}: cannot download {spec.hub} (revision {spec.revision}) from the hub: "
                f"{first_line(error)}: check hub, config and revision, or download it elsewhere and "
                "give its folder as path"
            ) from error
        done.touch()
    return folder


def find_shards(spec: HuggingFaceDataset, root: Path, name: str) -> Shards:
    """Find the files of each part. Raises UserError if there are none."""
    if (root / PARTS_FILE).exists():
        parts = _read_json(root / PARTS_FILE).get("splits", [])
        by_part = {_name_part(spec, part): _read_state(root / part) for part in parts}
        first = root / str(parts[0]) if parts else root
        return Shards(root, by_part, _read_json(first / INFO).get("features", {}))
    if (root / STATE).exists():
        return Shards(root, {"": _read_state(root)}, _read_json(root / INFO).get("features", {}))
    files = [file for _, file in walk_files(root) if file.suffix == ".parquet"]
    if spec.hub and (root / spec.config).is_dir():
        files = [file for file in files if file.is_relative_to(root / spec.config)]
    if not files:
        raise UserError(
            f"datasets.{name}: {root} must hold what save_to_disk wrote ({PARTS_FILE} or {STATE}), or "
            ".parquet files, but holds neither: change the path"
            + (f" (is there a config {spec.config!r}?)" if spec.hub else "")
        )
    by_part = {}
    for file in files:
        # train/0000.parquet and train-00000-of-00001.parquet.
        words = (file.parent.name, file.stem.split("-")[0])
        named = [part for word in words if (part := _name_part(spec, word)) in _KNOWN]
        by_part.setdefault(named[0] if named else _name_part(spec, words[1]), []).append(file)
    if not set(by_part) & set(_KNOWN):
        by_part = {"": files}
    return Shards(root, by_part, _read_parquet_features(files[0]))


_KNOWN = ("train", "test", "validation")


def _name_part(spec: HuggingFaceDataset, word: str) -> str:
    """Translate the data's name of a part to train, test or validation; other names are unchanged."""
    if word == spec.test_split:
        return "test"
    if word == spec.train_split:
        return "train"
    # In brackets: a part that is replaced, like test if test_split is validation.
    return "validation" if word in VALIDATION_NAMES else word if word not in _KNOWN else f"({word})"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} must be JSON as save_to_disk writes it, but: {error}") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} must be JSON as save_to_disk writes it, but is not an object")
    return value


def _read_state(folder: Path) -> list[Path]:
    files = _read_json(folder / STATE).get("_data_files")
    names = [entry.get("filename") for entry in files] if isinstance(files, list) else []
    # Only file names: a path could lead elsewhere.
    if not names or not all(isinstance(n, str) and Path(n).name == n for n in names):
        raise UserError(
            f"{folder / STATE} must name the data's files, but doesn't: save the data again"
        )
    return [folder / name for name in names]


def _read_parquet_features(path: Path) -> dict[str, Any]:
    from pyarrow import parquet

    try:
        metadata = parquet.read_schema(path).metadata or {}
        value = json.loads(metadata.get(b"huggingface", b"{}"))
        features: dict[str, Any] = value.get("info", {}).get("features", {})
    except Exception as error:  # untrusted bytes can raise anything
        raise UserError(f"{path} must be a whole Parquet file, but: {first_line(error)}") from error
    return features


def read_rows(path: Path, columns: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a .parquet or .arrow file with only `columns`. Raises UserError."""
    columns = list(columns)
    try:
        for batch in _read_batches(path, columns):
            yield from batch.select(columns).to_pylist()
    except UserError:
        raise
    except Exception as error:  # untrusted bytes can raise anything
        raise UserError(
            f"{path} must be a whole file of Arrow's, but: {first_line(error)}"
        ) from error


def _read_batches(path: Path, columns: list[str]) -> Iterator[Any]:
    import pyarrow as pa
    from pyarrow import parquet

    if path.suffix == ".parquet":
        file = parquet.ParquetFile(path)
        _check_columns(path, file.schema_arrow.names, columns)
        yield from file.iter_batches(BATCH_ROWS, columns=columns)
        return
    with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as stream:
        _check_columns(path, stream.schema.names, columns)
        for batch in stream:
            for start in range(0, len(batch), BATCH_ROWS):
                yield batch.slice(start, BATCH_ROWS)


def _check_columns(path: Path, there: list[str], columns: list[str]) -> None:
    lacking = [name for name in columns if name not in there]
    if lacking:
        raise UserError(
            f"{path} must have the column {lacking[0]!r}, but has {list_names(there, SHOWN)}: state "
            "image_column, label_column or group_column"
        )


def unpack(spec: HuggingFaceDataset, shards: Shards, name: str, downloads: Path) -> Path:
    """Write every image to a file, unless that was done before; return the folder."""
    stats = [(str(file.relative_to(shards.root)), file.stat()) for file in _all_files(shards)]
    key = json_digest([spec.image_column, *[(n, s.st_size, s.st_mtime_ns) for n, s in stats]])
    folder = downloads / "unpacked" / f"{name}-{key[:16]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        if folder.exists():
            return folder
        log.info("unpacking the images of %s", shards.root)
        check_writable(folder.parent, sum(stat.st_size for _, stat in stats))
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)  # left by a killed run
        try:
            _write_images(spec, shards, partial)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return folder


def _all_files(shards: Shards) -> list[Path]:
    files = [
        file for part, files in shards.by_part.items() if part in ("", *_KNOWN) for file in files
    ]
    for file in files:
        if not file.is_file():
            raise UserError(f"{STATE} names {file}, but it is missing: save the data again")
    return files


def _write_images(spec: HuggingFaceDataset, shards: Shards, folder: Path) -> None:
    for part, files in shards.by_part.items():
        if part not in ("", *_KNOWN):
            continue
        (folder / part).mkdir(parents=True, exist_ok=True)
        rows = (row for file in files for row in read_rows(file, [spec.image_column]))
        for index, row in enumerate(rows):
            image = row[spec.image_column]
            content = image.get("bytes") if isinstance(image, dict) else image
            if not isinstance(content, bytes):
                raise UserError(
                    f"{shards.root}: column {spec.image_column!r} must hold encoded images (a struct "
                    f"of bytes and path), but row {index} of {part or 'the data'} has none: save the "
                    "data with their images, or set image_column"
                )
            (folder / part / file_name(index)).write_bytes(content)


def file_name(index: int) -> str:
    """Return the file name of row `index`. The format is recognised by the content, not by the name."""
    return f"{index:07d}.png"


def list_images(
    spec: HuggingFaceDataset, shards: Shards, name: str, folder: Path, reports: Path
) -> Tree:
    """List the unpacked images with their labels. Raises UserError."""
    columns = [spec.label_column, *([spec.group_column] if spec.group_column else [])]
    names = _class_names(spec, shards)
    paths: list[Path] = []
    labels: list[str] = []
    parts: list[str] = []
    groups: list[str] = []
    for part, files in shards.by_part.items():
        if part not in ("", *_KNOWN):
            log.warning("%s: the part %s is not used", name, part.strip("()"))
            continue
        rows = (row for file in files for row in read_rows(file, columns))
        for index, row in enumerate(rows):
            paths.append(folder / part / file_name(index))
            labels.append(
                _label_text(spec, shards.root, part, index, row[spec.label_column], names)
            )
            groups.append(str(row[spec.group_column]) if spec.group_column else "")
            parts.append(part)
    listed = Rows(
        where=f"datasets.{name} ({shards.root})",
        root=folder,
        paths=paths,
        labels=labels,
        parts=None if "" in shards.by_part else parts,
        groups=groups if spec.group_column else None,
        classes=names,
    )
    return make_tree(listed, spec.split, spec.validation, reports / f"{name}-split.csv")


def _class_names(spec: HuggingFaceDataset, shards: Shards) -> list[str] | None:
    feature = shards.features.get(spec.label_column)
    names = feature.get("names") if isinstance(feature, dict) else None
    return [str(name) for name in names] if isinstance(names, list) else None


def _label_text(
    spec: HuggingFaceDataset, root: Path, part: str, index: int, value: Any, names: list[str] | None
) -> str:
    if names is not None and type(value) is int and 0 <= value < len(names):
        return names[value]
    if names is None and type(value) in (int, str) and str(value):
        return str(value)
    rule = f"a number below {len(names)}" if names else "text or a whole number"
    raise UserError(
        f"{root}: every label (column {spec.label_column!r}) must be {rule}, but row {index} of "
        f"{part or 'the data'} has {value!r}: set label_column, or remove the rows"
    )
