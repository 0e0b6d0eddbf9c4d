"""A study on a real Slurm, through workflow/profiles/slurm, and all that a cluster does to it.

Two studies share the cluster. In one, two trainings run side by side; one of them is cancelled, the
node is drained and comes back, and then everything else runs. In the other, a training is over its
time limit. Both must end with the numbers of a training that nothing ever disturbed.
"""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from resnest_bench import records
from resnest_bench.paths import Job, StudyPaths
from support.cluster import (
    Study,
    describe_jobs,
    end_all,
    environment,
    read_variables,
    slurm,
    wait_for,
)

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("slurm")]

VARIANT = {"family": "resnest", "layers": [1], "width": 16, "stem": "deep", "stem_width": 16}
# What a probe would choose may differ from run to run: the same numbers need the same choice.
PINNED = {"layout": "channels_last", "mode": "eager", "batch_size": 64}
CONFIG = {
    "study": "sent",
    "seeds": [0],
    "variants": [{"name": "A", "radix": 0, **VARIANT}, {"name": "B", "radix": 2, **VARIANT}],
    "datasets": {"low": {"source": "digits", "classes": [0, 1, 2]}},
    "recipes": {
        "long": {"epochs": 30, "learning_rate": 0.05, **PINNED},
        "tune": {"epochs": 1, "learning_rate": 0.01, "init": "pretrained", **PINNED},
    },
    "protocols": {
        "quick": {
            "batch_sizes": [1],
            "min_samples": 5,
            "min_seconds": 0.01,
            "warmup_calls": 1,
            "warmup_seconds": 0,
            "paper_batch_size": 4,
            "paper_batches": 1,
            "reference_samples": 3,
        }
    },
    "train": [{"dataset": "low", "recipe": "long", "keep_weights": True}],
    "latency": [{"dataset": "low", "protocol": "quick", "variants": ["A"], "rounds": 1}],
    "finetune": [{"dataset": "low", "recipes": ["tune"], "weights": {"B": {"train": "low/long"}}}],
    "tables": {"tradeoff": {}},
}
ONE_TRAINING = {
    **CONFIG,
    "study": "limited",
    "variants": CONFIG["variants"][1:],
    "latency": [],
    "finetune": [],
}
JOB = Job("train", "low", "long", "B", 0)
PLAIN = [
    "resnest-bench data --study config.yaml --dataset low",
    "resnest-bench train --study config.yaml --dataset low --recipe long --variant B",
]


