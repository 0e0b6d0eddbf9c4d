"""What keeps a network from being exported or run, in words for a row of a table."""

import re
from collections.abc import Iterable
from importlib.util import find_spec

from resnest_bench.errors import first_line

# torch's names of operators in the messages of its exporters: aten.foo.default, aten::foo.
OPERATOR = re.compile(r"\b(?:aten|prims|torchvision|quantized|_operator)(?:\.|::)\w+(?:\.\w+)?")


class NotAvailableError(RuntimeError):
    """A setting can't be measured here; the message says why."""


class ExportError(NotAvailableError):
    """A network can't be written in a format; the message names the format and the operator."""


def explain_failure(error: Exception, format_label: str) -> ExportError:
    """Return the `ExportError` for what an exporter raised, with the operator that it names, if any."""
    texts = [str(one) for one in list_causes(error)]
    operators = [name for text in texts for name in OPERATOR.findall(text)]
    if operators:
        # The innermost cause is the most precise.
        return ExportError(
            f"can't be exported to {format_label}: operator {operators[-1]} is not supported"
        )
    innermost = list_causes(error)[-1]
    return ExportError(
        f"can't be exported to {format_label}: {type(innermost).__name__}: {first_line(innermost)}"
    )


def list_causes(error: BaseException) -> list[BaseException]:
    """Return an error and what caused it, the innermost last."""
    causes: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in causes:
        causes.append(current)
        current = current.__cause__ or current.__context__
    return causes


def check_packages(label: str, packages: Iterable[str], install: str) -> None:
    """Raise NotAvailableError with the line that installs them if any of the `packages` is missing."""
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise NotAvailableError(
            f"not available here: {label} needs {' and '.join(missing)}: {install}"
        )
