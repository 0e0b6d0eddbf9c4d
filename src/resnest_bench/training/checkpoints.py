"""The state of a training in one .safetensors file, written atomically.

It is written at the end of each epoch, and when a signal interrupts one. Tensors are `model.NAME`,
`optimizer.KEY/NAME`, `ema.NAME` for averaged weights, `slow.NAME` for
Lookahead's, and `epoch.NAME` within an epoch. The observations so
far are JSON in the metadata of the file. A resumed training ends bit for bit like an uninterrupted one: random
numbers are seeded by (seed, epoch, step), except mixup's, whose generator is stored.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from resnest_bench import files, records
from resnest_bench.errors import UserError
from resnest_bench.paths import Job, predictions_file
from resnest_bench.records import Record
from resnest_bench.records.observations import EpochObservation, RecordModel, ShortageObservation
from resnest_bench.records.predictions import copy_predictions
from resnest_bench.training.optimizer import dump_state, restore_state

log = logging.getLogger(__name__)

FORMAT = "resnest-bench checkpoint 3"
# Time for a process to end after it was asked to stop.
LOCK_SECONDS = 10.0
LISTS: dict[str, type[RecordModel]] = {
    "epochs": EpochObservation,
    "shortages": ShortageObservation,
}


@dataclass
class PartialEpoch:
    """An epoch that was interrupted after `num_steps` steps.

    `tensors` are the epoch's sums and the state of its generator, by name.
    """

    num_steps: int
    num_images: int
    seconds: float
    tensors: dict[str, Tensor] = field(default_factory=dict)


@dataclass
class Progress:
    """The progress of a training: complete epochs, and the one in which it was interrupted."""

    epochs: list[EpochObservation] = field(default_factory=list)
    wall_seconds: float = 0.0
    num_resumes: int = 0
    # Updates in all epochs, for the warm-up of averaged weights.
    num_updates: int = 0
    partial: PartialEpoch | None = None
    # Of the last step so far, and the steps at which it was reduced.
    micro_batch_size: int | None = None
    shortages: list[ShortageObservation] = field(default_factory=list)

    def __str__(self) -> str:
        step = f", step {self.partial.num_steps} of the next" if self.partial else ""
        return f"epoch {len(self.epochs)}{step}"

    def as_json(self) -> str:
        """Return everything except the tensors of the partial epoch as JSON."""
        raw = {**vars(self)}
        raw |= {name: [x.model_dump() for x in getattr(self, name)] for name in LISTS}
        if self.partial:
            raw["partial"] = {k: v for k, v in vars(self.partial).items() if k != "tensors"}
        return json.dumps(raw)

    @classmethod
    def from_json(cls, text: str, tensors: Mapping[str, Tensor] | None = None) -> "Progress":
        """The inverse of `as_json`. `tensors` are those of the partial epoch, if any."""
        raw = json.loads(text)
        partial = raw.pop("partial")
        lists: dict[str, Any] = {
            name: [model.model_validate(item) for item in raw.pop(name, [])]
            for name, model in LISTS.items()
        }
        if partial is not None:
            partial = PartialEpoch(**partial, tensors=dict(tensors or {}))
        return cls(**lists, partial=partial, **raw)


@dataclass(frozen=True)
class TrainedState:
    """What a training changes: network, optimizer, and averaged weights and Lookahead's slow ones if any."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    averaged: nn.Module | None = None
    slow: dict[str, Tensor] | None = None


