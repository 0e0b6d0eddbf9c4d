"""Explanations of Snakemake's errors: a job that failed, or a folder that is locked."""

import re
import shlex
import signal
from collections.abc import Sequence
from pathlib import Path

# A shell's exit code for a command that a signal ended is 128 + the signal's number.
SHELL_SIGNAL = 128
LOCKED = "LockException"


def read_signal(text: str) -> str:
    """Return 'ended by SIGKILL (out of memory?)' or the like, or '' if no signal ended the job.

    `text` is the message of Snakemake's exception, which contains the exit status of the job's command.
    """
    died = re.search(r"died with <Signals\.(SIG\w+)", text)
    status = re.search(r"non-zero exit status (\d+)", text)
    name = died[1] if died else _name_signal(int(status[1]) - SHELL_SIGNAL if status else 0)
    if not name:
        return ""
    # The kernel sends SIGKILL to a process when memory runs out.
    return f"ended by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")


def _name_signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return ""


def find_error(errors: Sequence[str], log: Path | None) -> str:
    """Return the last of Snakemake's errors whose command writes `log`, or ''."""
    named = [text for text in errors if log and shlex.quote(str(log)) in text]
    return named[-1] if named else ""


def unlock_command(argv: Sequence[str]) -> str:
    """Return the command that removes the lock; `argv` are the arguments of the process it stopped."""
    program, *options = argv
    if Path(program).stem != "run_snakemake":
        return shlex.join([Path(program).name, *options, "--unlock"])
    study = options[options.index("--configfile") + 1]
    return shlex.join(["resnest-bench", "run", "--study", study, "--unlock"])


def locked_text(folder: Path, argv: Sequence[str]) -> str:
    """Explain why a folder is locked, and what to do."""
    return (
        f"Locked: another run in {folder} is writing the same files, or was killed.\n"
        "If a run is still active (see `resnest-bench status`), wait for it. "
        f"If it was killed, remove the lock, then run the same command again:\n  {unlock_command(argv)}"
    )
