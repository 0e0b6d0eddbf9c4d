"""SIGKILL at random moments: nothing half-written is read, and in the end nothing differs."""

import json
import os
import random
import shutil
import time

import pytest
from safetensors import safe_open

from resnest_bench import files, records
from resnest_bench.device.lease import lease
from resnest_bench.errors import UserError
from resnest_bench.records.progress import LiveProgress
from resnest_bench.specs import dump_study
from support.faults_study import TABLES, TRAIN, read_records, write_config
from support.jobs import wait_for
from support.records_factory import make_study, write_study

KILLS = 12


def check_nothing_half(results):
    """Every file that a reader would open is whole."""
    for path in results.rglob("seed-*.json"):
        if path.name.startswith("."):
            continue
        if "progress" in path.parts:
            LiveProgress.model_validate_json(path.read_bytes())
        else:
            records.read(path)
    for path in results.rglob("finished.json"):
        records.read(path)
    for path in results.rglob("state.safetensors"):
        with safe_open(path, framework="pt") as file:
            assert json.loads(file.metadata()["progress"])["wall_seconds"] > 0


@pytest.mark.slow
def test_a_training_killed_at_random_ends_as_if_it_never_was(jobs, whole, tmp_path):
    rng, kills, runs = random.Random(20261124), 0, 0
    while kills < KILLS:
        folder = tmp_path / f"run-{runs}"
        write_config(folder, whole.data)
        code, runs = None, runs + 1
        while code is None:
            child = jobs.start(*TRAIN, folder=folder)
            last = kills == KILLS
            code = child.wait() if last else child.wait(rng.uniform(0, whole.seconds))
            if code is None:
                child.kill()
                ended = child.wait()
                if ended == 0:  # before the signal came
                    break
                assert ended == -9, child.text
                kills += 1
                check_nothing_half(folder / "results/faults")
        assert not code, child.text
        assert read_records(folder) == whole.records
        shutil.rmtree(folder)


@pytest.mark.slow
def test_tables_killed_at_random_are_the_old_or_the_new_ones(jobs, tmp_path):
    study = make_study()
    paths = study.paths(tmp_path / "results")
    write_study(study, paths)
    (tmp_path / "config.yaml").write_text(dump_study(study))
    late = paths.record(study.jobs()[0])
    text = late.read_text()
    late.unlink()
    jobs.run(*TABLES, folder=tmp_path)
    old = list_files(paths.tables)
    shutil.copytree(paths.root, tmp_path / "before")
    late.write_text(text)
    jobs.run(*TABLES, folder=tmp_path)
    new = list_files(paths.tables)
    assert old.keys() == new.keys()
    assert old != new
    seconds = duration(jobs, tmp_path, TABLES)
    rng, seen = random.Random(20261125), set()
    for index in range(KILLS):
        shutil.rmtree(paths.root)
        shutil.copytree(tmp_path / "before", paths.root)
        late.write_text(text)
        child = jobs.start(*TABLES, folder=tmp_path)
        if child.wait(rng.uniform(0, seconds)) is None:
            child.kill()
            child.wait()
        found = list_files(paths.tables)
        assert found.keys() == new.keys()
        assert all(found[name] in (old[name], new[name]) for name in found)
        seen.add(sum(found[name] == new[name] for name in found))
        if index % 4 == 0:
            jobs.run(*TABLES, folder=tmp_path)
            assert list_files(paths.tables) == new
    assert len(seen) > 1, "all kills came before the first table or after the last"


def duration(jobs, folder, arguments):
    start = time.monotonic()
    jobs.run(*arguments, folder=folder)
    return time.monotonic() - start


def list_files(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if not p.name.startswith(".")}


def test_a_record_whose_writer_is_killed_is_the_old_or_the_new_one(jobs, tmp_path):
    path, rng = tmp_path / "seed-0.json", random.Random(20261126)
    seen, left = set(), 0
    for _ in range(KILLS):
        child = jobs.start(folder=tmp_path, inject=f"write_records {path}")
        wait_for(path)
        assert child.wait(rng.uniform(0, 0.05)) is None, child.text
        child.kill()
        child.wait()
        text = path.read_text()
        assert text in ("a" * 2_000_000, "b" * 2_000_000)
        seen.add(text[0])
        left += len(list(tmp_path.glob(".seed-0.json.*")))
    assert left, "no kill met a write"
    assert seen == {"a", "b"}


def test_what_a_killed_writer_left_is_removed_by_a_later_one(tmp_path):
    """Only what is too old to be another process's write that goes on."""
    path = tmp_path / "seed-0.json"
    old, young = tmp_path / ".seed-0.json.old", tmp_path / ".seed-0.json.young"
    other = tmp_path / ".seed-1.json.old"
    for file in (old, young, other):
        file.write_text("half")
    for file in (old, other):
        os.utime(file, (time.time() - 7200,) * 2)
    files.write_text(path, "whole")
    assert sorted(p.name for p in tmp_path.iterdir()) == [young.name, other.name, path.name]


@pytest.mark.parametrize("number", [9, 15, 2])
def test_a_dead_process_leaves_no_lease(jobs, tmp_path, number):
    marker = tmp_path / "held"
    child = jobs.start(folder=tmp_path, inject=f"hold_lease {tmp_path} {marker}")
    child.send_when(marker, number)
    assert child.wait() in (-9, 143, 130)
    with lease(["0"], tmp_path) as index:
        assert index == 0


def test_two_trainings_of_one_seed_at_once(jobs, whole, study):
    """As two `snakemake --nolock` would start them: the second is told, the first goes on."""
    marker = study / "marker"
    first = jobs.start(*TRAIN, folder=study, inject=f"in_step {marker} 4")
    wait_for(marker)
    second = jobs.start(*TRAIN, folder=study, inject="impatient")
    assert second.wait() == 1
    assert "another process trains this seed" in second.text
    assert "Traceback" not in second.text
    first.kill(15)
    assert first.wait() == 143
    jobs.run(*TRAIN, folder=study)
    assert read_records(study) == whole.records


def test_half_a_record_is_never_read(whole, study, tmp_path):
    """Half a record that a broken disk left: named, and made again by its job."""
    path = tmp_path / "seed-0.json"
    path.write_text(json.dumps(whole.records[0])[:500])
    with pytest.raises(UserError, match="is not JSON"):
        records.read(path)
