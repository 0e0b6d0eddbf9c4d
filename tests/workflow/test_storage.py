"""A study whose jobs share no folder: on a real S3 server, docs/storage.md says how to run this."""

import json
import time
from pathlib import Path

import psutil
import pytest

from support.s3_study import BUCKET, list_keys, run, s3_server, start

pytest.importorskip("moto.server", reason="needs moto[server]: see docs/storage.md")
pytest.importorskip("snakemake_storage_plugin_s3", reason="needs snakemake-storage-plugin-s3")
pytestmark = pytest.mark.slow

HERE = ["--cores", "1", "--resources", "gpu=1"]
RECORD = "results/tiny/records/train/low/quick/A/seed-0.json"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3") / "server.log") as address:
        yield address


def in_store(address: str, name: str) -> list[str]:
    return [
        *("--default-storage-provider", "s3", "--default-storage-prefix", f"s3://{BUCKET}/{name}"),
        *("--shared-fs-usage", "none", "--storage-s3-endpoint-url", address),
    ]


def read_training(folder: Path) -> dict:
    return json.loads((folder / RECORD).read_text())["train"]


def kill_tree(pid: int) -> None:
    for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        process.kill()


def test_a_killed_training_goes_on_in_a_folder_that_shares_nothing(address, tmp_path):
    options = [*HERE, *in_store(address, "killed")]
    first, second, plain = (tmp_path / name for name in ("first", "second", "plain"))
    killed = start(first, *options)
    checkpoints = "killed/results/tiny/checkpoints/train/low/quick/A/"
    deadline = time.monotonic() + 300
    while not any(key.endswith("state.safetensors") for key in list_keys(checkpoints)):
        assert killed.poll() is None, (first / "output.txt").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    kill_tree(killed.pid)
    killed.wait()
    assert not list_keys(f"killed/{RECORD}")

    run(second, *options)
    run(plain, *HERE)
    resumed, undisturbed = read_training(second), read_training(plain)
    assert resumed["num_resumes"] == 1
    assert undisturbed["num_resumes"] == 0
    for key in ("final_weights_sha256", "test", "num_parameters"):
        assert resumed.get(key) == undisturbed.get(key)
    names = {p.name for p in (plain / "results/tiny/tables").iterdir()}
    assert {p.name for p in (second / "results/tiny/tables").iterdir()} == names
    # A third folder has nothing to do: all is in the store.
    assert "Nothing to be done" in run(tmp_path / "third", *options, "--dry-run")


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("kubernetes", []),
        (
            "aws-batch",
            ["--aws-batch-region", "r", "--aws-batch-job-queue", "q", "--aws-batch-job-role", "r"],
        ),
    ],
)
def test_a_profile_with_a_store_lists_the_jobs(address, tmp_path, name, more):
    pytest.importorskip(f"snakemake_executor_plugin_{name.replace('-', '_')}")
    profile = Path(__file__).parents[2] / "workflow/profiles" / name
    options = ["--profile", str(profile), *in_store(address, name), "--container-image", "i"]
    output = run(tmp_path, *options, *more, "--dry-run")
    assert all(f"rule {rule}:" in output for rule in ("train", "latency", "tables"))
    training = output.split("rule train:")[1].split("rule ")[0]
    assert all(need in training for need in ("gpu=1", "mem_mb=16000", "runtime=720"))
