"""A trial in a process of its own: a native crash there is an answer, not the job's end."""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable

from resnest_bench.errors import first_line

# Not multiprocessing's "spawn": that runs the caller's main module again, whatever it does.
_COMMAND = "from resnest_bench.training.isolation import run_trial; run_trial()"


def find_crash(trial: Callable[[], object]) -> str | None:
    """How the process of `trial` died, in words; None if it lived, whatever Python raised.

    The process is a fresh one: after a fork, OpenMP's threads would be missing. Tensors travel by
    value, since shared memory is small in containers. A trial that can't be sent there, as of a network
    in a user's file, counts as a crash: nobody knows that it would not be one.
    """
    try:
        content = pickle.dumps(trial)
    except Exception as error:
        return f"it can't be tried in a process of its own ({first_line(error)})"
    path = os.pathsep.join(entry for entry in sys.path if entry)
    code = subprocess.run(
        [sys.executable, "-c", _COMMAND],
        input=content,
        env=os.environ | {"PYTHONPATH": path},
        check=False,
    ).returncode
    if code < 0:
        return f"its process was ended by {signal.Signals(-code).name}"
    return f"its process ended with exit code {code}" if code else None


def run_trial() -> None:
    """Run the trial on standard input, which our own process wrote."""
    try:
        trial = pickle.loads(sys.stdin.buffer.read())
    except Exception as error:
        sys.exit(f"a trial can't be read in a process of its own: {first_line(error)}")
    # An error of Python shows again in the job itself, where it is handled.
    with contextlib.suppress(Exception):
        trial()
