"""State at the end of an epoch, in one .safetensors file that is whole or absent.

Tensors are `model.NAME` and `momentum.NAME`; the observations so far travel as JSON in the file's
metadata. A run that resumes from it ends bit for bit like one that never stopped: what is random
is seeded by (seed, epoch, step), so no generator's state has to be kept.
"""

import json
import logging
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from resnest_bench import records
from resnest_bench.errors import UserError
from resnest_bench.records import EpochObservation, Record

log = logging.getLogger(__name__)

FORMAT = "resnest-bench checkpoint 1"


@dataclass
class Progress:
    """How far a run has come."""

    epochs: list[EpochObservation] = field(default_factory=list)
    wall_seconds: float = 0.0
    num_resumes: int = 0

    def as_json(self) -> str:
        return json.dumps({**asdict(self), "epochs": [e.model_dump() for e in self.epochs]})

    @classmethod
    def from_json(cls, text: str) -> "Progress":
        raw = json.loads(text)
        epochs = [EpochObservation.model_validate(item) for item in raw.pop("epochs")]
        return cls(epochs=epochs, **raw)


def _momenta(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    buffers = {}
    for name, parameter in model.named_parameters():
        buffer = optimizer.state.get(parameter, {}).get("momentum_buffer")
        if buffer is not None:
            buffers[name] = buffer
    return buffers


class Checkpoint:
    """The saved state of one seed in `folder`, which is keyed by all that decides the result."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state.safetensors"
        self.finished = folder / "finished.json"

    def save(self, model: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
        """Replace the state at once. Raises UserError where it can't be written."""
        tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
        tensors |= {f"momentum.{k}": v for k, v in _momenta(model, optimizer).items()}
        tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        partial = self.state.with_suffix(".partial")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file(tensors, partial, metadata={"format": FORMAT, "progress": progress.as_json()})
            os.replace(partial, self.state)
        except (OSError, SafetensorError) as error:
            partial.unlink(missing_ok=True)
            raise UserError(
                f"cannot write the checkpoint {self.state}: {error}. Free space or make the folder "
                "writable; the same command resumes from the epoch before"
            ) from error

    def load(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Progress | None:
        """Put the saved state into `model` and `optimizer`; None if there is none that is whole."""
        if not self.state.exists():
            return None
        try:
            with safe_open(self.state, framework="pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != FORMAT:
                    raise ValueError(f"its format is {metadata.get('format')!r}, not {FORMAT!r}")
                progress = Progress.from_json(metadata["progress"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            _restore(model, optimizer, tensors)
        except (OSError, SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
            # A damaged checkpoint costs time, never the result: training starts over.
            log.warning(
                "checkpoint %s can't be used (%s): starting from epoch 1", self.state, error
            )
            self.state.unlink(missing_ok=True)
            return None
        return progress

    def finish(self, record: Record) -> None:
        """Keep the finished record, and drop the state it came from."""
        records.write(self.finished, record)
        self.state.unlink(missing_ok=True)

    def finished_record(self) -> Record | None:
        """The record of a seed that had finished before its job was stopped."""
        if not self.finished.exists():
            return None
        try:
            return records.read(self.finished)
        except (UserError, ValidationError) as error:
            log.warning("%s: training again", error)
            self.finished.unlink(missing_ok=True)
            return None


def _restore(
    model: nn.Module, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]
) -> None:
    state = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    parameters = dict(model.named_parameters())
    momenta = {
        k.removeprefix("momentum."): v for k, v in tensors.items() if k.startswith("momentum.")
    }
    if not set(momenta) <= set(parameters):
        raise ValueError("it holds momenta of parameters that the model does not have")
    model.load_state_dict(state)
    for name, buffer in momenta.items():
        parameter = parameters[name]
        restored = torch.empty_like(parameter.detach()).copy_(buffer)
        optimizer.state[parameter]["momentum_buffer"] = restored