class Checkpoint:
    """The saved state of one seed in `folder`, whose name depends on everything that affects the result."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state.safetensors"
        self.finished = folder / "finished.json"
        self.predictions = predictions_file(self.finished)
        # Also stored in the file, to recognise one that was copied here from elsewhere.
        self.key = f"{folder.parent.name}/{folder.name}"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock this seed. Raises UserError if another process trains it.

        The lock ends with the process, even if it is killed.
        """
        lock = FileLock(self.folder / "lock")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=LOCK_SECONDS)
        except Timeout as error:
            raise UserError(
                f"another process trains this seed: it holds {self.folder / 'lock'}. Wait for it "
                "or stop it, then run the same command again"
            ) from error
        except OSError as error:
            raise UserError(
                f"cannot write into {self.folder}: {error.strerror}. Free space or make the folder "
                "writable, then run the same command again"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def save(self, trained: TrainedState, progress: Progress) -> None:
        """Replace the state atomically. Raises UserError if it can't be written."""
        tensors = {f"model.{name}": value for name, value in trained.model.state_dict().items()}
        state, numbers = dump_state(trained.model, trained.optimizer)
        tensors |= {f"optimizer.{name}": value for name, value in state.items()}
        if trained.averaged is not None:
            tensors |= {f"ema.{k}": v for k, v in trained.averaged.state_dict().items()}
        if trained.slow is not None:
            tensors |= {f"slow.{k}": v for k, v in trained.slow.items()}
        if progress.partial:
            tensors |= {f"epoch.{k}": v for k, v in progress.partial.tensors.items()}
        tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        metadata = {
            "format": FORMAT,
            "key": self.key,
            "progress": progress.as_json(),
            "optimizer": json.dumps(numbers),
        }
        try:
            with files.replacing(self.state) as temporary:
                save_file(tensors, temporary, metadata=metadata)
        except (UserError, SafetensorError) as error:
            raise UserError(
                f"cannot write the checkpoint {self.state}: {error.__cause__ or error}. Free space "
                "or make the folder writable; the same command resumes from the checkpoint before"
            ) from error

    def load(self, trained: TrainedState) -> Progress | None:
        """Load the saved state into `trained`; return None without a valid one."""
        if not self.state.exists():
            return None
        try:
            with safe_open(self.state, framework="pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != FORMAT:
                    raise ValueError(f"its format is {metadata.get('format')!r}, not {FORMAT!r}")
                if metadata.get("key") != self.key:
                    raise ValueError(f"it belongs to {metadata.get('key')!r}, not to {self.key!r}")
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            progress = Progress.from_json(metadata["progress"], _below("epoch.", tensors))
            _restore(trained, tensors, json.loads(metadata["optimizer"]))
        except (
            OSError,
            SafetensorError,
            KeyError,
            ValueError,
            TypeError,
            AttributeError,
            RuntimeError,
        ) as error:
            # A damaged checkpoint costs only time: the training starts over.
            log.warning(
                "checkpoint %s can't be used (%s): starting from epoch 1", self.state, error
            )
            self.state.unlink(missing_ok=True)
            return None
        return progress

    def finish(self, record: Record, predictions: Path) -> None:
        """Keep the finished record with its predictions, and delete the saved state."""
        copy_predictions(predictions, self.predictions, record)
        records.write(self.finished, record)
        self.state.unlink(missing_ok=True)

    def finished_record(self, job: Job) -> Record | None:
        """Return the record of a seed that finished before its job was interrupted."""
        if not self.finished.exists():
            return None
        try:
            return records.read(self.finished, job)
        except (UserError, ValidationError) as error:
            log.warning("%s: training again", error)
            self.finished.unlink(missing_ok=True)
            return None


def _restore(trained: TrainedState, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
    state, averages = _below("model.", tensors), _below("ema.", tensors)
    averaged = trained.averaged
    # Check everything first: a partly restored model must not be trained.
    _check_shapes(state, trained.model.state_dict())
    _check_shapes(averages, averaged.state_dict() if averaged else {})
    slow = _below("slow.", tensors)
    _check_shapes(slow, trained.slow or {})
    restore_state(trained.model, trained.optimizer, _below("optimizer.", tensors), numbers)
    trained.model.load_state_dict(state)
    if averaged is not None:
        averaged.load_state_dict(averages)
    for name, tensor in (trained.slow or {}).items():
        tensor.copy_(slow[name])


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _check_shapes(came: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    if {k: v.shape for k, v in came.items()} != {k: v.shape for k, v in wanted.items()}:
        raise ValueError("its tensors do not match this network")
