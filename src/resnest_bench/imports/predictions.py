"""Results for each test image: an .npz of arrays, or a table with one row per image."""

import hashlib
import io
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from resnest_bench.errors import UserError, first_line
from resnest_bench.imports.columns import Choices, simplify
from resnest_bench.imports.runs import IMPORTED, UNKNOWN_DATA, ImagePredictions, Run, now
from resnest_bench.imports.shapes import split_runs
from resnest_bench.imports.tables import MAX_BYTES, Table, read_bytes
from resnest_bench.imports.units import parse_number
from resnest_bench.records.imports import ImportedSource
from resnest_bench.words import list_names

LABELS = ("label", "labels", "target", "targets", "y_true", "true", "truth", "ground_truth")
PREDICTED = (
    "predicted",
    "prediction",
    "predictions",
    "preds",
    "pred",
    "y_pred",
    "predicted_class",
)
PROBABILITIES = ("probabilities", "probability", "probs", "prob", "y_prob", "softmax", "scores")
LOGITS = ("logits", "outputs")
CLASSES = ("classes", "class_names")
IMAGES = ("image", "images", "filename", "file", "path", "image_id", "id", "ids", "index", "idx")
# Columns of a table with the probability of each class: prob_cat, p(cat).
CLASS_PREFIXES = ("probability_", "prob_", "p_")
# Rounded probabilities add up to 1 only about.
SUM_TOLERANCE = 0.02


def is_predictions(table: Table) -> bool:
    """Whether a table has one row per image."""
    names = {simplify(name) for name in table.columns}
    return bool(names & set(LABELS)) and bool(names & set(PREDICTED))


def read_image_table(table: Table, choices: Choices) -> tuple[list[Run], list[str]]:
    """One run per network and seed in a table of predictions."""
    plain = {simplify(name): name for name in reversed(list(table.columns))}

    def find(names: Iterable[str]) -> str | None:
        return next((plain[name] for name in names if name in plain), None)

    variant = choices.columns.get("variant") or find(("variant", "model", "network", "method"))
    seed = choices.columns.get("seed") or find(("seed", "run", "trial", "fold"))
    for column in filter(None, (variant, seed)):
        if column not in table.columns:
            raise UserError(f"{table.path} must have the column {column!r}, but has no such column")
    groups: dict[tuple[str, str | None], list[int]] = {}
    name = split_runs([table.path.stem])[0]
    for row in range(len(table)):
        own = table.columns[variant][row] if variant else name["variant"]
        number = table.columns[seed][row] if seed else None if variant else name.get("seed")
        groups.setdefault((own, number), []).append(row)
    source_columns = {
        "labels": find(LABELS) or "",
        "predicted": find(PREDICTED) or "",
        **({"images": image} if (image := find(IMAGES)) else {}),
    }
    source = ImportedSource(
        file=table.path.name, sha256=table.sha256, imported_at=now(), columns=source_columns
    )
    runs, counts = [], dict.fromkeys((own for own, _ in groups), 0)
    for (own, number), rows in groups.items():
        found = _read_rows(table.keep(rows), source_columns, plain)
        run = _make_run(own, number, source, choices, table.where(rows[0]), found)
        run.index = counts[own]
        counts[own] += 1
        runs.append(run)
    return runs, [
        f"results for each image: {', '.join(f'{k}: {v}' for k, v in source_columns.items())}"
    ]


