"""Imported results next to own trainings: the workflow shows them and trains what it trained before."""

import pandas as pd
import pytest

pytestmark = pytest.mark.slow

THEIRS = "model,seed,acc\ntheirs,0,0.90\ntheirs,1,0.91\ntheirs,7,0.92\n"


def test_they_are_in_the_tables_and_nothing_is_trained(workflow):
    workflow.write()
    (workflow.folder / "theirs.csv").write_text(THEIRS)
    into = ["--into", "config.yaml", "--dataset", "low", "--recipe", "quick"]
    workflow.command("resnest-bench", "import", "theirs.csv", *into)
    workflow.config["imported"] = "imported.yaml"
    planned = workflow.planned()
    assert {rule.split(":")[0] for rule in planned} <= {"all", "tables", "figures"}
    assert any(rule.startswith("tables") for rule in planned)
    workflow.run()
    runs = pd.read_csv(workflow.results / "tables/runs.csv")
    assert set(runs["status"]) == {"ok"}
    theirs = runs[runs["variant"] == "theirs"]
    assert theirs["seed"].tolist() == [0, 1, 7]
    assert set(theirs["imported_from"]) == {"theirs.csv"}
    assert workflow.planned() == set()


def test_a_lost_imported_record_is_said_and_not_trained(workflow):
    workflow.write()
    (workflow.folder / "theirs.csv").write_text(THEIRS)
    into = ["--into", "config.yaml", "--dataset", "low", "--recipe", "quick"]
    workflow.command("resnest-bench", "import", "theirs.csv", *into)
    workflow.config["imported"] = "imported.yaml"
    (workflow.results / "records/train/low/quick/theirs/seed-7.json").unlink()
    workflow.run()
    runs = pd.read_csv(workflow.results / "tables/runs.csv").set_index(["variant", "seed"])
    assert runs.loc[("theirs", 7), "status"] == "missing"
    assert "import" in runs.loc[("theirs", 7), "reason"]
