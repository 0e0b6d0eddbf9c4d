"""Weights from the hub, into a network with a new head, and to a file."""

import dataclasses
import hashlib
import logging
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import timm
import torch
from timm.models import get_pretrained_cfg
from torch import Tensor, nn

from resnest_bench.errors import UserError
from resnest_bench.files import write_bytes
from resnest_bench.models.heads import head_prefixes
from resnest_bench.models.input_channels import adapt_first_convolution
from resnest_bench.words import list_names

log = logging.getLogger(__name__)

# What DataParallel and DDP, and torch.compile, call the network inside them.
WRAPPERS = ("module", "_orig_mod")
MAX_NAMED = 5


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of a file. Raises UserError if it can't be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}: check the path") from error


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


@dataclass(frozen=True)
class NameMatch:
    """A file's tensors under the network's names.

    Attributes:
        tensors: by the name that the network has for them, or by their own.
        renamed: what was removed from names, like "module.", to the number of tensors.
        ignored: names outside of the part that was renamed, like those of a loss beside "model.".
        converted: names of convolutions that were made for RGB, and are now for other channels.
    """

    tensors: dict[str, Tensor]
    renamed: dict[str, int]
    ignored: list[str]
    converted: list[str] = dataclasses.field(default_factory=list)


def match_names(state: dict[str, Tensor], wanted: Collection[str], origin: str) -> NameMatch:
    """Remove from names what DDP, torch.compile and Lightning put there, where it then fits.

    Raises UserError if two tensors would get one name.
    """
    names = {name: _rename(name, wanted) for name in state}
    twice = [name for name, count in Counter(names.values()).items() if count > 1]
    if twice:
        both = [name for name, new in names.items() if new == twice[0]]
        raise UserError(
            f"weights must fit the network, but {origin} has two tensors for {twice[0]} "
            f"({' and '.join(both)}): save the state_dict() of one network"
        )
    renamed = Counter(_removed(name, new) for name, new in names.items() if name != new)
    ignored = _find_outside(names, wanted, renamed)
    tensors = {new: state[name] for name, new in names.items() if name not in ignored}
    return NameMatch(tensors, dict(renamed), ignored)


def _rename(name: str, wanted: Collection[str]) -> str:
    """The network's name for the tensor `name`, or `name` where there is none."""
    if name in wanted:
        return name
    # Inside as well: DataParallel used to be put around the features alone.
    parts = [part for part in name.split(".") if part not in WRAPPERS]
    while ".".join(parts) not in wanted and parts[0:1] == ["model"]:
        parts = parts[1:]
    return ".".join(parts) if ".".join(parts) in wanted else name


def _removed(name: str, new: str) -> str:
    if name.endswith(f".{new}"):
        return name.removesuffix(new)
    return "".join(f"{part}." for part in name.split(".") if part in WRAPPERS)


def _find_outside(
    names: dict[str, str], wanted: Collection[str], renamed: Collection[str]
) -> list[str]:
    """What lies beside a network that is an attribute of something larger."""
    if not any("model." in prefix for prefix in renamed):
        return []
    return [
        name
        for name, new in names.items()
        if new not in wanted and not name.startswith(tuple(renamed))
    ]


def apply_weights(model: nn.Module, state: dict[str, Tensor], origin: str) -> NameMatch:
    """Load every tensor of `state` but the classifier head's, which stays new.

    A first convolution for RGB is converted where the network's images have other channels.

    `origin` says in messages where `state` comes from. Returns how names were matched. Raises
    UserError, and leaves the model as it is, where a tensor is missing, left over or of another
    shape.
    """
    head, own = head_prefixes(model), model.state_dict()
    match = match_names(state, own, origin)
    _log_match(match, origin)
    wanted = {name: t for name, t in own.items() if not name.startswith(head)}
    came = {name: t for name, t in match.tensors.items() if not name.startswith(head)}
    came, converted = adapt_first_convolution(came, wanted)
    # How many batches a norm saw: old files lack it, and nothing here reads it.
    needed = [name for name in wanted if not name.endswith("num_batches_tracked")]
    shapes = _shape_problems(wanted, came)
    problems = [
        _listed("lacks", (name for name in needed if name not in came)),
        _listed("has no place for", (name for name in came if name not in wanted)),
        _listed("has other shapes in", shapes),
    ]
    if any(problems):
        raise UserError(
            f"weights must fit the network, but {origin} {'; '.join(filter(None, problems))}: "
            f"take weights of the same network and stem{_advise_size(model, shapes)}"
        )
    model.load_state_dict(came, strict=False)
    for name in converted:
        log.info("%s: %s was converted from RGB to %d channels", origin, name, came[name].shape[1])
    return dataclasses.replace(match, converted=converted)


def _log_match(match: NameMatch, origin: str) -> None:
    for prefix, count in match.renamed.items():
        log.info("%s: removed %r from the names of %d tensors", origin, prefix, count)
    if match.ignored:
        log.warning("%s: outside of the network, %s", origin, _listed("ignored", match.ignored))


def _advise_size(model: nn.Module, shapes: list[str]) -> str:
    """Position embeddings have the shape of the image that they were made for."""
    if not any("pos_embed" in name or "relative_position" in name for name in shapes):
        return ""
    size = (getattr(model, "pretrained_cfg", None) or {}).get("input_size")
    at = f", with images of {size[1]}x{size[2]}" if size else ", and of the same image size"
    return f"{at}, or `args: {{dynamic_img_size: true}}` where the network has it"


def _shape_problems(wanted: dict[str, Tensor], came: dict[str, Tensor]) -> list[str]:
    return [
        f"{name} (expected {list(wanted[name].shape)}, got {list(came[name].shape)})"
        for name in wanted
        if name in came and wanted[name].shape != came[name].shape
    ]


def _listed(verb: str, items: Iterable[str]) -> str:
    items = list(items)
    return f"{verb} {list_names(items, MAX_NAMED)}" if items else ""


def save_weights(path: Path, model: nn.Module) -> str:
    """Write the state dict as .safetensors, atomically; return its SHA-256 (hex).

    Raises UserError if the folder can't be written or the disk is full.
    """
    return _write_state(path, model.state_dict())


def fetch_hub_weights(name: str, path: Path) -> str:
    """Download timm's pretrained weights `name` to `path`; return the file's SHA-256 (hex).

    Raises UserError if the download fails or `path` can't be written; no file is left then.
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
