"""The whole workflow on a tiny real study, and what an edit of it reruns."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from resnest_bench import records
from resnest_bench.specs import load_study
from support.warm import warm_command

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def jobs_planned(workflow):
    """{'train A', ...}: rule and variant of each job that Snakemake would run."""
    text = workflow.run("--dry-run").stdout
    found = set()
    for block in re.split(r"^(?:local)?rule ", text, flags=re.MULTILINE)[1:]:
        rule = block.split(":")[0]
        variant = re.search(r"variant=([^,\s]+)", block)
        found.add(f"{rule} {variant[1]}" if variant else rule)
    return found - {"all"}


def test_it_makes_every_record_table_and_figure(finished):
    study = load_study(finished.results / "study.json")
    paths = study.paths(finished.folder / "results")
    for job in study.jobs():
        record = records.read(paths.record(job), job)
        assert record.status == "ok"
    runs = pd.read_csv(paths.tables / "runs.csv")
    assert set(runs["status"]) == {"ok"}
    assert len(runs) == len(study.jobs()) == 10
    for name in ("ablation", "tradeoff", "transfer", "claims"):
        for ending in ("csv", "md", "tex"):
            assert (paths.tables / f"{name}.{ending}").stat().st_size > 100
    figures = {path.name for path in paths.figures.iterdir()}
    assert {"accuracy_latency.svg", "accuracy_latency.png", "ablation.svg"} <= figures


def test_it_ends_with_the_tables_and_the_way_to_the_dashboard(finished):
    output = finished.output.stdout + finished.output.stderr
    assert "make dashboard" in output
    assert "1 claim: 1 " in output
    assert "| A " in output or "A " in output
    assert "On the CPU" in output or "On the GPU" in output


def test_a_second_run_does_nothing(workflow):
    done = workflow.run()
    assert "Nothing to be done" in done.stdout + done.stderr
    assert "make dashboard" not in done.stdout


def test_each_job_has_a_log_and_a_benchmark(finished):
    logs = finished.results / "logs"
    assert "epoch 1/1" in (logs / "train/low/quick/A.log").read_text()
    assert "cold start" in (logs / "latency/low/quick/A-1.log").read_text()
    assert (finished.results / "benchmarks/train/low/quick/A.tsv").exists()


def test_rounds_of_latency_come_one_after_the_other(finished):
    folder = finished.results / "records/latency/low/quick"
    rounds = {
        number: [json.loads((folder / v / f"seed-{number}.json").read_text()) for v in "AB"]
        for number in (0, 1)
    }
    assert max(r["finished_at"] for r in rounds[0]) <= min(r["started_at"] for r in rounds[1])
    assert all(len(r["latency"]["cells"]) == 2 for r in rounds[0] + rounds[1])


def test_seeds_are_paired_and_records_say_where_weights_came_from(finished):
    folder = finished.results / "records"
    tuned = json.loads((folder / "finetune/high/tune/B/seed-1.json").read_text())
    source = json.loads((folder / "train/low/quick/B/seed-1.json").read_text())
    sha256 = source["train"]["final_weights_sha256"]
    assert sha256
    assert tuned["train"]["initial_weights"]["sha256"] == sha256


def test_editing_one_variant_reruns_its_jobs_only(workflow):
    workflow.config["variants"][0]["avd"] = False
    assert jobs_planned(workflow) == {"train A", "latency A", "tables", "figures"}


def test_a_new_variant_runs_alone(workflow):
    workflow.config["variants"].append({"name": "C", "family": "timm", "model": "resnet10t"})
    assert jobs_planned(workflow) == {"train C", "latency C", "tables", "figures"}


def test_editing_a_source_reruns_its_fine_tuning(workflow):
    workflow.config["variants"][1]["width"] = 32
    assert jobs_planned(workflow) == {"train B", "latency B", "finetune B", "tables", "figures"}


@pytest.fixture(scope="module")
def new_code(tmp_path_factory):
    """(a copy of src/ whose training code has changed, commands that run it)."""
    folder = tmp_path_factory.mktemp("new")
    source = shutil.copytree(ROOT / "src", folder / "src")
    file = source / "resnest_bench/training/schedules.py"
    file.write_text(file.read_text() + "\n\nNEW_CODE = 1\n")
    with warm_command(folder, PYTHONPATH=str(source)) as warm:
        yield source, warm


@pytest.fixture
def edited(workflow, new_code):
    """A workflow whose training code has changed since its records were made."""
    workflow.source, workflow.warm = new_code
    return workflow


def test_changed_training_code_makes_records_stale_and_retrains_nothing(edited):
    assert jobs_planned(edited) == {"tables", "figures"}
    edited.run()
    runs = pd.read_csv(edited.results / "tables/runs.csv").set_index("kind")
    assert set(runs.loc[["train", "finetune"], "status"]) == {"stale"}
    assert runs.loc["train", "reason"].str.contains("code").all()
    assert set(runs.loc[["latency"], "status"]) == {"ok"}
    assert "stale" in (edited.results / "tables/tradeoff.md").read_text()
    assert "stale" in (edited.results / "logs/tables.log").read_text()


def test_changed_training_code_reruns_where_the_study_says_so(edited):
    edited.config["rerun_on_code_change"] = True
    assert jobs_planned(edited) == {"train A", "train B", "finetune B", "tables", "figures"}


def test_another_dataset_spec_reruns_only_its_own_jobs(workflow):
    workflow.config["datasets"]["high"]["classes"] = [3, 4, 6]
    assert jobs_planned(workflow) == {"data", "all_data", "finetune B", "tables", "figures"}


def test_a_note_reruns_only_tables(workflow):
    workflow.config["variants"][0]["note"] = "read this"
    assert jobs_planned(workflow) <= {"tables", "figures"}


def test_a_claim_reruns_only_tables(workflow):
    workflow.config["claims"][0]["test"]["a"] = ["C"]
    assert jobs_planned(workflow) == {"tables", "figures"}


def test_a_lost_record_is_made_again(workflow):
    (workflow.results / "records/train/low/quick/A/seed-1.json").unlink()
    assert jobs_planned(workflow) == {"train A", "tables", "figures"}
    workflow.run()
    log = (workflow.results / "logs/train/low/quick/A.log").read_text()
    assert "finished before" in log


def test_a_removed_variant_runs_nothing_but_tables(workflow):
    workflow.config["variants"] = workflow.config["variants"][1:]
    assert jobs_planned(workflow) == {"tables", "figures"}


def test_tables_from_whatever_is_there(workflow):
    (workflow.results / "records/train/low/quick/A/seed-1.json").unlink()
    (workflow.results / "records/latency/low/quick/B/seed-0.json").write_text("{")
    workflow.command("resnest-bench", "tables", "--study", "results/tiny/study.json")
    runs = pd.read_csv(workflow.results / "tables/runs.csv").set_index(["kind", "variant", "seed"])
    assert runs.loc[("train", "A", 1), "status"] == "missing"
    assert runs.loc[("latency", "B", 0), "status"] == "invalid"
    assert "not JSON" in runs.loc[("latency", "B", 0), "reason"]


def test_a_variant_that_diverges_leaves_a_record_and_the_others_go_on(fresh):
    fresh.config["recipes"]["quick"]["learning_rate"] = 1e30
    fresh.config |= {"finetune": [], "latency": []}
    fresh.run()
    runs = pd.read_csv(fresh.results / "tables/runs.csv")
    assert set(runs["status"]) == {"failed"}
    assert runs["reason"].str.contains("not finite").all()
    assert len(runs) == 4


def test_a_job_that_crashes_stops_no_other_and_the_tables_name_the_gap(fresh):
    """B's weights file is swapped for nonsense between the check and the job: A still ends."""
    fresh.config |= {"finetune": [], "latency": []}
    fresh.write()
    record = fresh.results / "records/train/low/quick/A/seed-0.json"
    record.mkdir(parents=True)
    (record / "in the way").write_text("")
    done = fresh.run(code=None)
    assert done.returncode != 0
    assert "Traceback" not in (fresh.results / "logs/train/low/quick/A.log").read_text()
    runs = pd.read_csv(fresh.results / "tables/runs.csv").set_index(["variant", "seed"])
    assert runs.loc[("B", 0), "status"] == "ok"
    assert runs.loc[("A", 0), "status"] in ("missing", "invalid")
