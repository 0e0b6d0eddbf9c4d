"""A network in a user's Python file, whose `build(num_classes=..., **args)` returns an nn.Module.

The file is code, and has the rights of whoever runs the study. It is loaded only to build a network (plan,
describe, train, finetune, latency): tables and dashboard never run it.
"""

import contextlib
import hashlib
import importlib.util
import inspect
import logging
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType, ModuleType

from torch import nn

from resnest_bench.digests import digest_source
from resnest_bench.errors import UserError, first_line
from resnest_bench.models.heads import find_head
from resnest_bench.models.input_channels import RGB
from resnest_bench.specs import PythonVariant
from resnest_bench.words import count_noun

log = logging.getLogger(__name__)

# Time to import a file and build a network, without downloads or training.
SECONDS = 120
PREFIX = "resnest_bench_user_"


def build_python(
    variant: PythonVariant, num_classes: int, dropout: float, zero_last_gamma: bool, in_chans: int
) -> nn.Module:
    """Images (B, in_chans, H, W) to logits (B, num_classes).

    Args:
        dropout: passed as drop_rate if the function accepts it; otherwise it must be 0.
        zero_last_gamma: no effect, since the file initialises its weights.
        in_chans: passed if the function has this parameter; otherwise it must be 3.

    Raises UserError, with the line of the file if known, if the file is missing or has changed, if it raises
    an error or takes too long, or if it doesn't return a module with a classifier.
    """
    where = f"variant {variant.name}: {variant.file}"
    _check_source(variant)
    path = Path(variant.file)
    with _explained(where, path), _in_time(where), _importing_from(path.resolve().parent):
        model = _build(variant, where, num_classes, dropout, in_chans)
    if not isinstance(model, nn.Module):
        raise UserError(
            f"{where}: {variant.build} must return an nn.Module, but got a {type(model).__name__}"
        )
    _check_head(where, model, num_classes)
    return model


def _build(
    variant: PythonVariant, where: str, num_classes: int, dropout: float, in_chans: int
) -> object:
    builder = getattr(_load(Path(variant.file)), variant.build, None)
    if not callable(builder):
        raise UserError(
            f"{where} must define {variant.build}, a function or class that returns the network, but "
            "does not: name another one under build"
        )
    options = {"num_classes": num_classes, **variant.args}
    if _takes(builder, "drop_rate"):
        options["drop_rate"] = dropout
    elif dropout:
        raise UserError(
            f"{where}: a dropout of {dropout} is set, but "
            f"{variant.build} takes no drop_rate: add it, or set dropout: 0 for this variant"
        )
    if _names(builder, "in_chans") or (in_chans != RGB and _takes(builder, "in_chans")):
        options["in_chans"] = in_chans
    elif in_chans != RGB:
        raise UserError(
            f"{where}: the dataset's images have {count_noun(in_chans, 'channel')}, but {variant.build} takes no "
            "in_chans, and so is assumed to be for RGB: add in_chans, and use it in the first layer"
        )
    return builder(**options)


def _check_source(variant: PythonVariant) -> None:
    """Raise UserError if the file is missing, or has changed since the run was planned."""
    path = Path(variant.file)
    if not path.is_file():
        raise UserError(
            f"variant {variant.name}: there is no file {variant.file} (from {Path.cwd()}): correct file, "
            "or run in the folder that it is named from"
        )
    if variant.source_digest not in (None, digest_source(path)):
        raise UserError(
            f"variant {variant.name}: {variant.file}, or what it imports from its folder, has changed "
            "since the run was planned: run the same command again"
        )


def _load(path: Path) -> ModuleType:
    # Two studies may each have a net.py.
    name = f"{PREFIX}{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, "its name ends in .py"
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look up their module by name.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """Let imports find modules in `folder`, and forget them afterwards.

    Another file may have a module of the same name in its own folder. Output of the code is suppressed, since
    it must not appear within a table.
    """
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        sys.path.remove(str(folder))
        # Keep the file itself: its dataclasses look it up later.
        for name in [n for n in sys.modules if n not in before and not n.startswith(PREFIX)]:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).resolve().is_relative_to(folder):
                del sys.modules[name]


def _read_parameters(builder: object) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(builder).parameters  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return {}


def _names(builder: object, name: str) -> bool:
    return name in _read_parameters(builder)


def _takes(builder: object, name: str) -> bool:
    kinds = {parameter.kind for parameter in _read_parameters(builder).values()}
    return _names(builder, name) or inspect.Parameter.VAR_KEYWORD in kinds


@contextlib.contextmanager
def _explained(where: str, path: Path) -> Iterator[None]:
    """Turn an error of the user's code into one line that names the line of code."""
    try:
        yield
    except UserError:
        raise
    except SyntaxError as error:
        raise UserError(f"{where}, line {error.lineno}: {error.msg}") from error
    except (Exception, SystemExit) as error:
        folder = path.resolve().parent
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if Path(frame.filename).resolve().is_relative_to(folder)]
        place = f", line {own[-1].lineno}" if own else ""
        if own and Path(own[-1].filename).name != path.name:
            place = f": {Path(own[-1].filename).name}{place}"
        raise UserError(f"{where}{place}: {type(error).__name__}: {first_line(error)}") from error


@contextlib.contextmanager
def _in_time(where: str) -> Iterator[None]:
    """Raise UserError after SECONDS. Only works in the main thread."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise UserError(
            f"{where} takes more than {SECONDS} s to build its network: prepare beforehand what it waits "
            "for, such as a download"
        )

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _check_head(where: str, model: nn.Module, num_classes: int) -> None:
    head = find_head(model)
    if head is None:
        raise UserError(
            f"{where}: its classifier is unknown: give the module a method get_classifier that "
            "returns it, or end in an nn.Linear"
        )
    outputs = getattr(head, "out_features", None) or getattr(head, "out_channels", num_classes)
    if outputs != num_classes:
        raise UserError(
            f"{where}: its classifier has {outputs} outputs, but {num_classes} classes are asked for: use "
            "num_classes for it"
        )
