"""Weights from a file or from the hub, into a network with a new head, and to a file."""

import hashlib
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import safetensors.torch
import timm
import torch
from timm.models import get_pretrained_cfg
from torch import Tensor, nn

from resnest_bench.errors import UserError
from resnest_bench.models.heads import head_prefixes
from resnest_bench.records import write_bytes

PICKLED = (".pth", ".pt", ".bin")
NESTED_UNDER = ("state_dict", "model")
MAX_NAMED = 5


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of a file. Raises UserError where it can't be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}: check the path") from error


def load_weights_file(path: Path) -> dict[str, Tensor]:
    """Tensors by name, on the CPU, from a .safetensors file or a weights-only .pth, .pt or .bin.

    A mapping under "state_dict" or "model" is taken out. No code in the file is ever run.
    Raises UserError for a missing, damaged or other file.
    """
    if path.suffix not in (".safetensors", *PICKLED):
        raise UserError(
            f"a weights file ends in .safetensors, {', '.join(PICKLED)}, but came {path}: "
            "convert or rename it"
        )
    if not path.is_file():
        raise UserError(f"a weights file must exist, but {path} does not: check the path")
    try:
        content = _read(path)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    # A damaged pickle fails in whatever operation its bytes happen to name.
    except Exception as error:
        raise UserError(_unreadable(path, error)) from error
    return _tensors(content, path)


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return safetensors.torch.load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def _unreadable(path: Path, error: Exception) -> str:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    if isinstance(error, pickle.UnpicklingError):
        # torch's own text advises to load it unsafely.
        reason = "it holds other objects, which torch's weights-only loader refuses"
    return (
        f"{path} must be a whole file that holds only tensors, but cannot be read as one "
        f"({reason}): fetch it again, or save its state_dict() as .safetensors"
    )


def _tensors(content: Any, path: Path) -> dict[str, Tensor]:
    for key in NESTED_UNDER:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content:
        raise UserError(
            f"{path} must map names to tensors, but holds "
            f"{'nothing' if content == {} else 'a ' + type(content).__name__}: save a state_dict()"
        )
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise UserError(
                f"{path} must map names to tensors, but {name!r} is a {type(value).__name__}: "
                "save a state_dict() alone"
            )
    return dict(content)


def load_hub_weights(name: str) -> dict[str, Tensor]:
    """Tensors by name of timm's pretrained network `name`, like resnest50d.in1k.

    huggingface_hub downloads them once, into its own cache folder (`HF_HOME`).
    Raises UserError for an unknown name and for a failed download.
    """
    try:
        return timm.create_model(name, pretrained=True).state_dict()
    # The download goes through several libraries, each with its own errors.
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise UserError(
            f"hub must name pretrained weights that timm can download, but {name!r} failed "
            f"({reason}): check the name and the network, or give a local file with `file:`"
        ) from error


def hub_license(name: str) -> str | None:
    """The licence that timm states for the weights `name`, or None."""
    try:
        config = get_pretrained_cfg(name)
    except RuntimeError:  # an unknown tag
        return None
    return config.license if config else None


def hub_stats(name: str) -> tuple[tuple, tuple] | None:
    """(mean, std) of RGB in 0 to 1 that the weights `name` expect, or None."""
    try:
        config = get_pretrained_cfg(name)
    except RuntimeError:  # an unknown tag
        return None
    return (tuple(config.mean), tuple(config.std)) if config else None


def apply_weights(model: nn.Module, state: dict[str, Tensor], origin: str) -> None:
    """Load every tensor of `state` but the classifier head's, which stays new.

    `origin` says in the message where `state` comes from. Raises UserError, and leaves the model
    as it is, where a tensor is missing, left over or of another shape.
    """
    head = head_prefixes(model)
    wanted = {name: t for name, t in model.state_dict().items() if not name.startswith(head)}
    came = {name: t for name, t in state.items() if not name.startswith(head)}
    # How many batches a norm saw: old files lack it, and nothing here reads it.
    needed = [name for name in wanted if not name.endswith("num_batches_tracked")]
    problems = [
        _listed("lacks", (name for name in needed if name not in came)),
        _listed("has no place for", (name for name in came if name not in wanted)),
        _listed("has other shapes in", _shape_problems(wanted, came)),
    ]
    if any(problems):
        raise UserError(
            f"weights must fit the network, but {origin} {'; '.join(filter(None, problems))}: "
            "take weights of the same network and stem"
        )
    model.load_state_dict(came, strict=False)


def _shape_problems(wanted: dict[str, Tensor], came: dict[str, Tensor]) -> list[str]:
    return [
        f"{name} (expected {list(wanted[name].shape)}, came {list(came[name].shape)})"
        for name in wanted
        if name in came and wanted[name].shape != came[name].shape
    ]


def _listed(verb: str, items: Iterable[str]) -> str:
    items = list(items)
    more = len(items) - MAX_NAMED
    text = ", ".join(items[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
    return f"{verb} {text}" if items else ""


def save_weights(path: Path, model: nn.Module) -> str:
    """Write the state dict as .safetensors, at once or not at all; return its SHA-256 (hex).

    Raises UserError where the folder can't be written or the disk is full.
    """
    return _write_state(path, model.state_dict())


def fetch_hub_weights(name: str, path: Path) -> str:
    """Download timm's pretrained weights `name` to `path`; return the file's SHA-256 (hex).

    Raises UserError where the download fails or `path` can't be written; no file is left then.
    """
    return _write_state(path, load_hub_weights(name))


def _write_state(path: Path, state: dict[str, Tensor]) -> str:
    # Copies: safetensors refuses tensors that share memory or lie in another layout.
    copies = {
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, tensor in state.items()
    }
    content = safetensors.torch.save(copies)
    write_bytes(path, content)
    return hashlib.sha256(content).hexdigest()
