"""Snakemake's records through the view: what a user reads, in a terminal and without one."""

import io
import logging

import pytest
from rich.console import Console

from resnest_bench.live.interrupts import INTERRUPTED
from resnest_bench.live.jobs import make_live_job
from resnest_bench.live.snakemake_log import LogView
from resnest_bench.paths import Job

TRAIN = {"dataset": "low", "recipe": "quick", "variant": "A"}


class Shown:
    """A view on a console that keeps what is written."""

    def __init__(self, style="lines", terminal=False, dry_run=False, **console):
        self.file = io.StringIO()
        made = Console(
            file=self.file, force_terminal=terminal, width=80, highlight=False, **console
        )
        self.view = LogView(made, style, dry_run)

    def tell(self, message="", level=logging.INFO, **extra):
        record = logging.LogRecord("snakemake", level, "", 0, message, None, None)
        record.__dict__.update(extra)
        self.view.take(record)

    def start(self, number, rule, log=(), **wildcards):
        self.tell(
            event="job_info",
            jobid=number,
            rule_name=rule,
            wildcards=wildcards,
            log=log,
            reason="Missing output files: x",
        )

    def finish(self, number, done, total):
        self.tell(event="job_finished", job_id=number)
        self.tell(event="progress", done=done, total=total)

    @property
    def text(self):
        return self.file.getvalue()


@pytest.fixture
def shown(study, paths):
    made = Shown()
    made.tell(resnest_bench_study=(study, paths))
    made.tell("Workflow has started!", event="workflow_started")
    made.tell(event="run_info", stats={"train": 2, "latency": 1, "all": 1, "total": 4})
    return made


def test_a_line_for_each_start_and_end_with_the_result(shown):
    shown.start(1, "train", **TRAIN)
    shown.finish(1, 1, 4)
    start, end = shown.text.splitlines()
    assert "start" in start
    assert "train A on low (quick)" in start
    for part in ("train A on low (quick)", "accuracy 61.0% (n=3)", "1 of 4 jobs"):
        assert part in end


def test_what_snakemake_says_else_is_left_to_its_log(shown):
    for message in ("Building DAG of jobs...", "Select jobs to execute...", "host: x"):
        shown.tell(message)
    shown.tell("resnest-bench train ...", event="shellcmd")
    assert shown.text == ""


@pytest.mark.parametrize(
    ("message", "level"),
    [
        ("Nothing to be done (all requested files are present).", logging.INFO),
        ("WorkflowError: no such folder", logging.ERROR),
        ("Falling back", logging.WARNING),
        ("Trying to restart job 3.", logging.INFO),
    ],
)
def test_what_a_user_must_know_is_shown(shown, message, level):
    shown.tell(message, level, event="error" if level == logging.ERROR else None)
    assert message in shown.text


def test_a_failed_job_is_its_name_the_reason_and_its_log(shown, tmp_path):
    log = tmp_path / "A.log"
    log.write_text("long\n" * 500 + "resnest-bench: error: the disk is full\n")
    shown.start(1, "train", [str(log)], **TRAIN)
    shown.tell(
        "RuleException:\n" + "x\n" * 50, logging.ERROR, event="error", exception="RuleException"
    )
    shown.tell("", logging.ERROR, event="job_error", jobid=1, log=[str(log)])
    shown.tell(
        "At least one job did not complete successfully.",
        logging.ERROR,
        event="error",
        exception="WorkflowError",
    )
    lines = shown.text.splitlines()
    assert len(lines) == 5
    assert "FAILED train A on low (quick)" in lines[1]
    assert "the disk is full" in lines[2]
    assert str(log) in lines[3]


