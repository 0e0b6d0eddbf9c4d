"""A process that has imported torch once and forks a child for each job: `resnest-bench ARGUMENTS`.

One line of JSON on standard input is a request, one line on standard output its answer. It never
computes anything itself, so that no thread is lost by forking.
"""

import gc
import json
import os
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.preload import preload

preload()
gc.freeze()


def start(arguments: list[str], folder: str, output: str, inject: str | None) -> int:
    """Fork a child in a session of its own; return its process id."""
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        os.chdir(folder)
        handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for number in (1, 2):
            os.dup2(handle, number)
        os.close(0)
        from resnest_bench.cli import main
        from support import injections

        if inject:
            name, *values = inject.split()
            getattr(injections, name)(*values)
        sys.argv = ["resnest-bench", *arguments]
        main()
        os._exit(0)
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        os._exit(code)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(99)


def wait(child: int, seconds: float) -> int | None:
    """The exit code of a child, negative for a signal; None if it still runs after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            return None
        time.sleep(0.002)


def serve() -> None:
    # The children's output must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    print("ready", file=answers)
    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        call = {"start": start, "wait": wait}[request.pop("call")]
        print(json.dumps(call(**request)), file=answers)


if __name__ == "__main__":
    serve()
