"""Run a trial in a separate process, so that a native crash does not end the job."""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable

from resnest_bench.errors import first_line

# Not multiprocessing's "spawn", which would run the caller's main module again.
_COMMAND = "from resnest_bench.training.isolation import run_trial; run_trial()"


def find_crash(trial: Callable[[], object]) -> str | None:
    """Describe how the process of `trial` crashed; None if it didn't, even if Python raised an error.

    The process is not a fork, which would lack OpenMP's threads. Tensors are sent by value, since shared
    memory is small in containers. A trial that can't be pickled, like that of a network in a user's file,
    counts as a crash, since it might be one.
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
    """Run the trial from standard input, which our own process wrote."""
    try:
        trial = pickle.loads(sys.stdin.buffer.read())
    except Exception as error:
        sys.exit(f"a trial can't be read in a process of its own: {first_line(error)}")
    # Python errors occur again in the job itself, which handles them.
    with contextlib.suppress(Exception):
        trial()
