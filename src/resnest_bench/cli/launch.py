"""The commands that stand behind `resnest-bench run` and `resnest-bench dashboard`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from resnest_bench.cli.shipped import dashboard_app, snakefile
from resnest_bench.errors import UserError

# One of them says how much may run at a time, here or on a cluster, and no default is wanted.
SAYS_HOW_MUCH = ("--cores", "-c", "--jobs", "-j", "--profile", "--executor", "-e")


def snakemake_command(study: Path, options: Sequence[str]) -> list[str]:
    """Snakemake on `study` with the workflow of this installation; `options` come last, and win.

    gpu=1 is in the workflow's default profile, so that it need not stand here. Raises UserError
    where there is no such study.
    """
    if not study.is_file():
        raise UserError(
            f"there is no study {study}: name its config file with --study, or write one with "
            "`resnest-bench init FOLDER`"
        )
    cores = [] if _says_how_much(options) else ["--cores", "1"]
    files = ["--snakefile", str(snakefile()), "--configfile", str(study)]
    return [sys.executable, "-m", "snakemake", *files, *cores, *options]


def _says_how_much(options: Sequence[str]) -> bool:
    if "SNAKEMAKE_PROFILE" in os.environ:
        return True
    names = [option.partition("=")[0] for option in options]
    # -j4 is -j 4.
    short = [name[:2] for name in names if name[:1] == "-" and name[:2] != "--"]
    return any(name in SAYS_HOW_MUCH for name in names + short)


def streamlit_command(results: Path | None, options: Sequence[str]) -> list[str]:
    """Streamlit on the dashboard of this installation; its address is in dashboard/.streamlit/.

    Raises UserError where `results` is given and is no folder.
    """
    if results and not results.is_dir():
        raise UserError(
            f"--results is the folder of all studies' results, and {results} is none: run a study "
            "first, or leave it out"
        )
    shown = ["--", "--results", str(results)] if results else []
    return [sys.executable, "-m", "streamlit", "run", str(dashboard_app()), *options, *shown]


def search_path() -> str:
    """PATH with this installation's commands first: the jobs call them, in whatever shell."""
    # Not resolved: a virtual environment's python is a link out of it.
    folders = [Path(sys.argv[0]).resolve().parent, Path(sys.executable).parent]
    ours = [str(folder) for folder in folders if (folder / "resnest-bench").exists()]
    return os.pathsep.join([*dict.fromkeys(ours), os.environ.get("PATH", os.defpath)])


def become(command: Sequence[str]) -> NoReturn:
    """Run `command` in place of this process: signals and the exit code are its own."""
    sys.stdout.flush()
    os.execve(command[0], list(command), {**os.environ, "PATH": search_path()})
