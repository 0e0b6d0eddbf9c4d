"""What every benchmark here prints before its table: on what, with what, how and of which commit."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any, TypeVar, get_args

import psutil
import torch
from pydantic import TypeAdapter
from torch import nn

from resnest_bench.device.environment import describe, device_state
from resnest_bench.errors import UserError
from resnest_bench.specs import RecipeSpec, VariantSpec, read_yaml

ROOT = Path(__file__).parents[1]
VARIANTS = ROOT / "config/variants.yaml"
# What other programs may take of the processors.
BUSY = 0.15
# How a training step can be run.
MODES = get_args(RecipeSpec.model_fields["mode"].annotation)
Network = TypeVar("Network", bound=nn.Module)


def chosen_variants(names: str) -> list[VariantSpec]:
    """The variants of config/variants.yaml that `names` ('A,B' or 'all') asks for, in its order.

    Raises UserError for a name that is not there.
    """
    every = TypeAdapter(list[VariantSpec]).validate_python(read_yaml(VARIANTS))
    if names == "all":
        return every
    by_name = {variant.name: variant for variant in every}
    asked = [name.strip() for name in names.split(",")]
    unknown = [name for name in asked if name not in by_name]
    if unknown:
        raise UserError(
            f"--variants takes names of {VARIANTS}, but {', '.join(unknown)} is not there: "
            f"take some of {', '.join(by_name)}"
        )
    return [by_name[name] for name in asked]


def header(device: torch.device, allocator: str | None = None) -> dict[str, Any]:
    """All that a figure must be shown with, as JSON values."""
    return {
        "command": shlex.join(["python", *sys.argv]),
        "environment": describe(device, allocator).model_dump(mode="json"),
        "state_before": device_state(device).model_dump(mode="json"),
        # Not the load of the last minute: the benchmark before this one would still be in it.
        "busy_before": psutil.cpu_percent(interval=1.0) / 100,
    }


def header_lines(header: dict[str, Any], count: str) -> list[str]:
    """`header` as lines of Markdown. `count` says how many of what each figure is made from."""
    seen = header["environment"]
    versions = ", ".join(f"{name} {version}" for name, version in seen["versions"].items())
    gpu = seen["device_kind"] == "cuda"
    beside = f", CUDA {seen['cuda']}, driver {seen['driver']}, {seen['cpu_model']}" if gpu else ""
    changed = " with changes" if seen["git_dirty"] else ""
    return [
        f"- machine: {seen['device_name']}{beside}, {seen['num_cpu_threads']} torch threads"
        f"{_describe_load(header)}",
        f"- versions: python {seen['python']}, {versions}",
        f"- command: `{header['command']}`",
        f"- commit: {seen['git_commit']}{changed}",
        f"- n: {count}",
    ]


def _describe_load(header: dict[str, Any]) -> str:
    """What else the machine did; empty for what is not timed, whose header lacks it."""
    busy = header.get("busy_before")
    if busy is None:
        return ""
    doubt = " (the figures are worth little)" if busy > BUSY else ""
    return f"; {busy:.0%} of the processors busy before{doubt}"


def markdown(columns: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; all but the first column to the right."""
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    rules = ["-" * widths[0], *("-" * max(width - 1, 1) + ":" for width in widths[1:])]

    def line(cells: list[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        return f"| {' | '.join(padded)} |"

    return "\n".join(line(cells) for cells in (columns, rules, *rows))


def write_json(path: Path | None, values: dict[str, Any]) -> None:
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def to_channels_last(model: Network) -> Network:
    """`model` itself, its weights in this layout."""
    # torch's annotations lack what its docs name.
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def synchronise(device: torch.device) -> None:
    """Wait until `device` has done all that it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
