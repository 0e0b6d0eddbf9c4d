"""Numbers from cells, in the units of METRICS: which unit was taken is always said."""

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from resnest_bench.errors import UserError
from resnest_bench.imports.columns import (
    PERCENT_ENDINGS,
    TIME_ENDINGS,
    TIME_UNITS,
    TIMM_MS,
    UNIT_CHOICES,
    short_name,
    simplify,
)
from resnest_bench.records.metrics import METRICS

# In METRICS these are fractions, and people also write percent.
SHARES = tuple(name for name, metric in METRICS.items() if metric.unit == "fraction")
RANGES = {"cohen_kappa": (-1.0, 1.0), "brier_score": (0.0, 2.0), "test_loss": (0.0, math.inf)}
COUNTS = ("num_params", "num_macs", "num_activations")
COUNT_FACTORS = {"ones": 1.0, "millions": 1e6, "billions": 1e9}
THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
# Fewer than this many parameters are nearly always millions.
FEWEST_PARAMS = 10_000


@dataclass(frozen=True)
class Column:
    """Cells of one metric: `cells` as text by row, and where a row is in the file."""

    name: str
    cells: Sequence[str]
    where: Callable[[int], str]
    delimiter: str = ","


@dataclass(frozen=True)
class Numbers:
    """Values in the unit of METRICS, None for an empty cell; and the unit of the file, for readers."""

    values: list[float | None]
    unit: str


def parse_number(text: str, delimiter: str = ",") -> float | None:
    """A number in a cell; None for an empty one. Raises ValueError with what is wrong."""
    plain = text.strip().removesuffix("%").strip()
    if not plain:
        return None
    if "±" in plain or "+-" in plain or "+/-" in plain:
        raise ValueError(
            "holds a mean with its spread: give one row with one value per seed instead"
        )
    if THOUSANDS.fullmatch(plain) and not (delimiter == ";" and DECIMAL_COMMA.fullmatch(plain)):
        plain = plain.replace(",", "")
    elif delimiter == ";" and DECIMAL_COMMA.fullmatch(plain):
        plain = plain.replace(",", ".")
    try:
        # Python would also take 1_000.
        value = float("x" if "_" in plain else plain)
    except ValueError:
        raise ValueError("must be a number") from None
    if not math.isfinite(value):
        raise ValueError(
            "must be a number that is finite: leave the cell empty where it is unknown"
        )
    return value


def read_numbers(column: Column) -> list[float | None]:
    """Raises UserError that names the row."""
    numbers = []
    for row, cell in enumerate(column.cells):
        try:
            numbers.append(parse_number(cell, column.delimiter))
        except ValueError as error:
            raise UserError(
                f"{column.where(row)}: {column.name!r} {error}, but got {cell!r}"
            ) from None
    return numbers


def convert(metric: str, column: Column, stated: str | None) -> Numbers:
    """Values of a metric in its unit in METRICS. `stated` is one of UNIT_CHOICES, or None.

    Raises UserError for values out of range, and where the unit can't be known.
    """
    numbers = read_numbers(column)
    if metric in SHARES:
        return _convert_share(metric, column, numbers, stated)
    if metric in COUNTS:
        return _convert_count(metric, column, numbers, stated)
    if stated is not None:
        raise UserError(
            f"--unit is not for {short_name(metric)}, which has no choice of units: omit it"
        )
    low, high = RANGES.get(metric, (-math.inf, math.inf))
    _check_range(column, numbers, low, high, METRICS[metric].unit)
    return Numbers(numbers, METRICS[metric].unit)


def _known(numbers: Sequence[float | None]) -> list[float]:
    return [value for value in numbers if value is not None]


def _convert_share(
    metric: str, column: Column, numbers: list[float | None], stated: str | None
) -> Numbers:
    _check_choice(metric, stated, ("percent", "fraction"))
    known = _known(numbers)
    marked = any("%" in cell for cell in column.cells) or simplify(column.name).endswith(
        PERCENT_ENDINGS
    )
    unit = stated or ("percent" if marked else None)
    if unit is None:
        above = [value for value in known if value > 1]
        if above and any(0 < value <= 1 for value in known):
            rows = [i for i, value in enumerate(numbers) if value is not None]
            low = min(rows, key=lambda i: abs(numbers[i] or 0) or math.inf)
            high = max(rows, key=lambda i: numbers[i] or 0)
            raise UserError(
                f"{column.where(low)}: {column.name!r} must be percent in every row or a fraction in every row, "
                f"but got {column.cells[low]} there and {column.cells[high]} in {column.where(high)}: mend the "
                f"rows, or say --unit {short_name(metric)}=percent"
            )
        unit = "percent" if above else "fraction"
    _check_range(column, numbers, 0.0, 100.0 if unit == "percent" else 1.0, unit)
    factor = 100 if unit == "percent" else 1
    return Numbers([None if v is None else v / factor for v in numbers], unit)