def test_a_killed_job_is_named_with_its_signal_and_not_its_last_line(shown, tmp_path):
    logs = [tmp_path / "A.log", tmp_path / "B.log"]
    for number, log in enumerate(logs, 1):
        log.write_text("12:00 epoch 7 of 9\n")
        shown.start(number, "train", [str(log)], **TRAIN)
    # Two jobs failed before either was named.
    for log, status in zip(logs, ("exit status 137", "exit status 2"), strict=True):
        shown.tell(
            f"Command 'x > {log} 2>&1' returned non-zero {status}.",
            logging.ERROR,
            event="error",
            exception="RuleException",
        )
    for number, log in enumerate(logs, 1):
        shown.tell("", logging.ERROR, event="job_error", jobid=number, log=[str(log)])
    killed, other = shown.text.split("FAILED")[1:]
    assert "SIGKILL" in killed
    assert "epoch 7" not in killed
    assert "epoch 7 of 9" in other


def test_what_a_job_said_itself_comes_before_its_signal(shown, tmp_path):
    log = tmp_path / "A.log"
    log.write_text("resnest-bench: error: stopped by SIGTERM; the same command goes on\n")
    shown.start(1, "train", [str(log)], **TRAIN)
    shown.tell(
        f"Command 'x > {log} 2>&1' returned non-zero exit status 143.",
        logging.ERROR,
        event="error",
        exception="RuleException",
    )
    shown.tell("", logging.ERROR, event="job_error", jobid=1, log=[str(log)])
    assert "stopped by SIGTERM" in shown.text


def test_the_last_lines_are_each_failure_with_its_reason_and_log(shown, tmp_path):
    log = tmp_path / "A.log"
    log.write_text("resnest-bench: error: the disk is full\n")
    shown.start(1, "train", [str(log)], **TRAIN)
    shown.tell("", logging.ERROR, event="job_error", jobid=1, log=[str(log)])
    shown.view.end()
    before = len(shown.text)
    shown.view.print_failures()
    _, title, reason, where, goes_on = shown.text[before:].splitlines()
    assert title == "FAILED train A on low (quick)"
    assert reason.strip() == "the disk is full"
    assert str(log) in where
    assert "same command" in goes_on


def test_a_run_without_failures_ends_without_them(shown):
    shown.start(1, "train", **TRAIN)
    shown.finish(1, 1, 4)
    before = len(shown.text)
    shown.view.print_failures()
    assert shown.text[before:] == ""


def test_a_lock_is_told_with_its_command_alone(shown, monkeypatch):
    monkeypatch.setattr("sys.argv", ["/bin/snakemake", "--cores", "1"])
    shown.tell(
        "LockException:\nError: Directory cannot be locked.",
        logging.ERROR,
        event="error",
        exception="LockException",
    )
    assert "snakemake --cores 1 --unlock" in shown.text
    assert "LockException" not in shown.text


def test_records_without_a_backup_are_no_news(shown):
    shown.tell("Cannot restore results/x/seed-0.json: no backup found.", logging.WARNING)
    assert shown.text == ""


def test_where_nothing_is_to_run_snakemakes_answers_are_shown():
    made = Shown()
    made.tell("Unlocked working directory.")
    made.view.end()
    assert "Unlocked" in made.text


def test_what_comes_before_a_run_is_no_answer():
    made = Shown()
    made.tell("Assuming unrestricted shared filesystem usage.")
    made.tell("Workflow has started!", event="workflow_started")
    made.view.end()
    assert made.text == ""


def test_a_job_that_fails_and_is_tried_again_has_not_failed(shown):
    shown.start(1, "train", **TRAIN)
    shown.tell("", logging.ERROR, event="job_error", jobid=1, log=[])
    assert shown.view.run.snapshot().failed == 1
    shown.tell("Trying to restart job 1.")
    shown.start(1, "train", **TRAIN)
    shown.finish(1, 1, 4)
    seen = shown.view.run.snapshot()
    assert (seen.failed, seen.done) == (0, 1)
    assert shown.view.run.counts["train"] == 1, "one of two still waits"


