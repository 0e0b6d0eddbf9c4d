# What is said before the first job and after the last one.
import subprocess
import sys
import threading

from snakemake.logging import logger

if INSTALLED:
    from resnest_bench.live.interrupts import INTERRUPTED, watch_interrupts

    watch_interrupts()
    # For the view: which study this is. (Snakemake's own log shows no empty message.) Its file is
    # written later, and by a dry run not at all.
    logger.info("", extra={"resnest_bench_study": (STUDY, PATHS)})


def run_and_pass_on(command):
    """The exit code of `command`, and its last line on standard error. All but our errors are shown at once."""
    last = ""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            last = line.rstrip() or last
            if not line.startswith("resnest-bench: error: "):
                print(line, end="", file=sys.stderr, flush=True)
    return process.returncode, last


def read_number(setting, usual):
    """A number that Snakemake was told; `usual` where it was told none, or an expression."""
    value = str(getattr(setting, "raw", setting))
    return int(value) if value.isdigit() else usual


def describe_means():
    """How this run shares its cores, as options of `plan`: what Snakemake was told of rule train."""
    cores, settings = ALL_CORES, workflow.resource_settings
    threads = min(read_number(settings.overwrite_threads.get("train"), 1), cores)
    gpu = settings.overwrite_resources.get("train", {}).get("gpu")
    together = read_number(gpu, 1) == 0
    side_by_side = cores // threads if together else 1
    means = {"--cores": cores, "--threads": threads, "--side-by-side": side_by_side}
    return [str(part) for option in means.items() for part in option]


def check_and_plan():
    """Print what will run, and in how many hours. Only a mistake that shows in the study ends it here."""
    if not INSTALLED:
        raise WorkflowError(
            "resnest-bench is not installed here: run `make env` in a clone and activate .venv, or "
            "`pip install .`; then the same command"
        )
    # The jobs read the study as it was merged from files and command line, not the files. Here, and not
    # where this file is read: a dry run, or a run that the lock refuses, changes nothing.
    try:
        if not PATHS.study.exists() or PATHS.study.read_text() != dump_study(STUDY):
            files.write_text(PATHS.study, dump_study(STUDY))
    except UserError as error:
        raise WorkflowError(str(error)) from None
    # The hours are those of this machine: no answer where the jobs run on others.
    how = ["--no-cost"] if workflow.non_local_exec else describe_means()
    command = ["resnest-bench", "plan", "--study", STUDY_FILE, "--save-prices", *how]
    code, said = run_and_pass_on(command)
    if code == 0:
        return
    if code == 1 and said.startswith("resnest-bench: error: "):
        raise WorkflowError(said)
    ended = f"signal {-code}" if code < 0 else f"exit code {code}"
    logger.warning(
        f"The plan could not be made ({ended}: {said or 'it left no message'}). The jobs run all the same."
    )


def list_views():
    """The log handlers that are our view: one, or none where Snakemake's own log is shown."""
    handlers = getattr(workflow.logger_manager, "get_log_handlers", list)()
    return [handler for handler in handlers if hasattr(handler, "close_view")]


def close_view():
    """Wait until the view has shown all and is gone: what follows is printed below it."""
    if list_views():
        ended = threading.Event()
        logger.info("", extra={"view_ended": ended})
        ended.wait(10)


def show_results(make_tables):
    """Print the tables. One variant may have failed: the others are worth a look, with the gap named."""
    close_view()
    if INTERRUPTED.is_set():
        print("Stopped. The same command goes on from there.", file=sys.stderr)
        return
    print("", flush=True)
    make = (
        "resnest-bench tables --study {STUDY_FILE:q} > /dev/null && "
        if make_tables
        else ""
    )
    shell(make + "resnest-bench show {RESULTS:q}")
    for view in list_views():
        view.print_failures()
    warn_of_edits()


def warn_of_edits():
    """Name the config files that were edited during the run: it kept to what it began with."""
    edited = [
        str(file)
        for file, stamp in zip(CONFIG_FILES, CONFIG_STAMPS)
        if stamp_file(file) != stamp
    ]
    if edited:
        print(
            f"Edited during this run, which kept to what it began with: {', '.join(edited)}. "
            "The same command applies the edit.",
            flush=True,
        )
