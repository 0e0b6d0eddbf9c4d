"""`resnest-bench` and `snakemake` from a process that has imported everything: both start at once.

A workflow starts a process for each job, and each imports torch: seconds, for a job of tenths. Here one
server imports it, and forks for each command. The command sees the caller's arguments, folder,
environment, standard streams and signals. What a start itself does is for the other tests.
"""

import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

# Without site-packages a Python starts in hundredths of a second.
CLIENT = """#!{python} -IS
import json, os, signal, socket, sys
link = socket.socket(socket.AF_UNIX)
link.connect({socket!r})
said = json.dumps([sys.argv, os.getcwd(), dict(os.environ), os.getpgrp()]).encode()
socket.send_fds(link, [len(said).to_bytes(8, "big")], [0, 1, 2])
link.sendall(said)
answers = link.makefile()
pid = int(answers.readline())
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, lambda number, _: os.kill(pid, number))
code = int(answers.readline() or 1)
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


# A test that ends a whole session with a signal needs the real one: a fork is of the server's session.
SNAKEMAKE = Path("starts") / "snakemake"


@contextlib.contextmanager
def warm_command(folder: Path, *, package: bool = True, **variables: str) -> Iterator[Path]:
    """A folder for the front of PATH, whose `resnest-bench` is a fork of a warm process.

    So is its `starts/snakemake`, which nobody finds on the PATH. Without `package` there is only that,
    in a process that has not imported resnest_bench. `variables` are added to the server's environment.
    """
    server = start_server(folder, os.getpid(), package=package, **variables)
    try:
        yield folder
    finally:
        server.kill()
        server.wait()


def start_server(
    folder: Path, owner: int, *, package: bool = True, **variables: str
) -> subprocess.Popen:
    """As `warm_command`, until the process `owner` ends."""
    place = folder / "socket"
    clients = [folder / SNAKEMAKE, *([folder / "resnest-bench"] if package else [])]
    for client in clients:
        client.parent.mkdir(exist_ok=True)
        client.write_text(CLIENT.format(python=sys.executable, socket=str(place)))
        client.chmod(client.stat().st_mode | stat.S_IXUSR)
    environ = dict(os.environ, OMP_NUM_THREADS="1", **variables)
    more = ["package"] if package else []
    command = [sys.executable, __file__, str(place), str(owner), *more]
    server = subprocess.Popen(command, env=environ)
    while not place.exists():
        assert server.poll() is None, "the server died"
        time.sleep(0.05)
    return server


def serve(place: str, owner: int, package: bool) -> None:
    """Fork for each connection to the socket `place`; its child runs the command."""
    for name in ("snakemake.cli", "snakemake.executors.local", "snakemake.report"):
        importlib.import_module(name)
    if package:
        sys.path.insert(0, str(Path(__file__).parents[1]))
        from support.preload import preload

        preload()
        for name in ("altair", "resnest_bench.charts", "resnest_bench.export"):
            importlib.import_module(name)
    # What is there now is not looked through again by each child's collections of garbage.
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        # Who finds the socket may connect at once.
        listener.bind(f"{place}.new")
        listener.listen(64)
        os.rename(f"{place}.new", place)
        # Tests that were killed can't end it.
        listener.settimeout(1)
        while psutil.pid_exists(owner):
            try:
                link, _ = listener.accept()
            except TimeoutError:
                continue
            if os.fork() == 0:
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                answer(link)
            link.close()


def answer(link: socket.socket) -> None:
    """Start the command in a child, say its process and then its exit code. Doesn't return."""
    head, fds, _, _ = socket.recv_fds(link, 8, 3)
    argv, cwd, environ, group = json.loads(link.makefile("rb").read(int.from_bytes(head, "big")))
    if (pid := os.fork()) == 0:
        link.close()
        run(argv, cwd, environ, group, fds)
    for fd in fds:
        os.close(fd)
    link.sendall(f"{pid}\n".encode())
    status = os.waitpid(pid, 0)[1]
    with contextlib.suppress(BrokenPipeError):
        link.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def run(argv: list[str], cwd: str, environ: dict[str, str], group: int, fds: list[int]) -> None:
    code = 1
    try:
        with contextlib.suppress(PermissionError):
            os.setpgid(0, group)
        for number, fd in enumerate(fds):
            os.dup2(fd, number)
            os.close(fd)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(environ)
        sys.argv = argv
        if Path(argv[0]).name == "snakemake":
            from snakemake.cli import main
        else:
            from resnest_bench.cli import main

        main()
        code = 0
    except SystemExit as exit:
        code = exit.code if isinstance(exit.code, int) else 0 if exit.code is None else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), package="package" in sys.argv[3:])