def _convert_count(
    metric: str, column: Column, numbers: list[float | None], stated: str | None
) -> Numbers:
    _check_choice(metric, stated, tuple(COUNT_FACTORS))
    known, name = _known(numbers), simplify(column.name)
    unit = stated or _guess_count_unit(name)
    if unit is None:
        if not known or min(known) >= FEWEST_PARAMS:
            unit = "ones"
        elif max(known) < FEWEST_PARAMS and any(value % 1 for value in known):
            unit = "millions"
        else:
            raise UserError(
                f"{column.where(0)}: the unit of {column.name!r} can't be known from values like "
                f"{min(known):g}: say --unit {short_name(metric)}=ones, or =millions"
            )
    _check_range(column, numbers, 0.0, 1e18 / COUNT_FACTORS[unit], unit)
    factor = COUNT_FACTORS[unit]
    return Numbers([None if v is None else float(round(v * factor)) for v in numbers], unit)


def _guess_count_unit(name: str) -> str | None:
    if name in ("infer_gmacs", "gmacs", "macs_g"):
        return "billions"
    if name in ("infer_macts", "macts", "mmacs", "macs_m") or name.endswith(("_m", "_millions")):
        return "millions"
    return None


def _check_choice(metric: str, stated: str | None, known: tuple[str, ...]) -> None:
    if stated is not None and stated not in known:
        raise UserError(
            f"--unit {short_name(metric)} must be one of {', '.join(known)}, but got {stated!r}"
        )


def _check_range(
    column: Column, numbers: Sequence[float | None], low: float, high: float, unit: str
) -> None:
    for row, value in enumerate(numbers):
        if value is not None and not low <= value <= high:
            bounds = f"at least {low:g}" if math.isinf(high) else f"between {low:g} and {high:g}"
            raise UserError(
                f"{column.where(row)}: {column.name!r} must be {bounds} ({unit}), but got "
                f"{column.cells[row]}: mend the value, or take another column with --metric"
            )


def time_unit(column: str, stated: str | None) -> str:
    """'ms', 's' or 'us' for a column of times. Raises UserError where nothing says it."""
    if stated is not None:
        _check_choice("latency", stated, tuple(TIME_UNITS))
        return stated
    name = simplify(column)
    if name in TIMM_MS or name == "ms":
        return "ms"
    for ending, unit in TIME_ENDINGS.items():
        if name.endswith(ending):
            return unit
    raise UserError(
        f"the unit of the times in column {column!r} can't be known: say --unit latency=ms, =s or =us"
    )


def read_times(column: Column, unit: str) -> list[list[float]]:
    """Times in ms for each row: one number, or a list like [1.2, 1.3] of samples; empty for none.

    Raises UserError for anything that is no time.
    """
    times = []
    for row, cell in enumerate(column.cells):
        try:
            values = _parse_list(cell) if cell.startswith("[") else [cell]
            numbers = [parse_number(str(value), column.delimiter) for value in values]
        except ValueError as error:
            raise UserError(
                f"{column.where(row)}: {column.name!r} {error}, but got {cell[:80]!r}"
            ) from None
        known = _known(numbers)
        if any(value <= 0 for value in known):
            raise UserError(
                f"{column.where(row)}: {column.name!r} must be a time above 0, but got {cell[:80]}: mend it"
            )
        times.append([value * TIME_UNITS[unit] for value in known])
    return times


def _parse_list(cell: str) -> list[object]:
    try:
        values = json.loads(cell)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, list):
        raise ValueError("must be a number, or a list of numbers like [1.2, 1.3]")
    return values


def check_units(units: dict[str, str]) -> None:
    """Raise UserError for a unit that there is not."""
    for name, unit in units.items():
        if unit not in UNIT_CHOICES:
            raise UserError(
                f"--unit takes NAME=UNIT, where UNIT is one of {', '.join(UNIT_CHOICES)}, but got "
                f"{name}={unit}"
            )