def _read_rows(
    table: Table, columns: Mapping[str, str], plain: Mapping[str, str]
) -> ImagePredictions:
    labels, predicted = table.columns[columns["labels"]], table.columns[columns["predicted"]]
    for column, cells in ((columns["labels"], labels), (columns["predicted"], predicted)):
        if "" in cells:
            raise UserError(
                f"{table.where(cells.index(''))}: {column!r} must name a class in every row, but is empty"
            )
    images = table.columns[columns["images"]] if "images" in columns else None
    if images is not None and len(set(images)) < len(images):
        twice = next(name for name, count in Counter(images).items() if count > 1)
        raise UserError(
            f"{table.path}: each image must come once for each network and seed, but {twice!r} comes twice: add a "
            "column seed or variant, or remove the row"
        )
    classes = sort_classes({*labels, *predicted})
    own = {
        name: column
        for simple, column in plain.items()
        for prefix in CLASS_PREFIXES
        if simple.startswith(prefix)
        for name in classes
        if simplify(name) == simple.removeprefix(prefix)
    }
    if own and set(own) == set(classes):
        rows = [
            [_read_share(table, own[name], row) for name in classes] for row in range(len(table))
        ]
        probabilities = _check_rows(str(table.path), np.array(rows))
        return ImagePredictions(labels, predicted, classes, images, probabilities)
    top = next((plain[name] for name in (*PROBABILITIES, "confidence") if name in plain), None)
    shares = [_read_share(table, top, row) for row in range(len(table))] if top else None
    top_N = None if shares is None else np.array(shares)
    return ImagePredictions(labels, predicted, classes, images, None, top_N)


def _read_share(table: Table, column: str, row: int) -> float:
    cell = table.columns[column][row]
    try:
        value = parse_number(cell, table.delimiter)
    except ValueError as error:
        raise UserError(f"{table.where(row)}: {column!r} {error}, but got {cell!r}") from None
    if value is None or not 0 <= value <= 1:
        raise UserError(
            f"{table.where(row)}: {column!r} must be a probability from 0 to 1, but got {cell!r}"
        )
    return value


def sort_classes(names: Iterable[str]) -> tuple[str, ...]:
    """Numbers by their size, other names by the alphabet."""
    every = list(names)
    if all(name.isascii() and name.isdigit() for name in every):
        return tuple(sorted(every, key=int))
    return tuple(sorted(every))


def read_npz(path: Path, choices: Choices) -> tuple[list[Run], list[str]]:
    """The runs in an .npz: one, or one per seed where arrays have a first axis of seeds.

    Nothing is unpickled. Raises UserError for anything else than arrays of the names that are known.
    """
    content = read_bytes(path)
    arrays = _load(path, content)
    plain = {simplify(name): name for name in arrays}
    labels = _take(path, arrays, plain, LABELS)
    if labels is None:
        raise UserError(
            f"{path} must hold an array of labels, called {', '.join(LABELS[:3])}, but holds "
            f"{list_names(arrays, 10)}: rename one"
        )
    probabilities = _take(path, arrays, plain, PROBABILITIES)
    logits = _take(path, arrays, plain, LOGITS)
    predicted = _take(path, arrays, plain, PREDICTED)
    if probabilities is None and logits is not None:
        probabilities = _softmax(path, logits)
    if probabilities is None and predicted is None:
        raise UserError(
            f"{path} must hold probabilities (images, classes) or predicted classes (images,), but holds "
            f"{list_names(arrays, 10)}: rename or add one"
        )
    if labels.ndim != 1 or labels.dtype.kind not in "iuUS" or not len(labels):
        raise UserError(
            f"{path}: labels must be whole numbers or text of shape (images,), but are {labels.dtype} of shape "
            f"{labels.shape}"
        )
    names = _take(path, arrays, plain, CLASSES)
    images = _take(path, arrays, plain, IMAGES)
    seeds = _list_seeds(path, probabilities, predicted, len(labels))
    classes = _name_classes(path, labels, predicted, probabilities, names)
    source = ImportedSource(
        file=path.name,
        sha256=hashlib.sha256(content).hexdigest(),
        imported_at=now(),
        columns={"arrays": ", ".join(arrays)},
    )
    name = split_runs([path.stem])[0]
    runs = []
    for number in range(len(seeds)):
        rows_NK, predicted_N = seeds[number]
        found = _make_predictions(path, labels, rows_NK, predicted_N, classes, images)
        seed = str(number) if len(seeds) > 1 else name.get("seed")
        runs.append(_make_run(name["variant"], seed, source, choices, str(path), found))
    what = "probabilities" if probabilities is not None else "predicted classes"
    return runs, [f"{what} of {len(labels):,} images and {len(classes):,} classes"]


