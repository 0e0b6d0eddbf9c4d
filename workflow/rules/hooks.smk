# What a run prints before the first job and after the last one.
import subprocess
import sys
import threading

from snakemake.logging import logger

if INSTALLED:
    from resnest_bench.live.interrupts import INTERRUPTED, watch_interrupts

    watch_interrupts()
    # Tell the view which study this is. (Snakemake's own log hides empty messages.) The study's file is
    # written later, and not at all in a dry run.
    logger.info("", extra={"resnest_bench_study": (STUDY, PATHS)})


def run_and_pass_on(command):
    """Run `command`; return its exit code and its last line on standard error. All lines but our errors are shown."""
    last = ""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            last = line.rstrip() or last
            if not line.startswith("resnest-bench: error: "):
                print(line, end="", file=sys.stderr, flush=True)
    return process.returncode, last


def read_number(setting, usual):
    """A number in Snakemake's settings; `usual` if there is none, or an expression."""
    value = str(getattr(setting, "raw", setting))
    return int(value) if value.isdigit() else usual


def describe_means():
    """How this run shares its cores, as options for `plan`, from Snakemake's settings for rule train."""
    cores, settings = ALL_CORES, workflow.resource_settings
    threads = min(read_number(settings.overwrite_threads.get("train"), 1), cores)
    gpu = settings.overwrite_resources.get("train", {}).get("gpu")
    together = read_number(gpu, 1) == 0
    side_by_side = cores // threads if together else 1
    means = {"--cores": cores, "--threads": threads, "--side-by-side": side_by_side}
    return [str(part) for option in means.items() for part in option]


def check_and_plan():
    """Print what will run and how long it takes. Only a mistake in the study stops the run here."""
    if not INSTALLED:
        raise WorkflowError(
            "resnest-bench is not installed: run `make env` in a clone and activate .venv, or run "
            "`pip install .`; then run the same command again"
        )
    # The jobs read the study as merged from files and command line. It is written only here, so that a
    # dry run, or a run that is stopped by the lock, changes nothing.
    try:
        if not PATHS.study.exists() or PATHS.study.read_text() != dump_study(STUDY):
            files.write_text(PATHS.study, dump_study(STUDY))
        push_study(STUDY_FILE)
    except UserError as error:
        raise WorkflowError(str(error)) from None
    # Times are measured on this machine, so there is no estimate if the jobs run on others.
    how = ["--no-cost"] if workflow.non_local_exec else describe_means()
    command = ["resnest-bench", "plan", "--study", STUDY_FILE, "--save-prices", *how]
    code, said = run_and_pass_on(command)
    if code == 0:
        return
    if code == 1 and said.startswith("resnest-bench: error: "):
        raise WorkflowError(said)
    ended = f"signal {-code}" if code < 0 else f"exit code {code}"
    logger.warning(
        f"The plan could not be made ({ended}: {said or 'without a message'}). The jobs run anyway."
    )


def list_views():
    """The log handlers that are our view: one, or none if Snakemake's own log is shown."""
    handlers = getattr(workflow.logger_manager, "get_log_handlers", list)()
    return [handler for handler in handlers if hasattr(handler, "close_view")]


def close_view():
    """Wait until the view is complete and closed, so that further output is printed below it."""
    if list_views():
        ended = threading.Event()
        logger.info("", extra={"view_ended": ended})
        ended.wait(10)


def show_results(make_tables):
    """Print the tables, also if a variant has failed: they say what is missing."""
    close_view()
    if INTERRUPTED.is_set():
        print("Stopped. The same command continues from there.", file=sys.stderr)
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
    """Name the config files that were edited during the run, which does not use the edits."""
    edited = [
        str(file)
        for file, stamp in zip(CONFIG_FILES, CONFIG_STAMPS)
        if stamp_file(file) != stamp
    ]
    if edited:
        print(
            f"Edited during this run, which used the version from its start: {', '.join(edited)}. "
            "Run the same command again to apply the edit.",
            flush=True,
        )
