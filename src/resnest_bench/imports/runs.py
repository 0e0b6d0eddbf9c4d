"""The runs in a file of values: which network and seed, which values in which unit."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from resnest_bench.errors import UserError
from resnest_bench.imports.columns import METRIC_NAMES, Choices, short_name
from resnest_bench.imports.shapes import Rows
from resnest_bench.imports.units import COUNTS, Column, convert, read_times, time_unit
from resnest_bench.records.imports import ImportedCell, ImportedSource
from resnest_bench.words import list_names

UNKNOWN_DATA = "unknown"
# Where a file doesn't say by which recipe or protocol.
IMPORTED = "imported"


@dataclass(frozen=True, eq=False)
class ImagePredictions:
    """What one network says of N test images.

    `labels` and `predicted` are names of classes, `images` names of the images or None. Probabilities are those
    of `classes`, or of the predicted class, or unknown.
    """

    labels: list[str]
    predicted: list[str]
    classes: tuple[str, ...]
    images: list[str] | None = None
    probabilities_NK: np.ndarray | None = None
    top_probability_N: np.ndarray | None = None


@dataclass(eq=False)
class Run:
    """One training or one round of latencies of one network, as a file states it.

    `seed` is a text: a number, or what the file calls the run; None where it doesn't say it, and then `index` is
    the number of the network's run in the file.
    """

    kind: str
    where: str
    variant: str
    dataset: str
    recipe: str
    seed: str | None
    index: int
    source: ImportedSource
    device: str | None = None
    num_test: int | None = None
    values: dict[str, float] = field(default_factory=dict)
    cells: list[ImportedCell] = field(default_factory=list)
    predictions: ImagePredictions | None = None
    # Of other files that say more about the same run.
    more: list[ImportedSource] = field(default_factory=list)

    @property
    def place(self) -> tuple[str, str, str, str]:
        return self.kind, self.dataset, self.recipe, self.variant


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def list_runs(rows: Rows, choices: Choices) -> tuple[list[Run], list[str]]:
    """The runs of one file, and what was understood of it, in words. Raises UserError."""
    metrics = {
        metric: convert(metric, column, _stated_unit(choices, metric, column.name))
        for metric, column in rows.metrics.items()
    }
    described = {m: f"{rows.metrics[m].name} ({numbers.unit})" for m, numbers in metrics.items()}
    if rows.errors and "test_accuracy" not in metrics:
        stated = _stated_unit(choices, "test_accuracy", rows.errors.name)
        error = convert("test_accuracy", rows.errors, stated)
        accuracies = [None if value is None else 1 - value for value in error.values]
        metrics["test_accuracy"] = type(error)(accuracies, error.unit)
        described["test_accuracy"] = f"1 - {rows.errors.name} ({error.unit})"
    times = _read_times(rows, choices, described)
    is_training = any(metric not in COUNTS for metric in metrics)
    if not is_training and not times:
        raise UserError(
            f"{rows.table.path} must hold a metric or a latency that is known, but has columns "
            f"{list_names(rows.table.columns, 15)}: say which it is, like --metric accuracy=COLUMN (known: "
            f"{', '.join(map(short_name, METRIC_NAMES))}, latency)"
        )
    source = ImportedSource(
        file=rows.table.path.name,
        sha256=rows.table.sha256,
        imported_at=now(),
        columns=described,
    )
    runs: list[Run] = []
    places: dict[tuple[str, str, str, str], int] = {}
    for row, part in enumerate(rows.parts):
        values = {m: v for m, numbers in metrics.items() if (v := numbers.values[row]) is not None}
        cell_times = {name: found[row] for name, found in times.items() if found[row]}
        where = _find_place(rows, row)
        if not (is_training and set(values) - set(COUNTS)) and not cell_times:
            raise UserError(
                f"{where}: every row must have a value, but got none for {part['variant'] or 'it'}: fill it in, or "
                "remove the row"
            )
        if is_training and set(values) - set(COUNTS):
            counts = {k: v for k, v in values.items() if k not in ("num_macs", "num_activations")}
            run = _make_run("train", part, choices, source, where, places)
            run.values = counts
            runs.append(run)
        if cell_times:
            run = _make_run("latency", part, choices, source, where, places)
            run.values = {k: v for k, v in values.items() if k in COUNTS}
            run.cells = [_make_cell(part, cell_times, choices, where)]
            runs.append(run)
    if not is_training:
        runs = _join_samples(runs)
    notes = [f"{short_name(metric)}: from column {text}" for metric, text in described.items()]
    return runs, [*notes, *rows.notes]


def _stated_unit(choices: Choices, metric: str, column: str) -> str | None:
    units = choices.units
    return units.get(metric, units.get(short_name(metric), units.get(column)))


def _find_place(rows: Rows, row: int) -> str:
    columns = [*rows.metrics.values(), *rows.times.values(), *filter(None, [rows.errors])]
    return columns[0].where(row) if columns else rows.table.where(row)


def _read_times(
    rows: Rows, choices: Choices, described: dict[str, str]
) -> dict[str, list[list[float]]]:
    """Times in ms by statistic and row; the rate in images per second."""
    times = {}
    for statistic, column in rows.times.items():
        stated = choices.units.get("latency", choices.units.get(column.name))
        if statistic == "rate":
            plain = Column(column.name, column.cells, column.where, column.delimiter)
            times[statistic] = read_times(plain, "ms")
            described["throughput"] = f"{column.name} (images/s)"
            continue
        unit = time_unit(column.name, stated)
        times[statistic] = read_times(column, unit)
        described["latency" if statistic == "sample" else statistic] = f"{column.name} ({unit})"
    if len(times) > 1 and "rate" in times:
        # The same measurement, told twice.
        times.pop("rate")
        described.pop("throughput")
    return times


def _make_run(
    kind: str,
    part: dict[str, str],
    choices: Choices,
    source: ImportedSource,
    where: str,
    places: dict[tuple[str, str, str, str], int],
) -> Run:
    variant = part.get("variant", "")
    if not variant:
        raise UserError(
            f"{where}: every row must name its network, but this one does not: fill it in"
        )
    recipe = part.get("recipe") or choices.recipe or IMPORTED
    run = Run(
        kind=kind,
        where=where,
        variant=variant,
        dataset=part.get("dataset") or choices.dataset or UNKNOWN_DATA,
        recipe=recipe if kind == "train" else IMPORTED,
        seed=part.get("seed") or None,
        index=0,
        source=source,
        device=part.get("device") or choices.device,
        num_test=_read_count(part.get("num_test", ""), where) or choices.num_test,
    )
    run.index = places.get(run.place, 0)
    places[run.place] = run.index + 1
    return run


def _read_count(text: str, where: str) -> int | None:
    if not text:
        return None
    plain = text.removesuffix(".0").replace(",", "")
    if not (plain.isascii() and plain.isdigit() and 0 < int(plain) < 2**53):
        raise UserError(
            f"{where}: a count must be a whole number above 0, but got {text!r}: mend it"
        )
    return int(plain)


def _make_cell(
    part: dict[str, str], times: dict[str, list[float]], choices: Choices, where: str
) -> ImportedCell:
    batch_size = _read_count(part.get("batch_size", ""), where) or choices.batch_size
    if batch_size is None:
        raise UserError(
            f"{where}: a latency must say its batch size, but no column does: add a column batch_size, or say "
            "--batch-size N"
        )
    known = {name: part[name] for name in ("precision", "layout", "mode") if part.get(name)}
    samples = times.get("sample", [])
    stated = {name: values[0] for name, values in times.items() if name not in ("sample", "rate")}
    if "rate" in times:
        stated["mean"] = 1000 * batch_size / times["rate"][0]
    if not samples and not {"mean", "p50"} & set(stated):
        raise UserError(
            f"{where}: a latency must have samples, a median or a mean, but has only "
            f"{', '.join(stated)}: add a column p50_ms or mean_ms"
        )
    statistics = {} if samples else stated
    return ImportedCell.model_validate(
        {"batch_size": batch_size, **known, "samples_ms": samples, "statistics_ms": statistics}
    )


def _join_samples(runs: Iterable[Run]) -> list[Run]:
    """Rows of one round are its samples, or its batch sizes. Raises UserError for one stated twice."""
    rounds: dict[tuple[object, ...], Run] = {}
    for run in runs:
        first = rounds.setdefault((*run.place, run.seed), run)
        if first is run:
            # Without a column of rounds all rows of a network are one round.
            run.index = 0
            continue
        (cell,) = run.cells
        same = [i for i, one in enumerate(first.cells) if _axes(one) == _axes(cell)]
        if not same:
            first.cells.append(cell)
        elif cell.samples_ms and first.cells[same[0]].samples_ms:
            samples = [*first.cells[same[0]].samples_ms, *cell.samples_ms]
            first.cells[same[0]] = cell.model_copy(update={"samples_ms": samples})
        else:
            raise UserError(
                f"{run.where}: a network must have one latency for each round and batch size, but "
                f"{run.variant} has another in {first.where}: add a column round, or remove one of them"
            )
    return list(rounds.values())


def _axes(cell: ImportedCell) -> tuple[object, ...]:
    return cell.batch_size, cell.precision, cell.layout, cell.mode