def _load(path: Path, content: bytes) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(member.file_size for member in archive.infolist())
        # Before anything is unpacked: a small file can hold a large array.
        if size > 4 * MAX_BYTES:
            raise UserError(
                f"{path} must unpack to at most 4 GiB, but holds {size / 2**30:.1f} GiB"
            )
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
        # What isn't an array comes as bytes.
        if others := [name for name, array in found.items() if not isinstance(array, np.ndarray)]:
            raise UserError(
                f"{path} must be an .npz of plain arrays, but {others[0]!r} is none: write it with numpy.savez"
            )
        return found
    except UserError:
        raise
    except Exception as error:
        # A zip archive and a numpy header can be damaged in many ways.
        pickled = "allow_pickle" in str(error)
        problem = "holds pickled objects, which are never loaded" if pickled else first_line(error)
        raise UserError(
            f"{path} must be an .npz of plain arrays, but {problem}: write it with numpy.savez and arrays of "
            "numbers or text"
        ) from error


def _take(
    path: Path, arrays: Mapping[str, np.ndarray], plain: Mapping[str, str], names: Iterable[str]
) -> np.ndarray | None:
    found = next((arrays[plain[name]] for name in names if name in plain), None)
    if found is not None and found.dtype.kind == "f" and not np.isfinite(found).all():
        raise UserError(f"{path}: arrays must be finite, but one holds NaN or infinity: mend it")
    return found


def _softmax(path: Path, logits: np.ndarray) -> np.ndarray:
    if logits.dtype.kind not in "fiu" or logits.ndim < 2:
        raise UserError(
            f"{path}: logits must be numbers of shape (images, classes), but are {logits.dtype} of shape "
            f"{logits.shape}"
        )
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    weights = np.exp(shifted)
    probabilities: np.ndarray = weights / weights.sum(axis=-1, keepdims=True)
    return probabilities


def _list_seeds(
    path: Path, probabilities: np.ndarray | None, predicted: np.ndarray | None, num_images: int
) -> list[tuple[np.ndarray | None, np.ndarray | None]]:
    """(probabilities (N, K), predicted classes (N,)) of each seed; either may be None."""
    for name, array, ndim in (("probabilities", probabilities, 2), ("predicted", predicted, 1)):
        if array is None:
            continue
        axis = array.ndim - ndim
        kinds = "fiu" if ndim == 2 else "iuUS"
        if axis not in (0, 1) or array.dtype.kind not in kinds or array.shape[axis] != num_images:
            shape = "(images, classes)" if ndim == 2 else "(images,)"
            raise UserError(
                f"{path}: {name} must have the shape {shape}, with {num_images:,} images as the labels have, or "
                f"one more axis of seeds before it, but are {array.dtype} of shape {array.shape}"
            )
    rows = None if probabilities is None else np.atleast_3d(probabilities)
    if probabilities is not None:
        rows = probabilities[None] if probabilities.ndim == 2 else probabilities
    hits = None if predicted is None else np.atleast_2d(predicted)
    count = len(rows) if rows is not None else len(hits) if hits is not None else 0
    if rows is not None and hits is not None and len(rows) != len(hits):
        raise UserError(
            f"{path}: probabilities and predicted must be of as many seeds, but are of {len(rows)} and "
            f"{len(hits)}"
        )
    return [
        (None if rows is None else rows[seed], None if hits is None else hits[seed])
        for seed in range(count)
    ]


