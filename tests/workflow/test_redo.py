"""What the workflow makes anew, and what a look at it leaves alone."""

import json

import pandas as pd
import pytest

pytestmark = pytest.mark.slow


def read_statuses(workflow):
    runs = pd.read_csv(workflow.results / "tables/runs.csv")
    return set(runs["status"])


def test_a_dry_run_changes_nothing(workflow):
    before = {p: p.stat().st_mtime_ns for p in workflow.results.rglob("*") if p.is_file()}
    workflow.config["recipes"]["quick"]["epochs"] = 2
    planned = workflow.planned()
    assert any("train:" in rule for rule in planned)
    after = {p: p.stat().st_mtime_ns for p in workflow.results.rglob("*") if p.is_file()}
    assert after == before


def test_a_damaged_record_is_made_anew_and_the_others_stay(workflow):
    folder = workflow.results / "records/train/low/quick/A"
    kept = (folder / "seed-0.json").read_text()
    (folder / "seed-1.json").write_text("{")
    workflow.run()
    assert (folder / "seed-0.json").read_text() == kept
    assert json.loads((folder / "seed-1.json").read_text())["status"] == "ok"
    assert read_statuses(workflow) == {"ok"}
    assert workflow.planned() == set()


def test_a_renamed_variant_trains_nothing(workflow):
    workflow.config["variants"][0]["name"] = "C"
    workflow.config["claims"][0]["test"]["b"] = ["C"]
    old = json.loads((workflow.results / "records/train/low/quick/A/seed-0.json").read_text())
    plan = workflow.run("--dry-run") and workflow.command(
        "resnest-bench", "plan", "--no-cost", "--study", "config.yaml"
    )
    assert "Renamed" in plan.stdout
    workflow.run()
    new = json.loads((workflow.results / "records/train/low/quick/C/seed-0.json").read_text())
    assert new["train"] == old["train"]
    assert new["started_at"] == old["started_at"]
    assert read_statuses(workflow) == {"ok"}
    assert workflow.planned() == set()


def test_a_changed_recipe_is_trained_once(workflow):
    workflow.config["recipes"]["tune"]["epochs"] = 2
    plan = workflow.run("--dry-run") and workflow.command(
        "resnest-bench", "plan", "--no-cost", "--study", "config.yaml"
    )
    assert "recipe.epochs was 1, is 2" in plan.stdout
    workflow.run()
    record = json.loads((workflow.results / "records/finetune/high/tune/B/seed-0.json").read_text())
    assert len(record["train"]["epochs"]) == 2
    assert workflow.planned() == set()


def test_what_is_to_do_is_done_where_its_data_is_prepared_again_too(workflow):
    """Snakemake never looks at a job whose inputs are all ancient() while their maker runs."""
    (workflow.results / "records/train/low/quick/A/seed-1.json").unlink()
    workflow.config["recipes"]["tune"]["learning_rate"] = 0.02
    done = workflow.run("--dry-run", "--forcerun", "data")
    rules = [
        line.split()[1].rstrip(":") for line in done.stdout.splitlines() if line.startswith("rule ")
    ]
    assert {"data", "train", "finetune"} <= set(rules)
    assert "latency" not in rules
