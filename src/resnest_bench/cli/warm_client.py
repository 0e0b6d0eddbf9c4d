"""A job's command in a run with warm starts: ask for a fork of a process that has imported torch.

Only the standard library is imported here, so that this takes hundredths of a second. The other side is
`warm_parent`; docs/decisions/020-warm-starts.md has the reasons.

The parent of the forks is started by the first command that needs it, with that command's own environment,
limits and signals. Another command gets a fork only if all of these are equal; else it starts a parent of
its own. So nothing that a library reads when it is loaded has to be set again in a fork.

Messages on the socket: the command sends the length of its request (8 bytes, with its three standard
streams), then the request as JSON. The parent answers b"+" with a pidfd of the fork, and when that has
ended, its exit code and a newline. It closes the socket without b"+" if the command should start by itself.
"""

import fcntl
import hashlib
import json
import os
import resource
import select
import signal
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

# "<process of the run>:<folder of the sockets>"
RUN_VARIABLE = "RESNEST_BENCH_WARM_RUN"
COLD_VARIABLE = "RESNEST_BENCH_COLD_START"
SERVE_OPTION = "--serve-forks"
# Commands with the same value share a parent: they import the same modules with the same variables.
FORKED_COMMANDS = {"train": "train", "finetune": "train", "latency": "latency"}
# The shell counts and names each command. No library reads that.
IGNORED_VARIABLES = {"_", "SHLVL"}
FORWARDED_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
ANSWER_STARTED = b"+"
SECONDS_TO_STOP = 30.0


class WarmRun(NamedTuple):
    """A run on this machine that wants warm starts: its process, and the folder of its sockets."""

    process: int
    folder: Path


def job_variables(command: str) -> dict[str, str]:
    """Return the environment variables that must be set before a job's `command` imports torch."""
    if FORKED_COMMANDS[command] != "train":
        return {}
    # A compute node may have no internet, and everything was downloaded before: a library that tries to
    # download more must fail immediately instead of waiting.
    # Threads that busy-wait slow each other down if anything else is running
    # (docs/decisions/014-cores.md).
    wait = os.environ.get("OMP_WAIT_POLICY", "PASSIVE")
    return {"HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": wait}


def can_fork() -> bool:
    """Whether this system and this Python can fork a process safely, and wait for any process."""
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    if not (sys.platform == "linux" and gil and hasattr(os, "pidfd_open")):
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:  # an old kernel, or a sandbox
        return False
    return True


def run_as_fork() -> int | None:
    """Run this process's command in a fork; return its exit code, or None if it must start by itself.

    If a signal ended the fork, the same signal ends this process.
    """
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command not in FORKED_COMMANDS or not can_fork():
        return None
    try:
        run = find_run()
        link = connect(run, FORKED_COMMANDS[command]) if run else None
        if link is None:
            return None
        with link:
            code = follow_fork(link)
    except OSError:
        return None
    if code is not None and code < 0:
        _end_like(-code)
    return code


def find_run() -> WarmRun | None:
    """Return the run with warm starts that this process belongs to, or None."""
    process, _, name = os.environ.get(RUN_VARIABLE, "").partition(":")
    if not process.isdigit() or not name or os.environ.get(COLD_VARIABLE):
        return None
    folder = Path(name)
    try:
        found = folder.lstat()
        for stream in range(3):
            os.fstat(stream)
    except OSError:
        return None
    private = stat.S_ISDIR(found.st_mode) and not stat.S_IMODE(found.st_mode) & 0o077
    if not private or found.st_uid != os.geteuid() or not _is_ancestor(int(process)):
        return None
    # The parent of the forks is this very script, started once more.
    if Path(sys.argv[0]).name != "resnest-bench" or not os.path.isfile(sys.argv[0]):
        return None
    return WarmRun(int(process), folder)


def _is_ancestor(process: int) -> bool:
    """Whether this process comes from `process`. A job on a cluster does not, even on the same machine."""
    current = os.getppid()
    while current > 1 and current != process:
        text = Path(f"/proc/{current}/stat").read_text(errors="replace")
        # "pid (name) state parent": the name may have spaces and parentheses.
        current = int(text.rpartition(")")[2].split()[1])
    return current == process


def describe_start(kind: str) -> dict[str, Any]:
    """Return all that a fork has from its parent, and a plain start from its caller."""
    variables = {k: v for k, v in os.environ.items() if k not in IGNORED_VARIABLES}
    limits = sorted(name for name in dir(resource) if name.startswith("RLIMIT_"))
    return {
        "kind": kind,
        "python": [sys.executable, *_interpreter_options(), sys.argv[0], *sys.path],
        "code": _stamp_code(),
        "variables": variables,
        "limits": [resource.getrlimit(getattr(resource, name)) for name in limits],
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "cores": sorted(os.sched_getaffinity(0)),
        "scheduler": os.sched_getscheduler(0),
        "session": os.getsid(0),
        "user": [*os.getresuid(), *os.getresgid(), *os.getgroups()],
        "ignored_signals": [
            number
            for number in signal.valid_signals()
            if signal.getsignal(number) == signal.SIG_IGN
        ],
        "blocked_signals": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "control_groups": _read("/proc/self/cgroup"),
        "oom_score": _read("/proc/self/oom_score_adj"),
    }


def _interpreter_options() -> list[str]:
    """The options of Python itself, like -X and -W."""
    return sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv)]


