"""One row per run, whatever wrote the table: people, timm, TensorBoard, Weights & Biases or MLflow."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from resnest_bench.errors import UserError
from resnest_bench.imports.columns import (
    METRIC_NAMES,
    Choices,
    Meaning,
    find_meaning,
    find_role,
    simplify,
    strip_percent,
)
from resnest_bench.imports.tables import Table
from resnest_bench.imports.units import Column
from resnest_bench.words import list_names

TENSORBOARD = ("Wall time", "Step", "Value")
TENSORBOARD_FILE = re.compile(r"run-(?P<run>.+)-tag-(?P<tag>.+)")
# The end of a run's name: resnet18-seed-3.
RUN_SEED = re.compile(
    r"^(?P<variant>.+?)[-_/. ]+(?:seed|run|trial|rep)[-_=. ]?(?P<seed>\d{1,9})$", re.IGNORECASE
)
# resnet18-3 or resnet18_s3, which can also be a part of the network's name, like ResNet-50.
BARE_SEED = re.compile(r"^(?P<variant>.+?)[-_/. ]+s?(?P<seed>\d{1,9})$")
RUN_NAMES = ("name", "mlflow_run_name", "run_name", "display_name")
STATES = ("state", "status")
SIZES = ("img_size", "infer_img_size", "image_size")
# What trackers call a run that didn't finish.
UNFINISHED = ("crashed", "failed", "running", "killed", "scheduled", "pending", "preempted")
TIMM_FILE = re.compile(
    r"benchmark-infer-(?P<precision>[a-z0-9_]+)-(?P<layout>nchw|nhwc)-pt(?P<torch>\d+)-"
    r"(?:cu\d+-|cpu-)?(?P<device>.+?)(?P<dynamo>-dynamo)?$"
)
LAYOUTS = {"nchw": "contiguous", "nhwc": "channels_last"}


@dataclass(frozen=True)
class Rows:
    """Runs of one file as text: `parts` by row, and columns of metrics and times over the same rows.

    `notes` say what was understood, and what was left out.
    """

    table: Table
    parts: list[dict[str, str]]
    metrics: dict[str, Column]
    times: dict[str, Column]
    errors: Column | None
    notes: tuple[str, ...]


def read_rows(table: Table, choices: Choices) -> Rows:
    """The runs in a table. Raises UserError where nothing says which network a value belongs to."""
    header = list(table.columns)
    if tuple(header[:3]) == TENSORBOARD:
        return _read_tensorboard(table, choices)
    if _is_history(header):
        return _read_history(table, choices)
    table, notes = _select(table, choices)
    meaning = find_meaning(table.path, table.columns, choices)
    parts = [
        {role: table.columns[column][row] for role, column in meaning.parts.items()}
        for row in range(len(table))
    ]
    notes += _name_runs(table, meaning, parts)
    notes += _add_sizes(table, meaning, parts)
    if "metric" in meaning.parts and "value" in meaning.parts:
        rows = _pivot(table, meaning, parts)
    else:
        rows = _read_wide(table, meaning, parts)
    timm, more = _describe_timm(table.path)
    for part in rows.parts:
        part.update({role: text for role, text in timm.items() if not part.get(role)})
    return Rows(
        table, rows.parts, rows.metrics, rows.times, rows.errors, (*notes, *rows.notes, *more)
    )


def _select(table: Table, choices: Choices) -> tuple[Table, list[str]]:
    """Rows that `where` asks for; and of a tracker those of runs that finished."""
    keep, notes = list(range(len(table))), []
    for name, wanted in choices.where.items():
        # timm says img_size in one table and infer_img_size in another.
        column = name if name in table.columns else f"infer_{name}"
        if column not in table.columns:
            raise UserError(
                f"{table.path} must have the column {name!r} that --where names, but has "
                f"{list_names(table.columns, 20)}"
            )
        keep = [row for row in keep if table.columns[column][row] == wanted]
        if not keep:
            values = list(dict.fromkeys(table.columns[column]))
            raise UserError(
                f"{table.path}: --where {column}={wanted} must leave a row, but leaves none: values are "
                f"{list_names(values, 10)}"
            )
    for column in table.columns:
        if simplify(column) in STATES:
            cells = table.columns[column]
            left_out = [row for row in keep if cells[row].lower() in UNFINISHED]
            if left_out and len(left_out) < len(keep):
                keep = [row for row in keep if row not in set(left_out)]
                states = list_names(dict.fromkeys(cells[row] for row in left_out), 5)
                notes.append(f"left out: {len(left_out)} runs that did not finish ({states})")
    return table.keep(keep), notes


def _name_runs(table: Table, meaning: Meaning, parts: list[dict[str, str]]) -> list[str]:
    """Without a column of networks, the names of runs say them: 'resnet18-seed-3'."""
    if "variant" in meaning.parts:
        return []
    names = {simplify(column): column for column in meaning.unused}
    column = next((names[name] for name in RUN_NAMES if name in names), None)
    if column is None and "seed" in meaning.parts:
        # `run` may hold such names too.
        cells = [part["seed"] for part in parts]
        if all("seed" in run for run in split_runs(cells)):
            column = meaning.parts["seed"]
    if column is None:
        raise UserError(
            f"{table.path} must say which network each row is about, but has no such column among "
            f"{list_names(table.columns, 20)}: name it, like --variant COLUMN"
        )
    for part, run in zip(parts, split_runs(table.columns[column]), strict=True):
        if column == meaning.parts.get("seed"):
            del part["seed"]
        part |= run
    return [f"networks and seeds: from the names of runs in column {column!r}"]


def _add_sizes(table: Table, meaning: Meaning, parts: list[dict[str, str]]) -> list[str]:
    """timm tests a network at several image sizes, which are then part of its name."""
    sizes = next((name for name in meaning.unused if simplify(name) in SIZES), None)
    names = [part["variant"] for part in parts]
    if sizes is None or "seed" in meaning.parts or len(set(names)) == len(names):
        return []
    for part, size in zip(parts, table.columns[sizes], strict=True):
        part["variant"] += f"-{size}"
    return [f"column {sizes!r} is part of the networks' names, since they come at several sizes"]


def split_runs(names: Sequence[str]) -> list[dict[str, str]]:
    """[{'variant': 'resnet18', 'seed': '3'}] from names of runs; without a seed where a name has none.

    A number without a word like `seed` before it counts only if the names of every network end in 0, 1, 2 and so
    on, or in 1, 2 and so on, with two at least: ResNet-50 is a network.
    """
    stated = [RUN_SEED.match(name) for name in names]
    if any(stated):
        return [m.groupdict() if m else {"variant": n} for m, n in zip(stated, names, strict=True)]
    bare = [match for name in names if (match := BARE_SEED.match(name))]
    numbers: dict[str, set[int]] = {}
    for match in bare:
        numbers.setdefault(match["variant"], set()).add(int(match["seed"]))
    if bare and len(bare) == len(names) and all(map(_are_consecutive, numbers.values())):
        return [match.groupdict() for match in bare]
    return [{"variant": name} for name in names]


def _are_consecutive(numbers: set[int]) -> bool:
    first, count = min(numbers), len(numbers)
    return first in (0, 1) and count > 1 and max(numbers) == first + count - 1


def _read_wide(table: Table, meaning: Meaning, parts: list[dict[str, str]]) -> Rows:
    def column(name: str) -> Column:
        return Column(name, table.columns[name], table.where, table.delimiter)

    unused = [name for name in meaning.unused if name]
    notes = [f"columns not used: {list_names(unused, 12)}"] if unused else []
    return Rows(
        table,
        parts,
        {metric: column(name) for metric, name in meaning.metrics.items()},
        {statistic: column(name) for statistic, name in meaning.times.items()},
        column(meaning.errors) if meaning.errors else None,
        tuple(notes),
    )


def _pivot(table: Table, meaning: Meaning, parts: list[dict[str, str]]) -> Rows:
    """A column of metrics' names and one of values: one row per run."""
    groups: dict[tuple[tuple[str, str], ...], int] = {}
    cells: dict[str, dict[int, str]] = {}
    names: dict[str, str] = {}
    first_rows: list[int] = []
    unknown: dict[str, None] = {}
    for row, part in enumerate(parts):
        name = part.pop("metric")
        value = part.pop("value")
        metric = _find_metric(name)
        if metric is None:
            unknown[name] = None
            continue
        key = tuple(sorted(part.items()))
        if key not in groups:
            groups[key] = len(groups)
            first_rows.append(row)
        of_metric = cells.setdefault(metric, {})
        if groups[key] in of_metric:
            seed = "" if "seed" in part else ": add a column seed"
            raise UserError(
                f"{table.where(row)}: {name!r} must come once for each network and seed, but comes twice for "
                f"{part['variant']}{seed or ': remove one of the rows'}"
            )
        of_metric[groups[key]] = value
        names[metric] = name
    if not cells:
        raise UserError(
            f"{table.path} must hold a metric that is known, but has {list_names(unknown, 10)}: "
            f"known are {', '.join(known[0] for known in METRIC_NAMES.values())}"
        )
    metrics = {
        metric: Column(
            names[metric],
            [of_metric.get(index, "") for index in range(len(groups))],
            lambda row: table.where(first_rows[row]),
            table.delimiter,
        )
        for metric, of_metric in cells.items()
    }
    notes = (f"metrics not used: {list_names(unknown, 12)}",) if unknown else ()
    return Rows(table, [dict(key) for key in groups], metrics, {}, None, notes)