def test_an_error_that_is_no_jobs_is_shown_whole(shown):
    shown.tell(
        "MissingInputException in rule x", logging.ERROR, event="error", exception="RuleException"
    )
    assert "MissingInputException" in shown.text


def test_jobs_that_ctrl_c_ended_have_not_failed(shown):
    shown.start(1, "train", **TRAIN)
    INTERRUPTED.set()
    shown.tell("", logging.ERROR, event="job_error", jobid=1, log=[])
    shown.view.end()
    assert "FAILED" not in shown.text
    assert "0 of 4 jobs" in shown.text


def test_the_end_is_said_once(shown):
    shown.view.end()
    shown.view.end()
    assert shown.text.count("0 of 4 jobs") == 1


def test_a_run_that_never_began_has_no_summary():
    made = Shown()
    made.view.end()
    assert made.text == ""


def test_a_terminal_has_one_view_and_keeps_failures_alone(study, paths, tmp_path):
    made = Shown("auto", terminal=True)
    made.tell(resnest_bench_study=(study, paths))
    made.tell(event="run_info", stats={"train": 2, "total": 2})
    made.start(1, "train", **TRAIN)
    made.finish(1, 1, 2)
    (tmp_path / "B.log").write_text("resnest-bench: error: no\n")
    made.start(2, "train", [str(tmp_path / "B.log")], **TRAIN | {"variant": "B"})
    made.tell("", logging.ERROR, event="job_error", jobid=2, log=[str(tmp_path / "B.log")])
    before = len(made.text)
    made.view.end()
    assert "░" in made.text[:before], "the view"
    assert "\x1b[?25h" in made.text[before:], "the cursor is back"
    assert "FAILED train B on low (quick)" in made.text
    assert "1 of 2 jobs" in made.text[before:]


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1", "TERM": "xterm"}, {"TERM": "dumb"}])
def test_colours_and_the_view_are_for_terminals_that_want_them(monkeypatch, environ):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    made = Shown("auto", terminal=True, _environ=environ)
    made.tell(event="run_info", stats={"train": 1, "total": 1})
    made.start(1, "train", **TRAIN)
    made.view.end()
    assert "\x1b[3" not in made.text
    assert "\x1b[1;3" not in made.text
    if environ["TERM"] == "dumb":
        assert "\x1b" not in made.text


def test_a_dry_run_says_what_and_why():
    made = Shown(dry_run=True)
    made.tell(event="run_info", stats={"train": 1, "total": 1})
    made.start(1, "train", **TRAIN)
    made.view.end()
    assert "train A on low (quick): missing output files" in made.text


@pytest.mark.parametrize(
    ("rule", "wildcards", "title", "jobs"),
    [
        (
            "train_more",
            TRAIN | {"seed": "7"},
            "train A on low (quick), seed 7",
            [Job("train", "low", "quick", "A", 7)],
        ),
        (
            "latency",
            TRAIN | {"recipe": "fast", "round": "2"},
            "latency A on low, round 2",
            [Job("latency", "low", "fast", "A", 2)],
        ),
        (
            "finetune",
            TRAIN | {"recipe": "tune"},
            "finetune A on low (tune)",
            [Job("finetune", "low", "tune", "A", seed) for seed in range(3)],
        ),
        ("data", {"dataset": "low", "digest": "0"}, "prepare low", []),
        ("tables", {}, "tables", []),
        ("somebody_elses", {"x": "1"}, "somebody_elses 1", []),
        ("odd", {"x": "{y}"}, "odd", []),
    ],
)
def test_jobs_bear_a_readers_names(study, rule, wildcards, title, jobs):
    made = make_live_job(rule, wildcards, [], study)
    assert made.title == title
    assert list(made.records) == jobs


def test_without_a_study_jobs_have_names_all_the_same():
    made = Shown()
    made.tell(event="run_info", stats={"train": 1, "total": 1})
    made.start(1, "train", **TRAIN)
    made.finish(1, 1, 1)
    assert "train A on low (quick)" in made.text
