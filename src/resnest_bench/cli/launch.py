"""The Snakemake and Streamlit commands that `resnest-bench run` and `dashboard` start."""

import itertools
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from resnest_bench.cli.packages import check_installed
from resnest_bench.cli.shipped import dashboard_app, snakefile
from resnest_bench.errors import UserError
from resnest_bench.files import check_writable
from resnest_bench.specs import load_study, read_yaml

# Each of these options says how much may run at a time, here or on a cluster, so no default is needed.
PARALLELISM_OPTIONS = ("--cores", "-c", "--jobs", "-j", "--profile", "--executor", "-e")

CORE_OPTIONS = ("--cores", "-c", "--jobs", "-j")
# With one of these, Snakemake trains nothing, or the user or a cluster decides how trainings use cores.
NO_CHOICE_OPTIONS = (
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
# With one of these, jobs may run elsewhere or in an environment of their own.
ELSEWHERE_OPTIONS = (
    "--profile",
    "--executor",
    "-e",
    "--software-deployment-method",
    "--deployment-method",
    "--deployment",
    "--sdm",
    "--use-conda",
    "--use-apptainer",
    "--use-singularity",
    "--use-envmodules",
)


def runs_jobs_here(options: Sequence[str]) -> bool:
    """Whether a run with these options starts its jobs on this machine, in this environment."""
    names = {option.partition("=")[0] for option in options}
    return not (names & set(ELSEWHERE_OPTIONS) or "SNAKEMAKE_PROFILE" in os.environ)


def parse_cores(options: Sequence[str]) -> int | None:
    """Return the number of cores in Snakemake's options, or None if they give no valid number."""
    cores = None
    for option, after in itertools.zip_longest(options, options[1:], fillvalue=""):
        name, has_value, value = option.partition("=")
        if option[:2] in ("-c", "-j") and option[2:].isdigit():
            name, value = option[:2], option[2:]
        elif not has_value:
            value = after
        if name in CORE_OPTIONS:
            cores = _read_number(value)
    return cores


def _read_number(value: str) -> int | None:
    if value == "all":
        return os.cpu_count() or 1
    return int(value) if value.isdigit() and int(value) > 0 else None


def has_several_cores(options: Sequence[str]) -> bool:
    """Whether a run with these options trains on this machine with more than one core."""
    names = {option.partition("=")[0] for option in options}
    if names & set(NO_CHOICE_OPTIONS) or "SNAKEMAKE_PROFILE" in os.environ:
        return False
    return (parse_cores(options) or 1) > 1


def snakemake_command(
    study: Path, options: Sequence[str], own_log: bool = False, more: Sequence[str] = ()
) -> list[str]:
    """Return the command that runs this installation's workflow on `study`.

    Args:
        study: the config file.
        options: the user's options for Snakemake. They come last, so they override the others.
        own_log: show Snakemake's own log instead of the live view.
        more: further options, which come first, since they take any number of values.

    The resource gpu=1 is in the workflow's default profile. Raises UserError if the study doesn't exist or
    is not valid, since Snakemake would bury the reason in its own messages; and if this installation only
    reads results.
    """
    # Jobs on other machines have a torch of their own.
    check_installed("snakemake", *(["torch"] if runs_jobs_here(options) else []))
    if not study.is_file():
        raise UserError(
            f"there is no study {study}: name its config file with --study, or write one with "
            "`resnest-bench init FOLDER`"
        )
    if {option.partition("=")[0] for option in options} & {"--config", "-C"}:
        # The override may repair the study, so only check the YAML: Snakemake would accept duplicate keys.
        read_yaml(study)
    else:
        load_study(study)
    cores = [] if _sets_parallelism(options) else ["--cores", "1"]
    files = ["--snakefile", str(snakefile()), "--configfile", str(study)]
    log = ["--logger-resnest-bench-style", "snakemake"] if own_log else []
    module = ["-m", "resnest_bench.cli.run_snakemake"]
    return [sys.executable, *module, *more, *files, *cores, *log, *options]


def _sets_parallelism(options: Sequence[str]) -> bool:
    if "SNAKEMAKE_PROFILE" in os.environ:
        return True
    names = [option.partition("=")[0] for option in options]
    # -j4 means -j 4.
    short = [name[:2] for name in names if name[:1] == "-" and name[:2] != "--"]
    return any(name in PARALLELISM_OPTIONS for name in names + short)


def streamlit_command(results: Path | None, options: Sequence[str]) -> list[str]:
    """Return the command that starts this installation's dashboard.

    Its address is configured in dashboard/.streamlit/. Raises UserError if `results` is not a folder.
    """
    if results and not results.is_dir():
        raise UserError(
            f"--results must be the folder of all studies' results, but {results} is not a folder: run "
            "a study first, or omit the option"
        )
    arguments = ["--", "--results", str(results)] if results else []
    return [sys.executable, "-m", "streamlit", "run", str(dashboard_app()), *options, *arguments]


def search_path() -> str:
    """Return PATH with this installation's commands first, since the jobs call them by name."""
    # `sys.executable` is not resolved: the python of a virtual environment is a link to one outside.
    folders = [Path(sys.argv[0]).resolve().parent, Path(sys.executable).parent]
    ours = [str(folder) for folder in folders if (folder / "resnest-bench").exists()]
    return os.pathsep.join([*dict.fromkeys(ours), os.environ.get("PATH", os.defpath)])


def cache_variables() -> dict[str, str]:
    """Return the environment variables that give Snakemake and the libraries a writable cache.

    Usually there are none. If the home folder is not writable, as in some containers, the caches go to
    the working folder.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    try:
        check_writable(home / "snakemake")
    except UserError:
        return {"XDG_CACHE_HOME": str(Path.cwd() / ".snakemake" / "cache")}
    return {}


def exec_command(command: Sequence[str]) -> NoReturn:
    """Replace this process with `command`, which then receives the signals and sets the exit code."""
    sys.stdout.flush()
    os.execve(command[0], list(command), {**os.environ, **cache_variables(), "PATH": search_path()})
