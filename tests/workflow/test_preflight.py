"""What comes from the internet comes before any job, and by no job. The internet is a local server."""

import hashlib
import shutil
from pathlib import Path

import pytest

from resnest_bench import records
from resnest_bench.paths import Job, StudyPaths
from support.hub import FILE, MODEL, NAME, address_of_nobody, serve_hub
from support.warm import warm_command

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address():
    """Where the hub of each test is. Where it has none, nobody listens there."""
    return address_of_nobody()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("hub") / "cache"


@pytest.fixture(scope="module")
def downloading(address, cache, tmp_path_factory):
    """A warm process with that hub: huggingface_hub reads its variables when it is imported."""
    variables = {"HF_ENDPOINT": address, "HF_HOME": str(cache)}
    with warm_command(tmp_path_factory.mktemp("warm"), **variables) as folder:
        yield folder


@pytest.fixture
def hub(address):
    with serve_hub(int(address.rpartition(":")[2])) as server:
        yield server


@pytest.fixture
def tuned(fresh, address, cache, downloading, monkeypatch):
    """The tiny study, with a fine-tuning from weights of the hub."""
    shutil.rmtree(cache, ignore_errors=True)
    monkeypatch.setenv("HF_ENDPOINT", address)
    monkeypatch.setenv("HF_HOME", str(cache))
    fresh.warm = downloading
    fresh.config["variants"].append({"name": "C", "family": "timm", "model": MODEL})
    fresh.config["finetune"][0]["weights"] = {"C": {"hub": NAME}}
    fresh.config |= {"latency": [], "tables": {}, "claims": [], "seeds": [0]}
    fresh.config["train"][0]["variants"] = ["A"]
    return fresh


def test_weights_are_downloaded_once_and_read_by_the_job(tuned, hub):
    tuned.run()
    assert [path for path in hub.asked if NAME in path] == [FILE]
    file = tuned.folder / f"data/weights/{NAME}.safetensors"
    job = Job("finetune", "high", "tune", "C", 0)
    seen = records.read(StudyPaths(tuned.results).record(job), job).train.initial_weights
    assert seen.source == f"hub {NAME}"
    assert seen.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()

    # The file is enough, also where it is newer than records, and the hub is not asked anything.
    hub.asked.clear()
    file.touch()
    assert tuned.planned() == set()
    (StudyPaths(tuned.results).record(job)).unlink()
    tuned.run()
    assert hub.asked == []


def check_all_but_the_fine_tuning(tuned, *parts):
    """The training ran, the fine-tuning did not, and the end says why."""
    done = tuned.run(code=None)
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert all(part in output for part in parts), output
    kinds = [file.parts[-5] for file in tuned.results.glob("records/*/*/*/*/*.json")]
    assert kinds == ["train"]
    assert not list(Path(tuned.folder, "data/weights").glob("*"))
    return output


def test_a_hub_without_the_file_stops_nothing_but_its_fine_tuning(tuned, hub):
    hub.content = None
    output = check_all_but_the_fine_tuning(tuned, NAME)
    # Before the first training, when somebody is still there.
    assert output.index(f"FAILED fetch {NAME}") < output.index("start  train A on low")


def test_a_hub_out_of_reach_stops_nothing_but_its_fine_tuning(tuned, address):
    check_all_but_the_fine_tuning(
        tuned, NAME, address, "file:", "resnest-bench weights", "data/weights"
    )


def test_snakemake_takes_the_slurm_profile_on_a_machine_without_slurm(tuned):
    """What each job will ask for. tests/slurm runs it, where there is a Slurm."""
    profile = Path(__file__).parents[2] / "workflow/profiles/slurm"
    blocks = tuned.run("--dry-run", "--profile", str(profile)).stdout.split("\nrule ")
    asked = {block.split(":")[0]: block for block in blocks[1:]}
    assert {"data", "weights", "all_data", "train", "finetune", "tables"} <= set(asked)
    for rule, needs in {
        "train": ["mem_mb=16000,", "runtime=720,", "gpu=1,", "tasks=0"],
        "finetune": ["mem_mb=24000,", "runtime=720,", "gpu=1,", "tasks=0"],
        "tables": ["mem_mb=4000,", "runtime=60"],
    }.items():
        assert all(need in asked[rule] for need in needs), asked[rule]
    assert f"data/weights/{NAME}.safetensors" in asked["finetune"]
