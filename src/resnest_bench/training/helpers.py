"""The further processes of a training that several GPUs share: the job starts them, watches and ends them.

A helper is a new process, as this one may have used its GPU, which does not survive a fork. It gets the study
through its standard input, which stays open: when the job ends, however it does, the input closes, and the
helper ends. What it does is in `training.helping`.
"""

import contextlib
import json
import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import TCPStore

from resnest_bench.device.memory import is_out_of_memory
from resnest_bench.errors import UserError
from resnest_bench.paths import Job
from resnest_bench.records.observations import ExecutionObservation
from resnest_bench.specs import StudySpec
from resnest_bench.training.loop import DivergedError
from resnest_bench.training.processes import Processes

log = logging.getLogger(__name__)

_COMMAND = "from resnest_bench.training.helping import main; main()"
LOOPBACK = "127.0.0.1"
# From the death of a helper until the job must have noticed it: on GPUs, it may wait for it for ever.
SECONDS_TO_NOTICE = 30.0
SECONDS_TO_END = 10.0
POLL_SECONDS = 0.05


class HelperFailedError(RuntimeError):
    """A helper has ended, so that the training can't go on. Its checkpoint is kept."""


@dataclass(frozen=True)
class HelperTask:
    """What a helper is told when it starts. Pickled, from this process to its own child."""

    study: StudySpec
    results: Path
    device: torch.device
    rank: int
    size: int
    port: int
    num_threads: int
    parent: int


def failure_key(rank: int) -> str:
    return f"failure-{rank}"


def ready_key(rank: int) -> str:
    return f"ready-{rank}"


def training_key(number: int) -> str:
    return f"training-{number}"


class Helpers:
    """The helpers of a job, one on each of `devices`. They start with the first training."""

    def __init__(
        self, study: StudySpec, results: Path, device: torch.device, devices: Sequence[torch.device]
    ) -> None:
        self.study, self.results, self.device, self.devices = study, results, device, devices
        self.started: list[subprocess.Popen] = []
        self.processes: Processes | None = None
        self.num_trainings = 0

    @contextmanager
    def training(self, job: Job, seen: ExecutionObservation) -> Iterator[Processes]:
        """Let the helpers share a training, which this process does in the context.

        Raises HelperFailedError if one of them ends. After any error they are ended, as nobody knows where
        they are.
        """
        try:
            if self.processes is None:
                self.processes = self._start()
            told = {"job": vars(job), "execution": seen.model_dump()}
            self.store.set(training_key(self.num_trainings), json.dumps(told))
            self.num_trainings += 1
            yield self.processes
        except DivergedError:
            # It is the same in all processes, and they go on with the next training.
            raise
        except BaseException as error:
            # An error of its own says more than that a helper has ended by the same one.
            is_own = isinstance(error, UserError) or is_out_of_memory(error)
            may_be_theirs = isinstance(error, RuntimeError) and not is_own
            failed = self._find_failure() if may_be_theirs else ""
            self.close()
            if failed:
                raise HelperFailedError(failed) from error
            raise

    def close(self) -> None:
        """End the helpers."""
        started, self.started, self.processes = self.started, [], None
        if dist.is_initialized():
            with contextlib.suppress(RuntimeError):
                dist.destroy_process_group()
        for process in started:
            if process.stdin is not None:
                process.stdin.close()
        for process in started:
            try:
                process.wait(SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self) -> Processes:
        size = 1 + len(self.devices)
        # gloo would ask for the address of the machine's name, which may have none.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
        self.num_trainings = 0
        self.store = TCPStore(LOOPBACK, 0, is_master=True, wait_for_workers=False)
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(e for e in sys.path if e)}
        for rank, device in enumerate(self.devices, 1):
            process = subprocess.Popen(
                [sys.executable, "-c", _COMMAND], stdin=subprocess.PIPE, env=environment
            )
            self.started.append(process)
            task = HelperTask(
                *(self.study, self.results, device, rank, size),
                *(self.store.port, torch.get_num_threads(), os.getpid()),
            )
            content = pickle.dumps(task)
            assert process.stdin is not None
            # A helper that has ended is noticed below.
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(len(content).to_bytes(8, "big") + content)
                process.stdin.flush()
        while not self.store.check([ready_key(rank) for rank in range(1, size)]):
            if failed := self._describe_ended():
                raise HelperFailedError(failed)
            time.sleep(POLL_SECONDS)
        processes = Processes.connect(0, size, self.device, self.store)
        threading.Thread(target=self._watch, args=(list(self.started),), daemon=True).start()
        log.info("%d processes share each batch, each with a device of its own", size)
        return processes

    def _find_failure(self) -> str:
        """Why a training failed, if a helper has ended; it may still be about to."""
        end = time.monotonic() + 2.0
        while not (failed := self._describe_ended()) and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
        return failed

    def _describe_ended(self) -> str:
        for rank, process in enumerate(self.started, 1):
            code = process.poll()
            if code is None:
                continue
            how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
            if self.store.check([failure_key(rank)]):
                how = self.store.get(failure_key(rank)).decode()
            return (
                f"process {rank} of the {len(self.started) + 1} that share this training ended ({how}). "
                "Its checkpoint is kept: the same command resumes from there"
            )
        return ""

    def _watch(self, started: list[subprocess.Popen]) -> None:
        """End this process if a helper has ended, and this one still waits for it on its GPU."""
        while self.started == started and all(process.poll() is None for process in started):
            time.sleep(POLL_SECONDS)
        failed = self._describe_ended() if self.started == started else ""
        end = time.monotonic() + SECONDS_TO_NOTICE
        while self.started == started and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
        if failed and self.started == started:
            log.error("%s", failed)
            print(f"resnest-bench: error: {failed}", file=sys.stderr, flush=True)
            os._exit(1)


# A helper waits for its next training, while the job may measure or write.
WAIT_FOR_TRAINING = timedelta(days=30)
