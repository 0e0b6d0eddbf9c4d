"""Load weights from the hub into a network with a new head, and save weights to a file."""

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

# Names of the inner network in DataParallel and DDP, and in torch.compile.
WRAPPERS = ("module", "_orig_mod")
MAX_NAMED = 5


def file_sha256(path: Path) -> str:
    """Return the SHA-256 (hex) of a file. Raises UserError if it can't be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}: check the path") from error


def load_hub_weights(name: str) -> dict[str, Tensor]:
    """Load the tensors of timm's pretrained network `name`, like resnest50d.in1k.

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
    """Return the licence of the weights `name` according to timm, or None."""
    try:
        config = get_pretrained_cfg(name)
    except RuntimeError:  # an unknown tag
        return None
    return config.license if config else None


def hub_stats(name: str) -> tuple[tuple, tuple] | None:
    """Return (mean, std) per RGB channel, from 0 to 1, that the weights `name` expect, or None."""
    try:
        config = get_pretrained_cfg(name)
    except RuntimeError:  # an unknown tag
        return None
    return (tuple(config.mean), tuple(config.std)) if config else None


@dataclass(frozen=True)
class NameMatch:
    """The tensors of a file under the names of the network.

    Attributes:
        tensors: by their name in the network, or their own name if it has none.
        renamed: number of tensors by removed prefix, like "module.".
        ignored: names outside of the network, like those of a loss next to "model.".
        converted: names of convolutions that were converted from RGB to other channels.
    """

    tensors: dict[str, Tensor]
    renamed: dict[str, int]
    ignored: list[str]
    converted: list[str] = dataclasses.field(default_factory=list)


def match_names(state: dict[str, Tensor], wanted: Collection[str], origin: str) -> NameMatch:
    """Remove prefixes of DDP, torch.compile and Lightning from names, if the rest is in `wanted`.

    Raises UserError if two tensors would get the same name.
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
    """Return the network's name for the tensor `name`, or `name` if there is none."""
    if name in wanted:
        return name
    # Also inside of names: DataParallel used to wrap only the features.
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
    """List tensors next to a network that is an attribute of a larger module."""
    if not any("model." in prefix for prefix in renamed):
        return []
    return [
        name
        for name, new in names.items()
        if new not in wanted and not name.startswith(tuple(renamed))
    ]


def apply_weights(model: nn.Module, state: dict[str, Tensor], origin: str) -> NameMatch:
    """Load every tensor of `state` except those of the classifier head, which stays new.

    A first convolution for RGB is converted if the network has other input channels.

    `origin` is the source of `state` in messages. Returns how names were matched. Raises UserError without
    changing the model if a tensor is missing, unexpected or of another shape.
    """
    head, own = head_prefixes(model), model.state_dict()
    match = match_names(state, own, origin)
    _log_match(match, origin)
    wanted = {name: t for name, t in own.items() if not name.startswith(head)}
    loaded = {name: t for name, t in match.tensors.items() if not name.startswith(head)}
    loaded, converted = adapt_first_convolution(loaded, wanted)
    # The number of batches seen by a norm: old files lack it, and it isn't used.
    needed = [name for name in wanted if not name.endswith("num_batches_tracked")]
    shapes = _shape_problems(wanted, loaded)
    problems = [
        _listed("lacks", (name for name in needed if name not in loaded)),
        _listed("has the unexpected", (name for name in loaded if name not in wanted)),
        _listed("has other shapes for", shapes),
    ]
    if any(problems):
        raise UserError(
            f"weights must fit the network, but {origin} {'; '.join(filter(None, problems))}: "
            f"take weights of the same network and stem{_advise_size(model, shapes)}"
        )
    model.load_state_dict(loaded, strict=False)
    for name in converted:
        log.info(
            "%s: %s was converted from RGB to %d channels", origin, name, loaded[name].shape[1]
        )
    return dataclasses.replace(match, converted=converted)


def _log_match(match: NameMatch, origin: str) -> None:
    for prefix, count in match.renamed.items():
        log.info("%s: removed %r from the names of %d tensors", origin, prefix, count)
    if match.ignored:
        log.warning("%s: outside of the network, %s", origin, _listed("ignored", match.ignored))


def _advise_size(model: nn.Module, shapes: list[str]) -> str:
    """Suggest a fix for position embeddings, whose shape depends on the image size."""
    if not any("pos_embed" in name or "relative_position" in name for name in shapes):
        return ""
    size = (getattr(model, "pretrained_cfg", None) or {}).get("input_size")
    at = f", with images of {size[1]}x{size[2]}" if size else ", and of the same image size"
    return f"{at}, or `args: {{dynamic_img_size: true}}` if the network has it"


def _shape_problems(wanted: dict[str, Tensor], loaded: dict[str, Tensor]) -> list[str]:
    return [
        f"{name} (expected {list(wanted[name].shape)}, got {list(loaded[name].shape)})"
        for name in wanted
        if name in loaded and wanted[name].shape != loaded[name].shape
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
    # Copies: safetensors refuses tensors that share memory or have another layout.
    copies = {
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, tensor in state.items()
    }
    content = safetensors.torch.save(copies)
    write_bytes(path, content)
    return hashlib.sha256(content).hexdigest()
