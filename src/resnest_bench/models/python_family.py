"""A network in a file of the user's: `build(num_classes=..., **args)` in it gives an nn.Module.

The file is code, and runs with the rights of whoever runs the study. It is loaded where a network is
built (plan, describe, train, finetune, latency), and nowhere else: tables and dashboard never run it.
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

# To import a file and build a network; one that downloads or trains something belongs elsewhere.
SECONDS = 120
PREFIX = "resnest_bench_user_"


def build_python(
    variant: PythonVariant, num_classes: int, dropout: float, zero_last_gamma: bool, in_chans: int
) -> nn.Module:
    """Images (B, in_chans, H, W) to logits (B, num_classes).

    Args:
        dropout: given as drop_rate if the function takes it; refused if it does not and one is set.
        zero_last_gamma: has no effect: the file decides how its weights start.
        in_chans: given if the function names it; refused if it does not, unless it is 3.

    Raises UserError, with the file's line where it has one, if the file is missing or has changed, if
    it raises, takes too long, or gives no module with a classifier.
    """
    where = f"variant {variant.name}: {variant.file}"
    _check_source(variant)
    path = Path(variant.file)
    with _explained(where, path), _in_time(where), _importing_from(path.resolve().parent):
        model = _build(variant, where, num_classes, dropout, in_chans)
    if not isinstance(model, nn.Module):
        raise UserError(
            f"{where}: {variant.build} must give an nn.Module, but gave a {type(model).__name__}"
        )
    _check_head(where, model, num_classes)
    return model


def _build(
    variant: PythonVariant, where: str, num_classes: int, dropout: float, in_chans: int
) -> object:
    builder = getattr(_load(Path(variant.file)), variant.build, None)
    if not callable(builder):
        raise UserError(
            f"{where} must define {variant.build}, a function or class that gives the network, but "
            "does not: name another one under build"
        )
    options = {"num_classes": num_classes, **variant.args}
    if _takes(builder, "drop_rate"):
        options["drop_rate"] = dropout
    elif dropout:
        raise UserError(
            f"{where}: a dropout of {dropout} is asked for before the classifier, but "
            f"{variant.build} takes no drop_rate: give it one, or set dropout: 0 for this variant"
        )
    if _names(builder, "in_chans") or (in_chans != RGB and _takes(builder, "in_chans")):
        options["in_chans"] = in_chans
    elif in_chans != RGB:
        raise UserError(
            f"{where}: the dataset's images have {count_noun(in_chans, 'channel')}, but {variant.build} takes no "
            "in_chans, and so is taken to be for RGB: give it in_chans, and use it in its first layer"
        )
    return builder(**options)


def _check_source(variant: PythonVariant) -> None:
    """Raise UserError if the file is not there, or is not the one that was planned."""
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
    # Two studies may have a net.py each.
    name = f"{PREFIX}{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, "its name ends in .py"
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by its name.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """Let imports find what is in `folder`, and forget it afterwards: another file may have a module of
    the same name in its own folder. What the code prints must not come between the lines of a table.
    """
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        sys.path.remove(str(folder))
        # The file itself stays: dataclasses in it look it up later.
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
    """Make what the user's code raises one line that names its own line."""
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
    """Raise UserError after SECONDS. In another thread than the main one nothing can interrupt it."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise UserError(
            f"{where} takes more than {SECONDS} s to give its network: prepare beforehand what it waits "
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
            f"{where}: its classifier can't be told: give the module a method get_classifier that "
            "returns it, or end in an nn.Linear"
        )
    outputs = getattr(head, "out_features", None) or getattr(head, "out_channels", num_classes)
    if outputs != num_classes:
        raise UserError(
            f"{where}: its classifier has {outputs} outputs, but {num_classes} classes are asked for: use "
            "num_classes for it"
        )
