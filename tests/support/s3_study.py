"""A study of one network, run by Snakemake with its files in a local S3 server (moto)."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

SNAKEFILE = Path(__file__).parents[2] / "workflow/Snakefile"
STUDY: dict[str, Any] = {
    "study": "tiny",
    "seeds": [0],
    "variants": [
        {"name": "A", "family": "resnest", "layers": [1], "radix": 0, "width": 16, "stem": "deep"}
    ],
    "datasets": {"low": {"source": "digits", "classes": [0, 1, 2]}},
    # Layout and mode are given: chosen by a timing, they could differ between two runs, and the bits with them.
    "recipes": {
        "quick": {
            "epochs": 6,
            "batch_size": 32,
            "learning_rate": 0.05,
            "layout": "contiguous",
            "mode": "eager",
        }
    },
    "protocols": {
        "quick": {
            "batch_sizes": [1],
            "min_samples": 5,
            "min_seconds": 0,
            "warmup_calls": 1,
            "warmup_seconds": 0,
            "paper_batch_size": 4,
            "paper_batches": 1,
            "reference_samples": 3,
        }
    },
    "train": [{"dataset": "low", "recipe": "quick"}],
    "latency": [{"dataset": "low", "protocol": "quick", "rounds": 1}],
}
BUCKET = "bench"


@contextmanager
def s3_server(log: Path) -> Iterator[str]:
    """Start a server with an empty bucket and set the environment for it; yields its address."""
    import boto3
    from botocore.exceptions import BotoCoreError

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
    address = f"http://127.0.0.1:{port}"
    own = {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    with log.open("w") as file:
        server = subprocess.Popen([sys.executable, "-c", script], stdout=file, stderr=file)
    try:
        for _ in range(60):
            try:
                boto3.client("s3").create_bucket(Bucket=BUCKET)
                break
            except BotoCoreError:  # not up yet
                time.sleep(0.5)
        yield address
    finally:
        server.kill()
        server.wait()
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def start(folder: Path, *options: str) -> subprocess.Popen:
    """Start Snakemake on the study in `folder`, which is made; its output is in folder/output.txt."""
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(STUDY))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(SNAKEFILE)]
    command += ["--configfile", "config.yaml", "--logger-resnest-bench-style", "snakemake"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environ = dict(os.environ, PATH=path, OMP_NUM_THREADS="1", RESNEST_BENCH_STORE_SECONDS="0.2")
    with (folder / "output.txt").open("w") as file:
        return subprocess.Popen(
            [*command, *options], cwd=folder, env=environ, stdout=file, stderr=file
        )


def run(folder: Path, *options: str) -> str:
    """Run it to its end, which must be a good one; return what it said."""
    code = start(folder, *options).wait(900)
    output = (folder / "output.txt").read_text()
    assert code == 0, output
    return output


def list_keys(prefix: str) -> list[str]:
    import boto3

    found = boto3.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix)
    return [one["Key"] for one in found.get("Contents", [])]
