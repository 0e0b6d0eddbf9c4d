"""Jobs in processes of their own, at the price of a fork: see `support.jobs_server`."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SERVER = Path(__file__).with_name("jobs_server.py")
PATIENCE_SECONDS = 120.0


class Jobs:
    """Starts children of the server; all that are left are killed at the end."""

    def __init__(self, source: Path) -> None:
        """`source`: the copy of src/ that is imported."""
        environ = dict(os.environ, OMP_NUM_THREADS="1", PYTHONPATH=str(source))
        self.server = subprocess.Popen(
            [sys.executable, str(SERVER)],
            env=environ,
            text=True,
            bufsize=1,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.server.stdout.readline() == "ready\n"
        self.started: list[int] = []

    def _ask(self, call: str, **values: Any) -> Any:
        print(json.dumps({"call": call, **values}), file=self.server.stdin)
        return json.loads(self.server.stdout.readline())

    def start(self, *arguments: str, folder: Path, inject: str | None = None) -> "Child":
        output = folder / f"output-{len(self.started)}.txt"
        pid = self._ask(
            "start",
            arguments=list(arguments),
            folder=str(folder),
            output=str(output),
            inject=inject,
        )
        self.started.append(pid)
        return Child(self, pid, output)

    def run(self, *arguments: str, folder: Path, inject: str | None = None) -> str:
        """Run to the end, which must be a good one; return what it said."""
        child = self.start(*arguments, folder=folder, inject=inject)
        assert child.wait() == 0, child.text
        return child.text

    def close(self) -> None:
        # It holds nothing: an orderly end would only unload libraries, for seconds.
        self.server.kill()
        self.server.wait()


@dataclass
class Child:
    jobs: Jobs
    pid: int
    output: Path

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int | None:
        """Its exit code, negative for a signal; None if it runs on."""
        return self.jobs._ask("wait", child=self.pid, seconds=seconds)

    def kill(self, number: int = signal.SIGKILL) -> None:
        os.kill(self.pid, number)

    def send_when(self, marker: Path, number: int) -> None:
        """Send a signal as soon as the child has touched `marker`."""
        wait_for(marker)
        self.kill(number)

    @property
    def text(self) -> str:
        return self.output.read_text()

    @property
    def group_is_gone(self) -> bool:
        """Whether no process is left of the session that the child led."""
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return True
        return False


def wait_for(path: Path, seconds: float = PATIENCE_SECONDS) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} never came"
        time.sleep(0.002)


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    """A file system in memory at `folder`, if this is root on Linux: a mode stops no root."""
    if sys.platform != "linux" or os.getuid() != 0:
        pytest.skip("only root on Linux can mount a file system for a test")
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "resnest-bench-test", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def hidden_files(folder: Path) -> list[str]:
    """What a write in progress is called. A lock's file stays for good, and is none."""
    found = [path for path in folder.rglob(".*") if not path.name.endswith(".lock")]
    return sorted(str(path.relative_to(folder)) for path in found)
