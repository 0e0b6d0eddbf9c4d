"""Read files of weights in common formats, without running code in them."""

import argparse
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from resnest_bench.errors import UserError

# timm writes .pth.tar, Lightning .ckpt; both use torch.save.
PICKLED = (".pth", ".pt", ".bin", ".ckpt", ".pth.tar")
# Order of preference: the trained weights come before their moving average.
PREFERRED = ("state_dict", "model", "model_state_dict", "state_dict_ema", "model_ema")
LFS_POINTER = b"version https://git-lfs"
HEAD_BYTES = 512


@dataclass(frozen=True)
class FileWeights:
    """The contents of a file of weights.

    Attributes:
        tensors: the weights by name, on the CPU.
        key: the entry that was read, like "state_dict"; None if the file itself is the mapping.
        other_keys: other entries with weights.
    """

    tensors: dict[str, Tensor]
    key: str | None = None
    other_keys: tuple[str, ...] = ()


def read_weights_file(path: Path, key: str | None = None) -> FileWeights:
    """Read a .safetensors file or a checkpoint of torch.save, with the weights-only loader.

    Args:
        key: the entry to read; None: the first of PREFERRED, or the only one.

    Raises UserError for a missing, damaged or unsupported file, for an unknown key, and for several entries
    of which none is in PREFERRED.
    """
    _check_path(path)
    try:
        content = _read(path)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    # A damaged pickle can raise anything.
    except Exception as error:
        raise UserError(_describe_unreadable(path, error)) from error
    return _choose_entry(content, path, key)


def load_weights_file(path: Path, key: str | None = None) -> dict[str, Tensor]:
    """Return only the tensors of `read_weights_file`."""
    return read_weights_file(path, key).tensors


def _check_path(path: Path) -> None:
    if not path.name.endswith((".safetensors", *PICKLED)):
        raise UserError(
            f"a weights file must end in .safetensors, {', '.join(PICKLED)}, but got {path}: "
            "convert or rename it"
        )
    if not path.is_file():
        raise UserError(f"a weights file must exist, but {path} does not: check the path")


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return safetensors.torch.load_file(path)
    # timm's training checkpoints hold their command line as one. It only carries attributes, whose
    # values the loader checks as all others.
    with torch.serialization.safe_globals([argparse.Namespace]):
        return torch.load(path, map_location="cpu", weights_only=True)


def _describe_unreadable(path: Path, error: Exception) -> str:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    if isinstance(error, pickle.UnpicklingError):
        # torch's own message suggests loading it unsafely.
        reason = "it holds other objects, which torch's weights-only loader refuses"
    what, remedy = _recognise(path) or (
        f"cannot be read as one ({reason})",
        "download it again, or save its state_dict() as .safetensors",
    )
    return f"{path} must be a complete file that holds only tensors, but {what}: {remedy}"


def _recognise(path: Path) -> tuple[str, str] | None:
    """Recognise files that are often downloaded by mistake: return what it is, and what to do."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        return "is empty", "fetch it again"
    if head.startswith(LFS_POINTER):
        return (
            "is a Git LFS pointer instead of the file",
            "run `git lfs pull` in its repository, or download the file itself",
        )
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return (
            "is a web page (HTML or XML)",
            "the address needs a login or shows a page about the file: download the file itself",
        )
    if head.startswith(b"PK\x03\x04") and path.suffix == ".safetensors":
        return "was written by torch.save", "rename it to .pth"
    if head[8:9] == b"{" and path.suffix != ".safetensors":
        return "is a safetensors file", "rename it to .safetensors"
    return None


def _choose_entry(content: Any, path: Path, key: str | None) -> FileWeights:
    entries = _find_entries(content)
    if key is not None:
        return _take_entry(entries, key, path)
    if not entries:
        return FileWeights(_check_tensors(content, path))
    preferred = [name for name in PREFERRED if name in entries] or list(entries)
    if preferred[0] not in PREFERRED and len(entries) > 1:
        raise UserError(
            f"{path} holds several sets of weights ({', '.join(entries)}): choose one by `key:`"
        )
    return _take_entry(entries, preferred[0], path)


def _take_entry(entries: dict[str, dict], key: str, path: Path) -> FileWeights:
    if key not in entries:
        there = f"there are {', '.join(entries)}" if entries else "it has no entries: remove `key:`"
        raise UserError(f"{path} has no weights under key {key!r}: {there}")
    others = tuple(name for name in entries if name != key)
    return FileWeights(_check_tensors(entries[key], path), key, others)


def _find_entries(content: Any) -> dict[str, dict]:
    """Return the top-level entries of a checkpoint that hold weights."""
    if not isinstance(content, dict):
        return {}
    inner = {key: _unwrap(value) for key, value in content.items() if isinstance(key, str)}
    entries = {key: value for key, value in inner.items() if _holds_tensors(value)}
    # If only a usual name is left, return it: the error then says what it holds.
    return entries or {k: v for k, v in inner.items() if k in PREFERRED and isinstance(v, dict)}


def _unwrap(value: Any) -> Any:
    """Return the innermost mapping of {"state_dict": {"model": mapping}} and the like."""
    while isinstance(value, dict) and not _holds_tensors(value):
        key = next((k for k in PREFERRED if isinstance(value.get(k), dict)), None)
        if key is None:
            return value
        value = value[key]
    return value


def _holds_tensors(value: Any) -> bool:
    if not isinstance(value, dict) or not value:
        return False
    return all(isinstance(name, str) and isinstance(t, Tensor) for name, t in value.items())


def _check_tensors(content: Any, path: Path) -> dict[str, Tensor]:
    if not isinstance(content, dict) or not content:
        raise UserError(
            f"{path} must map names to tensors, but holds "
            f"{'nothing' if content == {} else 'a ' + type(content).__name__}: save a state_dict()"
        )
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise UserError(
                f"{path} must map names to tensors, but {name!r} is a {type(value).__name__}: "
                "save only a state_dict()"
            )
    return dict(content)
