"""What Snakemake says of a job that failed, or of a folder that is locked, in a reader's words."""

import re
import shlex
import signal
from collections.abc import Sequence
from pathlib import Path

# A shell says 128 + the signal's number of a command that a signal ended.
SHELL_SIGNAL = 128
LOCKED = "LockException"


def read_signal(text: str) -> str:
    """'ended by SIGKILL (out of memory?)' from Snakemake's error of a job; '' where no signal ended it.

    `text` is that of the exception: it has the exit status of the job's command.
    """
    died = re.search(r"died with <Signals\.(SIG\w+)", text)
    status = re.search(r"non-zero exit status (\d+)", text)
    name = died[1] if died else _name_signal(int(status[1]) - SHELL_SIGNAL if status else 0)
    if not name:
        return ""
    # The kernel kills so what takes more memory than there is.
    return f"ended by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")


def _name_signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return ""


def find_error(errors: Sequence[str], log: Path | None) -> str:
    """The last of Snakemake's errors whose command writes `log`; '' where none does."""
    named = [text for text in errors if log and shlex.quote(str(log)) in text]
    return named[-1] if named else ""


def unlock_command(argv: Sequence[str]) -> str:
    """The command that takes the lock away that a process with the arguments `argv` has met."""
    program, *options = argv
    if Path(program).stem != "run_snakemake":
        return shlex.join([Path(program).name, *options, "--unlock"])
    study = options[options.index("--configfile") + 1]
    return shlex.join(["resnest-bench", "run", "--study", study, "--unlock"])


def locked_text(folder: Path, argv: Sequence[str]) -> str:
    """What a folder's lock means, and what to do."""
    return (
        f"Locked: another run in {folder} makes files that this one needs, or was killed.\n"
        "If a run is still active, wait for it: `resnest-bench status` shows it. "
        f"After a kill, take the lock away, then run the same command again:\n  {unlock_command(argv)}"
    )