def _find_metric(name: str) -> str | None:
    simple = strip_percent(simplify(name))
    return next((metric for metric, known in METRIC_NAMES.items() if simple in known), None)


def _is_history(header: list[str]) -> bool:
    """Weights & Biases: a step, then 'RUN - METRIC' with its minimum and maximum."""
    first, *others = header or [""]
    plain = first.lower().split("/")[-1].strip("_")
    return plain in ("step", "epoch", "relative time (process)", "relative time (wall)") and any(
        " - " in name for name in others
    )


def _read_history(table: Table, choices: Choices) -> Rows:
    runs: dict[str, dict[str, tuple[str, str]]] = {}
    unknown: dict[str, None] = {}
    chosen = {column: role for role, column in choices.columns.items()}
    for column, cells in table.columns.items():
        run, found, name = column.rpartition(" - ")
        if not found or name.endswith(("__MIN", "__MAX")):
            continue
        metric = chosen.get(name) or _find_metric(name)
        last = next((cell for cell in reversed(cells) if cell), "")
        if metric is None:
            unknown[name] = None
        elif last:
            runs.setdefault(run, {})[metric] = (column, last)
    return _rows_of_runs(table, runs, unknown, "the last value of each run was taken")


def _read_tensorboard(table: Table, choices: Choices) -> Rows:
    match = TENSORBOARD_FILE.fullmatch(table.path.stem)
    if match is None:
        raise UserError(
            f"{table.path} is an export of TensorBoard and must say its run and its metric by its name, like "
            "run-resnet18_seed0-tag-test_accuracy.csv (TensorBoard calls it so), but does not: rename it"
        )
    tag = match["tag"]
    chosen = {column: role for role, column in choices.columns.items()}
    metric = chosen.get(tag) or _find_metric(tag) or _find_metric(re.split(r"[_/](?=\w)", tag)[-1])
    if metric is None:
        raise UserError(
            f"{table.path}: the tag must be a metric that is known, but is {tag!r}: say which it is, like "
            f"--metric accuracy={tag}"
        )
    last = next((cell for cell in reversed(table.columns["Value"]) if cell), "")
    return _rows_of_runs(
        table, {match["run"]: {metric: (tag, last)}}, {}, "the value of the last step was taken"
    )