def _name_classes(
    path: Path,
    labels: np.ndarray,
    predicted: np.ndarray | None,
    probabilities: np.ndarray | None,
    names: np.ndarray | None,
) -> tuple[str, ...]:
    if names is not None:
        if (
            names.ndim != 1
            or names.dtype.kind not in "iuUS"
            or len(set(_texts(names))) < len(names)
        ):
            raise UserError(f"{path}: classes must be different names of shape (classes,)")
        return tuple(_texts(names))
    seen = {*_texts(labels), *(_texts(predicted.ravel()) if predicted is not None else ())}
    if labels.dtype.kind not in "iu":
        return sort_classes(seen)
    most = max(map(int, seen)) + 1
    if min(map(int, seen)) < 0 or most > 1_000_000:
        raise UserError(f"{path}: labels must be classes from 0 on, but go from {min(seen)}")
    return tuple(map(str, range(probabilities.shape[-1] if probabilities is not None else most)))


def _make_predictions(
    path: Path,
    labels: np.ndarray,
    rows_NK: np.ndarray | None,
    predicted_N: np.ndarray | None,
    classes: tuple[str, ...],
    images: np.ndarray | None,
) -> ImagePredictions:
    if rows_NK is not None:
        if rows_NK.shape[1] != len(classes):
            raise UserError(
                f"{path}: probabilities must have one column for each class, but have {rows_NK.shape[1]} columns "
                f"for {len(classes)} classes: add an array `classes` with their names in the columns' order"
            )
        rows_NK = _check_rows(str(path), rows_NK.astype(np.float64))
    known = set(classes)
    texts = _name_labels(labels, classes)
    if predicted_N is not None:
        predicted = _name_labels(predicted_N, classes)
    else:
        assert rows_NK is not None
        predicted = [classes[index] for index in rows_NK.argmax(axis=1)]
    if outside := {*texts, *predicted} - known:
        raise UserError(
            f"{path}: labels and predicted classes must be among the {len(classes)} classes, but "
            f"{list_names(sorted(outside), 5)} {'is' if len(outside) == 1 else 'are'} not"
        )
    if images is not None and (
        images.shape != labels.shape or len(set(_texts(images))) < len(images)
    ):
        raise UserError(
            f"{path}: images must be different names of shape ({len(labels)},), but are of shape {images.shape} "
            "or come twice"
        )
    named = _texts(images) if images is not None else None
    return ImagePredictions(texts, predicted, classes, named, rows_NK)


def _name_labels(values: np.ndarray, classes: tuple[str, ...]) -> list[str]:
    """Names of classes: numbers count the classes from 0."""
    if values.dtype.kind in "iu":
        return [classes[v] if 0 <= v < len(classes) else str(v) for v in values.tolist()]
    return _texts(values)


def _texts(values: np.ndarray) -> list[str]:
    return [v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in values.tolist()]


def _check_rows(where: str, rows_NK: np.ndarray) -> np.ndarray:
    if rows_NK.min() < 0 or rows_NK.max() > 1 + SUM_TOLERANCE:
        raise UserError(
            f"{where}: probabilities must be from 0 to 1, but go from {rows_NK.min():.3g} to {rows_NK.max():.3g}: "
            "if they are outputs before the softmax, call the array `logits`"
        )
    sums_N = rows_NK.sum(axis=1)
    wrong = np.flatnonzero(np.abs(sums_N - 1) > SUM_TOLERANCE)
    if len(wrong):
        raise UserError(
            f"{where}: the probabilities of an image must add up to 1, but those of image {wrong[0]} add up to "
            f"{sums_N[wrong[0]]:.3g}: give those of all classes"
        )
    return rows_NK


def _make_run(
    variant: str,
    seed: str | None,
    source: ImportedSource,
    choices: Choices,
    where: str,
    found: ImagePredictions,
) -> Run:
    return Run(
        kind="train",
        where=where,
        variant=variant,
        dataset=choices.dataset or UNKNOWN_DATA,
        recipe=choices.recipe or IMPORTED,
        seed=seed,
        index=0,
        source=source,
        device=choices.device,
        num_test=len(found.labels),
        predictions=found,
    )