def _stamp_code() -> list[Any]:
    """Names, times and sizes of this package's files, and times of the folders of all other packages."""
    package = Path(__file__).parents[1]
    files = [(str(path), path.stat()) for path in sorted(package.rglob("*.py"))]
    folders = [os.stat(entry).st_mtime_ns for entry in sys.path if os.path.isdir(entry)]
    return [[(name, found.st_mtime_ns, found.st_size) for name, found in files], folders]


def _read(file: str) -> str:
    try:
        return Path(file).read_text()
    except OSError:
        return ""


def connect(run: WarmRun, kind: str) -> socket.socket | None:
    """Connect to the parent of forks like this process; start it if there is none.

    Returns None if there can be none. Raises OSError if the folder can't be used.
    """
    text = json.dumps(describe_start(kind), sort_keys=True)
    name = f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    place, refused = run.folder / f"{name}.socket", run.folder / f"{name}.refused"
    # Commands that come while the parent starts wait for it here.
    with open(run.folder / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        link = _try_connect(place)
        if link or refused.exists():
            return link
        place.unlink(missing_ok=True)
        if _start_parent(run, kind, name):
            return _try_connect(place)
        refused.touch()
    return None


def _try_connect(place: Path) -> socket.socket | None:
    link = socket.socket(socket.AF_UNIX)
    try:
        link.connect(str(place))
    except OSError:
        link.close()
        return None
    return link


def _start_parent(run: WarmRun, kind: str, name: str) -> bool:
    """Start the parent and wait until it accepts connections. Returns False if it died before."""
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            # A grandchild, which is nobody's job: Snakemake would count it to this one.
            if os.fork() == 0:
                os.setpgid(0, 0)  # no Ctrl-C of the terminal
                _exec_parent(run, kind, name, told)
        finally:
            os._exit(1)
    os.close(told)
    os.waitpid(child, 0)
    with open(ready, "rb") as file:
        return file.read(1) == ANSWER_STARTED


def _exec_parent(run: WarmRun, kind: str, name: str, told: int) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    # What a library says when it is imported; each fork says it again.
    said = os.open(run.folder / f"{name}.said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for number, file in enumerate((nothing, said, said)):
        os.dup2(file, number)
    os.set_inheritable(told, True)
    words = [kind, str(run.folder / name), str(run.process), str(told)]
    script = [sys.executable, *_interpreter_options(), sys.argv[0], SERVE_OPTION]
    os.execve(sys.executable, script + words, {**os.environ, **job_variables(kind)})


def describe_request() -> dict[str, Any]:
    """Return what a fork must take from this process: the parent has another one."""
    mask = os.umask(0o077)
    os.umask(mask)
    streams: list[Any] = [sys.stdin, sys.stdout, sys.stderr]
    return {
        "arguments": sys.argv,
        "path": sys.path,
        "folder": os.getcwd(),
        "variables": dict(os.environ),
        "group": os.getpgrp(),
        "mask": mask,
        "streams": [
            [stream.encoding, stream.errors, stream.line_buffering, stream.write_through]
            for stream in streams
        ],
    }


class _Fork:
    """The fork that does this process's work, once it is there, and the signals to pass on."""

    def __init__(self) -> None:
        self.pidfd: int | None = None
        self.waiting: list[int] = []

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.pidfd is None:
            self.waiting.append(number)
        else:
            self.send(number)

    def send(self, number: int) -> None:
        assert self.pidfd is not None
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except ProcessLookupError:  # it has just ended
            return

    @contextmanager
    def receiving(self) -> Iterator[None]:
        """Pass signals on inside this context. Those that were ignored stay ignored."""
        numbers = [n for n in FORWARDED_SIGNALS if signal.getsignal(n) != signal.SIG_IGN]
        before = {n: signal.signal(n, self.on_signal) for n in numbers}
        try:
            yield
        finally:
            for n, handler in before.items():
                signal.signal(n, handler)
            if self.pidfd is None:
                for number in self.waiting:
                    os.kill(os.getpid(), number)


def follow_fork(link: socket.socket) -> int | None:
    """Ask for a fork and wait for its end. Returns its exit code, or None if none was started."""
    request = json.dumps(describe_request()).encode()
    fork = _Fork()
    with fork.receiving():
        try:
            socket.send_fds(link, [len(request).to_bytes(8, "big")], [0, 1, 2])
            link.sendall(request)
            answer, (*files,), _, _ = socket.recv_fds(link, 1, 1)
        except OSError:
            return None
        if answer != ANSWER_STARTED or not files:
            return None
        fork.pidfd = files[0]
        for early in fork.waiting:
            fork.send(early)
        try:
            text = link.makefile().readline()
        except OSError:
            text = ""
        return int(text) if text else _stop(fork)


def _stop(fork: _Fork) -> int:
    """The parent is gone, and with it the exit code. End the fork as a signal would, and say so."""
    assert fork.pidfd is not None
    fork.send(signal.SIGTERM)
    if not select.select([fork.pidfd], [], [], SECONDS_TO_STOP)[0]:
        fork.send(signal.SIGKILL)
        select.select([fork.pidfd], [], [], SECONDS_TO_STOP)
    print(
        "resnest-bench: error: the process that starts this run's jobs has ended, so this job was "
        "stopped; the same command continues from there",
        file=sys.stderr,
    )
    return 1


def _end_like(number: int) -> None:
    """End by the signal that ended the fork, so that the caller sees the same."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
