"""What comes from the internet comes before any job, and by no job. The internet is a local server."""

import hashlib
import http.server
import threading
from pathlib import Path

import pytest
import timm
from safetensors.torch import save

from resnest_bench import records
from resnest_bench.paths import Job, StudyPaths

pytestmark = pytest.mark.slow
# Of the smallest that timm has weights for: 0.5 million parameters.
NAME, MODEL = "test_resnet.r160_in1k", "test_resnet"
FILE = f"/timm/{NAME}/resolve/main/model.safetensors"


class Hub(http.server.BaseHTTPRequestHandler):
    """Answers as the hub does for one file; `server.content` is None where the hub lacks it."""

    def do_HEAD(self) -> bool:
        content = self.server.content
        found = content is not None and self.path.endswith("/model.safetensors")
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(content) if found else 0))
        self.send_header("ETag", f'"{hashlib.sha256(content or b"").hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.end_headers()
        return found

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.do_HEAD():
            self.wfile.write(self.server.content)

    def log_message(self, *arguments) -> None:
        pass


@pytest.fixture
def hub(tmp_path, monkeypatch):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.asked, server.content = [], save(timm.create_model(MODEL).state_dict())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def tuned(fresh):
    """The tiny study, with a fine-tuning from weights of the hub."""
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


def test_a_hub_without_the_file_ends_the_study_before_any_job(tuned, hub):
    hub.content = None
    done = tuned.run(code=None)
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert f"hub must name pretrained weights that timm can download, but '{NAME}' failed" in output
    assert not list(tuned.folder.glob("results/tiny/records/**/*.json")), "something was trained"
    assert not list(Path(tuned.folder, "data/weights").glob("*"))


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