def run_undisturbed(folder: Path) -> subprocess.Popen:
    """The training of B, without Slurm and without Snakemake."""
    Study(folder, {**ONE_TRAINING, "study": "plain"})
    return subprocess.Popen(
        " && ".join(PLAIN),
        shell=True,
        cwd=folder,
        env=environment(),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def in_training(study: Study, variant: str, attempt: int = 0) -> dict | None:
    """Slurm's job of a training, once it has done a few epochs."""
    jobs = study.jobs(f"train_wildcards_low_long_{variant}")
    return (
        jobs[attempt]
        if len(jobs) > attempt and "epoch 3/" in study.job_log(jobs[attempt])
        else None
    )


def make_late(study: Study) -> None:
    """Let a training run over its limit, the same on every machine, however slow its start was.

    It stands still until Slurm's SIGTERM. Slurm sends SIGCONT before it, as to a suspended job.
    """
    job = wait_for(lambda: in_training(study, "B"), "the training that is to be late")
    os.kill(study.process("B"), signal.SIGSTOP)
    # Slurm counts limits in minutes, and one is the shortest.
    slurm("scontrol", "update", f"jobid={job['JobId']}", "timelimit=1")


@pytest.fixture(scope="module")
def story(cluster, tmp_path_factory):
    """All that happens, told once; the tests look at it."""
    base = tmp_path_factory.mktemp("slurm").resolve()
    sent, limited = Study(base / "sent", CONFIG), Study(base / "limited", ONE_TRAINING)
    seen = SimpleNamespace(sent=sent, limited=limited, plain=base / "plain")
    running = [run_undisturbed(seen.plain)]
    more_each_time = ["train:runtime=20*attempt", "train:mem_mb=1000"]
    running.append(limited.start("--set-resources", *more_each_time))
    running.append(sent.start("--until", "train"))
    try:
        make_late(limited)
        wait_for(lambda: all(in_training(sent, v) for v in "AB"), "two trainings side by side")
        seen.side_by_side = [in_training(sent, variant) for variant in "AB"]
        seen.variables = [read_variables(sent.process(variant)) for variant in "AB"]
        cancel_and_drain(seen)
        sent.finish(running[2])
        assert running[0].wait(timeout=240) == 0
        limited.finish(running[1])
        running.append(sent.start())
        sent.finish(running[3])
        yield seen
    finally:
        end_all(running)
        print(sent.output(), limited.output())


def cancel_and_drain(seen: SimpleNamespace) -> None:
    node = slurm("sinfo", "--noheader", "--format=%N").strip()
    first = seen.side_by_side[1]["JobId"]
    slurm("scancel", first)
    slurm("scontrol", "update", f"nodename={node}", "state=drain", "reason=test")
    again = wait_for(lambda: seen.sent.jobs("train_wildcards_low_long_B")[1:], "a second attempt")
    seen.while_drained = again[0]
    seen.node_while_drained = slurm("sinfo", "--noheader", "--format=%T").strip()
    slurm("scontrol", "update", f"nodename={node}", "state=resume")


def read_record(folder: Path, job: Job):
    return records.read(StudyPaths(folder).record(job), job)


def numbers(record) -> dict:
    """All that a training's record says but for times, and how often it was resumed."""
    seen = record.train.model_dump(exclude={"wall_seconds", "num_resumes", "execution"})
    for epoch in seen["epochs"]:
        for name in ("train_seconds", "evaluation_seconds", "images_per_second"):
            del epoch[name]
    return seen


def test_the_study_ends_with_all_records_tables_and_figures(story):
    runs = pd.read_csv(story.sent.results / "tables/runs.csv")
    assert sorted(runs["kind"]) == ["finetune", "latency", "train", "train"]
    assert set(runs["status"]) == {"ok"}
    assert (story.sent.results / "tables/tradeoff.md").stat().st_size > 100
    assert (story.sent.results / "figures/accuracy_latency.svg").exists()
    assert "Dashboard: " in story.sent.output()


def test_data_tables_and_figures_run_where_snakemake_does(story):
    rules = {job["Comment"].split("_wildcards")[0] for job in describe_jobs(story.sent.folder)}
    assert rules == {"rule_train", "rule_latency", "rule_finetune"}


def test_jobs_ask_for_what_the_profile_says(story):
    job = story.sent.jobs("finetune")[0]
    assert (job["TimeLimit"], job["Requeue"]) == ("12:00:00", "1")
    assert "mem=24000M" in job["TRES"]
    assert job["TresPerJob"] == "gres:gpu:1"
    assert story.sent.job_log(job).count("seeds in") == 1, "the job ran once, not once a task"


def test_a_latency_has_its_node_for_itself(story):
    whole_node = slurm("sinfo", "--noheader", "--format=%c").strip()
    latency, train = story.sent.jobs("latency")[0], story.sent.jobs("train")[0]
    assert (latency["OverSubscribe"], latency["NumCPUs"]) == ("NO", whole_node)
    assert (train["OverSubscribe"], train["NumCPUs"]) == ("OK", "1")


def test_two_variants_side_by_side_have_two_gpus(story):
    assert {job["JobState"] for job in story.side_by_side} == {"RUNNING"}
    given = [job["GRES"] for job in story.side_by_side]
    assert len(set(given)) == 2, given
    numbers = [environ["CUDA_VISIBLE_DEVICES"] for environ in story.variables]
    for text, number in zip(given, numbers, strict=True):
        assert text == f"gpu:1(IDX:{number})"


LEASE = """
import os, time, torch
from types import SimpleNamespace
# Stands for CUDA on a machine without one: the job's devices, counted from 0.
seen = os.environ["CUDA_VISIBLE_DEVICES"].split(",")
torch.cuda.is_available = lambda: True
torch.cuda.device_count = lambda: len(seen)
torch.cuda.get_device_properties = lambda i: SimpleNamespace(uuid=f"uuid-{seen[i]}")
torch.cuda.set_device = lambda i: None
from resnest_bench.device.lease import leased_device, visible_gpus
with leased_device() as device:
    print(device, visible_gpus()[device.index], time.time(), flush=True)
    time.sleep(3)
    print("left", time.time())
"""


@pytest.mark.parametrize("ask", ["--gpus=1", "--gres=gpu:1"])
def test_jobs_lease_the_gpus_that_slurm_gives(story, ask):
    """Both are cuda:0 to themselves; as different GPUs they hold their leases at the same time."""
    command = ["srun", "--mem=100", ask, sys.executable, "-c", LEASE]
    jobs = [
        subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    lines = [job.communicate(timeout=120)[0].split() for job in jobs]
    assert [line[0] for line in lines] == ["cuda:0", "cuda:0"]
    assert len({line[1] for line in lines}) == 2, lines
    assert max(float(line[2]) for line in lines) < min(float(line[4]) for line in lines), lines


def test_a_cancelled_training_goes_on_to_the_same_record(story):
    first, second = story.sent.jobs("train_wildcards_low_long_B")
    assert first["JobState"] == "CANCELLED"
    assert second["JobState"] == "COMPLETED"
    assert re.search(r"resuming after epoch \d", story.sent.job_log(second))
    record = read_record(story.sent.results, JOB)
    assert record.train.num_resumes == 1
    plain = read_record(story.plain / "results/plain", JOB)
    assert plain.train.num_resumes == 0
    assert plain.train.final_weights_sha256
    assert numbers(record) == numbers(plain)


def test_a_drained_node_ends_its_jobs_and_takes_no_new_one(story):
    assert story.node_while_drained in ("draining", "drained")
    assert story.while_drained["JobState"] == "PENDING"
    assert story.sent.jobs("train_wildcards_low_long_A")[0]["JobState"] == "COMPLETED"
    assert len(story.sent.jobs("train_wildcards_low_long_A")) == 1


def test_a_training_over_its_time_limit_goes_on_to_the_same_record(story):
    first, second = story.limited.jobs("train")
    assert (first["JobState"], first["TimeLimit"]) == ("TIMEOUT", "00:01:00")
    assert "DUE TO TIME LIMIT" in story.limited.job_log(first)
    assert "stopped by SIGTERM" in story.limited.job_log(first)
    # The next attempt has more time.
    assert (second["JobState"], second["TimeLimit"]) == ("COMPLETED", "00:40:00")
    assert re.search(r"resuming after epoch \d", story.limited.job_log(second))
    record = read_record(story.limited.results, JOB)
    assert record.train.num_resumes == 1
    assert numbers(record) == numbers(read_record(story.plain / "results/plain", JOB))
