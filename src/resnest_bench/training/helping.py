"""What a helper does: train what the job trains, with its share of each batch (see `training.helpers`)."""

import contextlib
import json
import logging
import os
import pickle
import signal
import sys
import threading
import traceback
from types import FrameType
from typing import BinaryIO

import torch
from torch._C._distributed_c10d import TCPStore

from resnest_bench import stopping
from resnest_bench.data import open_prepared
from resnest_bench.device.allocator import keep_memory
from resnest_bench.device.environment import describe, precision, tuned_convolutions
from resnest_bench.errors import first_line
from resnest_bench.paths import Job
from resnest_bench.records.observations import ExecutionObservation
from resnest_bench.training.context import Context, open_checkpoint
from resnest_bench.training.helpers import (
    LOOPBACK,
    WAIT_FOR_TRAINING,
    HelperTask,
    failure_key,
    ready_key,
    training_key,
)
from resnest_bench.training.jobs import build_parts, run_training
from resnest_bench.training.loop import DivergedError
from resnest_bench.training.processes import Processes


def main() -> None:
    """Read the task from standard input, and help until that closes."""
    task = _read_task(sys.stdin.buffer)
    _pass_signals_on(task.parent)
    threading.Thread(target=_end_with, args=(sys.stdin.buffer,), daemon=True).start()
    logging.basicConfig(level=logging.WARNING, format=f"process {task.rank}: %(message)s")
    store = TCPStore(LOOPBACK, task.port, is_master=False, timeout=WAIT_FOR_TRAINING)
    try:
        _help(task, store)
    except BaseException as error:
        traceback.print_exc()
        store.set(failure_key(task.rank), first_line(error) or type(error).__name__)
    # Without the clean-up of libraries, which may wait for the other processes.
    sys.stderr.flush()
    os._exit(1)


def _read_task(stream: BinaryIO) -> HelperTask:
    content = stream.read(int.from_bytes(stream.read(8), "big"))
    try:
        task: HelperTask = pickle.loads(content)
    except Exception as error:
        sys.exit(f"a task can't be read in a process of its own: {first_line(error)}")
    return task


def _end_with(stream: BinaryIO) -> None:
    stream.read()
    os._exit(0)


def _pass_signals_on(parent: int) -> None:
    """The job decides what a signal to one of its processes means."""

    def tell(number: int, frame: FrameType | None) -> None:
        if os.getppid() == parent:
            os.kill(parent, number)

    for name in stopping.SIGNALS:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), tell)


def _help(task: HelperTask, store: TCPStore) -> None:
    if task.device.type == "cuda":
        torch.cuda.set_device(task.device)
    torch.set_num_threads(task.num_threads)
    allocator = keep_memory() if task.device.type == "cpu" else None
    environment = describe(task.device, allocator)
    store.set(ready_key(task.rank), "")
    processes = Processes.connect(task.rank, task.size, task.device, store)
    number = 0
    while True:
        store.wait([training_key(number)], WAIT_FOR_TRAINING)
        told = json.loads(store.get(training_key(number)))
        job, seen = Job(**told["job"]), ExecutionObservation.model_validate(told["execution"])
        recipe = task.study.recipe(job.recipe, job.variant)
        data = open_prepared(task.study.prepared(job.dataset))
        context = Context(
            *(task.study, task.study.paths(task.results), data, task.device, environment),
            rank=task.rank,
            num_processes=task.size,
        )
        with precision(recipe.precision), tuned_convolutions(task.device):
            parts, checkpoint = build_parts(context, job), open_checkpoint(context, job)
            # These have happened to the job too.
            with contextlib.suppress(DivergedError, stopping.Interrupted):
                run_training(context, job, parts, checkpoint, seen, processes)
        number += 1
