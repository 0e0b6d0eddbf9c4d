"""State of a training, in one .safetensors file that is whole or absent.

It is written at the end of an epoch, and where a signal stops the training in its midst. Tensors are
`model.NAME`, `optimizer.KEY/NAME` and of averaged weights `ema.NAME`, in mid-epoch `epoch.NAME` too; the
observations so far travel as JSON in the file's metadata. A run that resumes from it ends bit for bit like one that never stopped: what
is random is seeded by (seed, epoch, step), but for mixup's generator, whose state is kept.
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
# A process that was asked to stop is gone by then.
LOCK_SECONDS = 10.0
LISTS: dict[str, type[RecordModel]] = {
    "epochs": EpochObservation,
    "shortages": ShortageObservation,
}


@dataclass
class PartialEpoch:
    """An epoch that was stopped after `num_steps` of its steps, and what they gave.

    `tensors`: the epoch's sums and the state of its generator, by name.
    """

    num_steps: int
    num_images: int
    seconds: float
    tensors: dict[str, Tensor] = field(default_factory=dict)


@dataclass
class Progress:
    """How far a run has come: whole epochs, and the one that it was stopped in."""

    epochs: list[EpochObservation] = field(default_factory=list)
    wall_seconds: float = 0.0
    num_resumes: int = 0
    # Of the network, in all epochs: what the warm-up of averaged weights counts.
    num_updates: int = 0
    partial: PartialEpoch | None = None
    # Of the last step so far, and the steps before which it became smaller.
    micro_batch_size: int | None = None
    shortages: list[ShortageObservation] = field(default_factory=list)

    def __str__(self) -> str:
        step = f", step {self.partial.num_steps} of the next" if self.partial else ""
        return f"epoch {len(self.epochs)}{step}"

    def as_json(self) -> str:
        """All but the partial epoch's tensors."""
        raw = {**vars(self)}
        raw |= {name: [x.model_dump() for x in getattr(self, name)] for name in LISTS}
        if self.partial:
            raw["partial"] = {k: v for k, v in vars(self.partial).items() if k != "tensors"}
        return json.dumps(raw)

    @classmethod
    def from_json(cls, text: str, tensors: Mapping[str, Tensor] | None = None) -> "Progress":
        """`tensors` are the partial epoch's, if there is one."""
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
    """What a training changes: its network, optimizer, and the average of its weights if it has one."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    averaged: nn.Module | None = None


class Checkpoint:
    """The saved state of one seed in `folder`, which is keyed by all that decides the result."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state.safetensors"
        self.finished = folder / "finished.json"
        self.predictions = predictions_file(self.finished)
        # Stands in the file too, so that one that was put here from elsewhere is known.
        self.key = f"{folder.parent.name}/{folder.name}"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from training this seed; raise UserError where one does so.

        The lock goes with the process: after a kill nothing stays behind.
        """
        lock = FileLock(self.folder / "lock")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=LOCK_SECONDS)
        except Timeout as error:
            raise UserError(
                f"another process trains this seed: it holds {self.folder / 'lock'}. Wait for it, "
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
        """Replace the state at once. Raises UserError if it can't be written."""
        tensors = {f"model.{name}": value for name, value in trained.model.state_dict().items()}
        state, numbers = dump_state(trained.model, trained.optimizer)
        tensors |= {f"optimizer.{name}": value for name, value in state.items()}
        if trained.averaged is not None:
            tensors |= {f"ema.{k}": v for k, v in trained.averaged.state_dict().items()}
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
        """Put the saved state into `trained`; None if there is none that is whole."""
        if not self.state.exists():
            return None
        try:
            with safe_open(self.state, framework="pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != FORMAT:
                    raise ValueError(f"its format is {metadata.get('format')!r}, not {FORMAT!r}")
                if metadata.get("key") != self.key:
                    raise ValueError(f"it is of {metadata.get('key')!r}, not of {self.key!r}")
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
            # A damaged checkpoint costs time, never the result: training starts over.
            log.warning(
                "checkpoint %s can't be used (%s): starting from epoch 1", self.state, error
            )
            self.state.unlink(missing_ok=True)
            return None
        return progress

    def finish(self, record: Record, predictions: Path) -> None:
        """Keep the finished record and its file of predictions, and drop the state it came from."""
        copy_predictions(predictions, self.predictions, record)
        records.write(self.finished, record)
        self.state.unlink(missing_ok=True)

    def finished_record(self, job: Job) -> Record | None:
        """The record of a seed that had finished before its job was stopped."""
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
    # Before anything is changed: a model that is half restored must not be trained on.
    _check_shapes(state, trained.model.state_dict())
    _check_shapes(averages, averaged.state_dict() if averaged else {})
    restore_state(trained.model, trained.optimizer, _below("optimizer.", tensors), numbers)
    trained.model.load_state_dict(state)
    if averaged is not None:
        averaged.load_state_dict(averages)


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _check_shapes(came: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    if {k: v.shape for k, v in came.items()} != {k: v.shape for k, v in wanted.items()}:
        raise ValueError("its tensors are not those of this network")
