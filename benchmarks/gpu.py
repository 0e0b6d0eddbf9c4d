"""All that needs a GPU, in one command and at most 20 minutes: figures, records, one folder.

    python benchmarks/gpu.py --data cifar10-jpeg.tar.xz --out results/gpu

Stages, in the order of what is worth most; each writes its own files, one that fails or runs out of
time is named, and the others go on. `--device cpu --quick` goes through the same stages with next to
no work, which is how they are tested where there is no GPU.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from reporting import ROOT, header, header_lines, markdown, write_json

from resnest_bench.device.lease import DEVICE_KINDS
from resnest_bench.errors import UserError
from resnest_bench.specs import read_yaml

RACED = "ResNet-14-0s1x64d,ResNeSt-14-2s1x64d,ResNeSt-101,EfficientNet-b3"
GPU_TESTS = ("tests/unit/measure", "tests/unit/training")
FULL_BUDGET_SECONDS = 1200.0
QUICK_VARIANT = "ResNet-18"
# What the commands of a quick run are given.
QUICK_STEPS, QUICK_ROUNDS, QUICK_IMAGES = "1", "1", "128"


@dataclass(frozen=True)
class Stage:
    """One command of several; `limit` in seconds."""

    name: str
    commands: tuple[tuple[str, ...], ...]
    limit: float


@dataclass(frozen=True)
class Outcome:
    name: str
    status: str
    seconds: float


def python(script: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, str(ROOT / "benchmarks" / script), *arguments)


def tool(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-c", "from resnest_bench.cli import main; main()", *arguments)


def study_config(data: Path | None, out: Path, quick: bool) -> dict:
    """The paper's study without its fine-tunings; `data` in place of a download of CIFAR-10.

    `quick` makes it one variant, one seed and one epoch, of embedded images.
    """
    config = read_yaml(ROOT / "config/config.yaml")
    latency = [{**block, "rounds": 1} for block in config["latency"]]
    config = {
        "study": "gpu",
        "variants": read_yaml(ROOT / "config/variants.yaml"),
        "seeds": config["seeds"],
        "datasets": {"cifar10": config["datasets"]["cifar10"]},
        "train": config["train"],
        "latency": latency,
        "tables": {name: config["tables"][name] for name in ("ablation", "tradeoff")},
        "data_dir": str(out / "data"),
    }
    if data:
        config["datasets"]["cifar10"] = {
            "source": "imagefolder",
            "path": str(data.resolve()),
            "image_size": 32,
            "mean": [0.4914, 0.4822, 0.4465],
            "std": [0.247, 0.2435, 0.2616],
            "label": f"CIFAR-10 ({data.name})",
        }
    if quick:
        short = {"epochs": 1, "batch_size": 64, "learning_rate": 0.05}
        brief = {
            "batch_sizes": [1],
            "min_samples": 5,
            "min_seconds": 0,
            "warmup_calls": 1,
            "warmup_seconds": 0,
            "paper_batches": 1,
            "reference_samples": 2,
        }
        config |= {
            "seeds": [0],
            "datasets": {"cifar10": {"source": "digits", "classes": [0, 1]}},
            "recipes": {"short": short},
            "protocols": {"brief": brief},
            "train": [{"dataset": "cifar10", "recipe": "short", "variants": [QUICK_VARIANT]}],
            "latency": [
                {
                    "dataset": "cifar10",
                    "protocol": "brief",
                    "rounds": 1,
                    "variants": [QUICK_VARIANT],
                }
            ],
            "tables": {},
        }
    return config


def study_commands(config: dict, file: Path, out: Path, device: str) -> list[tuple[str, ...]]:
    """What the workflow would run, in a row: data, trainings, latencies, tables."""
    common = ("--study", str(file), "--results", str(out / "results"), "--device", device)
    commands = [tool("data", "--study", str(file), "--dataset", "cifar10")]
    for block in config["train"]:
        for name in block["variants"]:
            where = ("--dataset", block["dataset"], "--recipe", block["recipe"])
            commands.append(tool("train", *common, *where, "--variant", name))
    for block in config["latency"]:
        for name in block["variants"]:
            where = ("--dataset", block["dataset"], "--protocol", block.get("protocol", "default"))
            commands.append(tool("latency", *common, *where, "--variant", name))
    return [*commands, tool("tables", *common[:4])]


def stages(asked: argparse.Namespace) -> list[Stage]:
    """What there is to do, for the device and data that were asked for."""
    out, device, quick = asked.out, asked.device, asked.quick
    config = study_config(asked.data, out, quick)
    file = out / "study.config.json"
    file.write_text(json.dumps(config, indent=1))
    device_arguments = ("--device", device)
    variants = ("--variants", QUICK_VARIANT) if quick else ()
    raced = variants or ("--variants", RACED)
    size = ("--rounds", QUICK_ROUNDS, "--images", QUICK_IMAGES) if quick else ("--rounds", "3")
    steps = ("--steps", QUICK_STEPS) if quick else ()
    data = ("--data", str(asked.data)) if asked.data else ()
    batches = ("--batch-sizes", "1") if quick else ()
    whole = study_commands(config, file, out, device)
    return [
        Stage(
            "tests",
            ((sys.executable, "-m", "pytest", "-q", *GPU_TESTS, "-k", "gpu or graph"),),
            120,
        ),
        Stage(
            "floor",
            (
                python(
                    "floor.py",
                    *device_arguments,
                    *variants,
                    *steps,
                    "--out",
                    str(out / "floor.json"),
                ),
            ),
            150,
        ),
        Stage(
            "train",
            (
                python(
                    "train.py",
                    *device_arguments,
                    *raced,
                    *size,
                    *data,
                    "--out",
                    str(out / "train.json"),
                ),
            ),
            300,
        ),
        Stage(
            "latency",
            (
                python(
                    "latency_agreement.py",
                    *device_arguments,
                    *variants,
                    *batches,
                    "--out",
                    str(out / "latency.json"),
                ),
            ),
            120,
        ),
        Stage("several", (python("several_gpus.py", "--out", str(out / "several.json")),), 120),
        Stage("data", (whole[0],), 120),
        Stage("study", tuple(whole[1:]), 600),
    ]


def run_stage(stage: Stage, out: Path, left: float) -> Outcome:
    """Run the commands of a stage; what they print goes to `<stage>.txt`."""
    start, status = time.perf_counter(), "done"
    limit = min(stage.limit, left)
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"}
    with (out / f"{stage.name}.txt").open("w", encoding="utf-8") as log:
        for command in stage.commands:
            begun = time.perf_counter()
            log.write(f"$ {' '.join(command)}\n")
            log.flush()
            try:
                remaining = max(1.0, limit - (begun - start))
                subprocess.run(
                    command,
                    cwd=ROOT,
                    env=environ,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    timeout=remaining,
                    check=True,
                )
            except subprocess.TimeoutExpired:
                status = f"stopped after {limit:.0f} s"
                break
            except subprocess.CalledProcessError as error:
                status = f"a command failed with exit code {error.returncode}: see {log.name}"
            log.write(f"# {time.perf_counter() - begun:.1f} s\n")
    return Outcome(stage.name, status, time.perf_counter() - start)


def report(told: dict, outcomes: Sequence[Outcome]) -> str:
    rows = [[o.name, f"{o.seconds:.0f}", o.status] for o in outcomes]
    return "\n".join(
        [*header_lines(told, "one run"), "", markdown(["stage", "seconds", "outcome"], rows)]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=DEVICE_KINDS, default="cuda")
    parser.add_argument(
        "--data", type=Path, help="CIFAR-10 as {train,test}/<class>/, or an archive"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--minutes", type=float, default=FULL_BUDGET_SECONDS / 60)
    parser.add_argument("--only", help="names of stages with commas between")
    parser.add_argument(
        "--quick", action="store_true", help="next to no work: a check of this script"
    )
    asked = parser.parse_args()
    if asked.device == "cuda" and not torch.cuda.is_available():
        sys.exit("gpu.py: error: torch sees no NVIDIA GPU: run it where there is one")
    asked.out = asked.out.resolve()
    asked.out.mkdir(parents=True, exist_ok=True)
    told = header(torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu"))
    try:
        todo = stages(asked)
    except UserError as error:
        sys.exit(f"gpu.py: error: {error}")
    wanted = asked.only.split(",") if asked.only else [stage.name for stage in todo]
    end, outcomes = time.perf_counter() + 60 * asked.minutes, []
    for stage in todo:
        left = end - time.perf_counter()
        if stage.name in wanted and left > 0:
            print(f"{stage.name} ...", flush=True)
            outcomes.append(run_stage(stage, asked.out, left))
            (asked.out / "README.md").write_text(report(told, outcomes) + "\n", encoding="utf-8")
    write_json(asked.out / "machine.json", told)
    print(report(told, outcomes))
    if any(outcome.status != "done" for outcome in outcomes):
        sys.exit(1)


if __name__ == "__main__":
    main()
