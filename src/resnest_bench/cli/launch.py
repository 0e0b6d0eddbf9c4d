"""The commands that stand behind `resnest-bench run` and `resnest-bench dashboard`."""

import itertools
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from resnest_bench.cli.shipped import dashboard_app, snakefile
from resnest_bench.errors import UserError
from resnest_bench.files import check_writable
from resnest_bench.specs import load_study, read_yaml

# One of them says how much may run at a time, here or on a cluster, and no default is wanted.
SAYS_HOW_MUCH = ("--cores", "-c", "--jobs", "-j", "--profile", "--executor", "-e")

SAYS_CORES = ("--cores", "-c", "--jobs", "-j")
# With one of these nothing is trained, or somebody else says how.
NOT_OURS = (
    "--dry-run",
    "--dryrun",
    "-n",
    "--unlock",
    "--touch",
    "-t",
    "--set-threads",
    "--set-resources",
    "--profile",
    "--executor",
    "-e",
    "--lint",
    "--dag",
    "--rulegraph",
    "--summary",
    "--report",
    "--version",
    "-v",
    "--help",
    "-h",
    "--list-rules",
    "-l",
)


def parse_cores(options: Sequence[str]) -> int | None:
    """The number of cores in Snakemake's options; None where they name none, or no number."""
    found = None
    for option, after in itertools.zip_longest(options, options[1:], fillvalue=""):
        name, has_value, value = option.partition("=")
        if option[:2] in ("-c", "-j") and option[2:].isdigit():
            name, value = option[:2], option[2:]
        elif not has_value:
            value = after
        if name in SAYS_CORES:
            found = _read_number(value)
    return found


def _read_number(value: str) -> int | None:
    if value == "all":
        return os.cpu_count() or 1
    return int(value) if value.isdigit() and int(value) > 0 else None


def has_several_cores(options: Sequence[str]) -> bool:
    """Whether a run with these options trains here, with cores that it has to share out."""
    names = {option.partition("=")[0] for option in options}
    if names & set(NOT_OURS) or "SNAKEMAKE_PROFILE" in os.environ:
        return False
    return (parse_cores(options) or 1) > 1


def snakemake_command(
    study: Path, options: Sequence[str], own_log: bool = False, more: Sequence[str] = ()
) -> list[str]:
    """Snakemake on `study` with the workflow of this installation; `options` come last, and win.

    `own_log`: Snakemake's own log in place of the live view. `more`: further options, which take as many
    values as follow. gpu=1 is in the workflow's default
    profile, so that it need not stand here. Raises UserError where there is no such study,
    or where it is not valid: Snakemake would wrap the reason in lines of its own.
    """
    if not study.is_file():
        raise UserError(
            f"there is no study {study}: name its config file with --study, or write one with "
            "`resnest-bench init FOLDER`"
        )
    if {option.partition("=")[0] for option in options} & {"--config", "-C"}:
        # What it replaces may be what is wrong. Snakemake's own reader takes the last of two equal keys.
        read_yaml(study)
    else:
        load_study(study)
    cores = [] if _says_how_much(options) else ["--cores", "1"]
    files = ["--snakefile", str(snakefile()), "--configfile", str(study)]
    log = ["--logger-resnest-bench-style", "snakemake"] if own_log else []
    module = ["-m", "resnest_bench.cli.run_snakemake"]
    return [sys.executable, *module, *more, *files, *cores, *log, *options]


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


def cache_variables() -> dict[str, str]:
    """What to set so that Snakemake and the libraries can keep their caches; mostly nothing.

    Where the home folder can't be written, as in some containers, caches go to the working folder.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    try:
        check_writable(home / "snakemake")
    except UserError:
        return {"XDG_CACHE_HOME": str(Path.cwd() / ".snakemake" / "cache")}
    return {}


def become(command: Sequence[str]) -> NoReturn:
    """Run `command` in place of this process: signals and the exit code are its own."""
    sys.stdout.flush()
    os.execve(command[0], list(command), {**os.environ, **cache_variables(), "PATH": search_path()})