def _rows_of_runs(
    table: Table,
    runs: Mapping[str, Mapping[str, tuple[str, str]]],
    unknown: Iterable[str],
    note: str,
) -> Rows:
    if not runs:
        raise UserError(
            f"{table.path} must hold a metric that is known, but has {list_names(unknown, 10) or 'no values'}: "
            "say which it is, like --metric accuracy=NAME"
        )
    metrics = {
        metric: Column(
            next(runs[run][metric][0] for run in runs if metric in runs[run]),
            [runs[run].get(metric, ("", ""))[1] for run in runs],
            lambda row: f"{table.path}, run {list(runs)[row]}",
            table.delimiter,
        )
        for metric in dict.fromkeys(metric for values in runs.values() for metric in values)
    }
    notes = [note, "networks and seeds: from the names of runs"]
    if others := list(unknown):
        notes.append(f"metrics not used: {list_names(others, 12)}")
    return Rows(table, split_runs(list(runs)), metrics, {}, None, tuple(notes))


def _describe_timm(path: Path) -> tuple[dict[str, str], list[str]]:
    """What the name of one of timm's benchmarks says: benchmark-infer-amp-nhwc-pt240-cu124-rtx3090.csv."""
    match = TIMM_FILE.fullmatch(path.stem)
    if match is None:
        return {}, []
    parts = {
        "precision": match["precision"],
        "layout": LAYOUTS[match["layout"]],
        "mode": "compiled" if match["dynamo"] else "eager",
        "device": match["device"],
    }
    return parts, [f"from the name of the file: {', '.join(parts.values())}"]


def parse_choice(options: Iterable[str], option: str) -> dict[str, str]:
    """{'NAME': 'VALUE'} of options like NAME=VALUE. Raises UserError for another form."""
    pairs = {}
    for text in options:
        name, found, value = text.partition("=")
        if not found or not name.strip() or not value.strip():
            raise UserError(f"{option} takes NAME=VALUE, but got {text!r}")
        pairs[name.strip()] = value.strip()
    return pairs


def read_metrics_option(options: Iterable[str]) -> dict[str, str]:
    """{metric or statistic of times: column} of options like accuracy=val_acc."""
    return {find_role(name): column for name, column in parse_choice(options, "--metric").items()}
