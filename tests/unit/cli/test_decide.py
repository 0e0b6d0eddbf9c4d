"""`plan --decide` as a user and as the workflow start it, and the commands that follow its looks."""

import re

import numpy as np
import pytest
from typer.testing import CliRunner

from resnest_bench import files, records
from resnest_bench.cli.app import app, parse_seeds
from resnest_bench.errors import UserError
from resnest_bench.paths import Job
from resnest_bench.specs import Look, dump_study
from support.claims_study import claim, claims_study, copied, make_bits, trained

DIFFERENCES = [0.0, 1.0, 2.0, 2.2, -0.2]


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Five seeds of A, B and T: B is a point better than A, with a standard deviation of one."""
    monkeypatch.chdir(tmp_path)
    claims = [
        claim("greater", name="better", a=["B"], b=["A"]),
        claim("greater", name="clear", a=["T"], b=["A"]),
    ]
    train = [{"dataset": "low", "recipe": "quick", "variants": ["A", "B", "T"]}]
    study = claims_study(
        *claims,
        train=train,
        latency=[],
        finetune=[],
        adaptive={"max_seeds": 9, "allocation": "equal"},
    )
    paths = study.paths()
    for job, record in trained(study, make_bits(DIFFERENCES, rng())).items():
        records.write(paths.record(job), record)
    files.write_text(paths.study, dump_study(study))
    return study


def rng():
    return np.random.default_rng(3)


def run(*args):
    done = CliRunner().invoke(app, [str(arg) for arg in args])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def test_it_says_why_each_claim_gets_seeds_or_none(study):
    text = run("plan", "--decide", "--study", study.paths().study)
    assert "3 looks" in text
    assert "decided: supported" in text
    assert "The next 2 hours" in text
    assert "The next 5 hours" in run(
        "plan", "--decide", "--hours", "5", "--study", study.paths().study
    )
    assert "Next: seeds 5, 6 of A and seeds 5, 6 of B." in text
    assert not study.paths().looks.exists()


def test_the_file_is_what_the_tables_follow(study):
    paths = study.paths()
    run("plan", "--decide", "--study", paths.study, "--look", 0, "--json", paths.look(0))
    look = Look.model_validate_json(paths.look(0).read_bytes())
    place = ("train", "low", "quick")
    assert look.jobs == [Job(*place, name, seed) for name in "AB" for seed in (5, 6)]
    assert "19 jobs: 15 ok, 4 missing" in run("show", paths.root)
    more = make_bits([*DIFFERENCES, 1.0, 1.2], rng())
    for job in look.jobs:
        own = Job(*place, job.variant, 0)
        record = copied(records.read(paths.record(own), own), job, more[job.variant][job.seed])
        records.write(paths.record(job), record)
    assert "19 jobs: 19 ok" in run("show", paths.root)
    run("tables", "--study", paths.study)
    claims = (paths.tables / "claims.md").read_text()
    assert "look 2 of 3" in claims
    assert "at 5, 7 and 9 seeds; up to 2 were taken" in claims
    assert "Seeds were added" in (paths.tables / "tradeoff.md").read_text()


def test_the_next_look_follows_those_that_were_taken(study):
    paths = study.paths()
    run("plan", "--decide", "--study", paths.study, "--look", 0, "--json", paths.look(0))
    text = run("plan", "--decide", "--study", paths.study)
    assert "Decision 1" in text
    assert re.search(r"waits.*train B on low \(quick, seed 5\).*missing", text)
    assert "Stop: a claim waits for a record" in text


def test_options_of_a_decision_go_with_it(study):
    with pytest.raises(UserError, match=r"--look .*--json .*--decide"):
        run("plan", "--study", study.paths().study, "--look", 0)


@pytest.mark.parametrize(("text", "seeds"), [("5", (5,)), ("5,6", (5, 6)), (" 7, 0", (7, 0))])
def test_seeds_are_numbers_between_commas(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", ",", "5,", "-1", "1.5", "5,5", "a", "٣", "0x1", "5 6"])
def test_other_texts_are_no_seeds(text):
    with pytest.raises(UserError, match="like 5,6"):
        parse_seeds(text)
