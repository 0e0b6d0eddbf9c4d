"""A check of this machine. Each finding is ok, or says what to do."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from resnest_bench import files
from resnest_bench.cli.gpus import describe_gpus, list_gpu_recipes
from resnest_bench.device.environment import cpu_model, describe
from resnest_bench.errors import UserError
from resnest_bench.models.hub import explain_offline, find_hub_problem
from resnest_bench.paths import DataPaths
from resnest_bench.specs import (
    Cifar10Dataset,
    DatasetSpec,
    HuggingFaceDataset,
    StudySpec,
    TorchvisionDataset,
    describe_missing,
    load_study,
    local_path,
)

NEEDED_GIB = 5


@dataclass(frozen=True)
class Finding:
    """`verdict` is "ok", "note" (works, with a caveat) or "bad" (will fail)."""

    topic: str
    verdict: str
    text: str


def _device() -> Finding:
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return Finding("device", "ok", f"{len(names)} NVIDIA GPU(s): {', '.join(names)}")
    return Finding(
        "device",
        "note",
        f"torch {torch.__version__} finds no NVIDIA GPU, so everything runs on the CPU, "
        f"{cpu_model()}. {_describe_cores()}",
    )


def _describe_cores() -> str:
    """How many of the cores a run uses, in the same words as `plan`."""
    cores = os.cpu_count() or 1
    if cores == 1:
        return "`resnest-bench plan` says how long it takes"
    return (
        f"`resnest-bench run` uses one of its {cores} cores, and `run -- --cores {cores}` all of them; "
        f"`plan --cores {cores}` says how trainings share them and how long it takes"
    )


def _driver() -> Finding:
    if torch.cuda.is_available():
        gpu = describe(torch.device("cuda", 0))
        return Finding("driver", "ok", f"driver {gpu.driver}, CUDA {gpu.cuda}, cuDNN {gpu.cudnn}")
    if shutil.which("nvidia-smi"):
        return Finding(
            "driver",
            "bad",
            f"nvidia-smi is installed, but torch (built for CUDA {torch.version.cuda}) finds no GPU. The "
            "driver is probably too old: update it, or check CUDA_VISIBLE_DEVICES",
        )
    return Finding("driver", "ok", "none needed without a GPU")


def _disk(study: StudySpec, results: Path) -> Finding:
    for folder in (results, Path(study.data_dir)):
        try:
            files.check_writable(folder, NEEDED_GIB * 2**30)
        except UserError as error:
            return Finding("disk", "bad", str(error))
    free = shutil.disk_usage(results).free / 2**30
    return Finding(
        "disk", "ok", f"{results} and {study.data_dir} are writable, {free:.0f} GiB free"
    )


def _data(study: StudySpec) -> list[Finding]:
    findings = []
    for name, spec in study.own_datasets.items():
        topic = f"data {name}"
        path = local_path(spec)
        if (study.prepared(name) / "meta.json").exists():
            findings.append(Finding(topic, "ok", f"prepared at {study.prepared(name)}"))
        elif path and not path.exists():
            text = f"{describe_missing(path)}: put the data there, or change datasets.{name}.path"
            findings.append(Finding(topic, "bad", text))
        elif path:
            findings.append(Finding(topic, "ok", f"will be prepared from {path}"))
        elif spec.source == "digits":
            findings.append(Finding(topic, "ok", "comes with scikit-learn"))
        else:
            text = f"will download {_describe_origin(spec)}; offline, set datasets.{name}.path"
            findings.append(Finding(topic, "note", text))
    return findings


def _describe_origin(spec: DatasetSpec) -> str:
    if isinstance(spec, HuggingFaceDataset):
        return f"{spec.hub} from the hub of Hugging Face"
    if isinstance(spec, TorchvisionDataset):
        return f"{spec.name} from where torchvision has it"
    what = "CIFAR-10 (163 MiB)" if isinstance(spec, Cifar10Dataset) else "an archive"
    return f"{what} from {getattr(spec, 'urls', ('',))[0]}"


def _weights(study: StudySpec) -> list[Finding]:
    from resnest_bench.cli.plan import check_weights

    findings = []
    for block in study.finetune:
        for variant, weights in block.weights.items():
            topic = f"weights {variant}"
            try:
                check_weights(study, block.dataset, variant, weights)
            except UserError as error:
                findings.append(Finding(topic, "bad", str(error)))
                continue
            if weights.hub:
                path = DataPaths(Path(study.data_dir)).hub_weights(weights.hub)
                findings.append(_find_hub_weights(topic, weights.hub, path))
            else:
                findings.append(Finding(topic, "ok", str(weights.file or f"train {weights.train}")))
    return findings


def _find_hub_weights(topic: str, name: str, path: Path) -> Finding:
    if path.exists():
        return Finding(topic, "ok", str(path))
    if problem := find_hub_problem():
        return Finding(topic, "bad", explain_offline([name], path.parent, problem))
    return Finding(topic, "note", f"{name} will be downloaded to {path}")


def _scheduler() -> Finding:
    if not shutil.which("sbatch"):
        return Finding("scheduler", "ok", "no Slurm: jobs run on this machine")
    from importlib.util import find_spec

    if find_spec("snakemake_executor_plugin_slurm") is None:
        return Finding(
            "scheduler",
            "bad",
            "Slurm is installed, but its Snakemake plugin is not: run `make env`",
        )
    return Finding("scheduler", "ok", "Slurm: snakemake --profile workflow/profiles/slurm")


def _threads() -> Finding:
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load > 0.5 * cores:
        text = (
            f"load {load:.1f} on {cores} cores: other programs will disturb the latencies, so wait "
            "until they have finished"
        )
        return Finding("quiet", "note", text)
    return Finding("quiet", "ok", f"load {load:.1f} on {cores} cores")


def _gpus(study: StudySpec) -> list[Finding]:
    lacking = torch.cuda.device_count() < max(
        (recipe.gpus for recipe in list_gpu_recipes(study).values()), default=0
    )
    verdict = "note" if lacking else "ok"
    return [Finding("gpus", verdict, line) for line in describe_gpus(study)]


def examine(study_path: Path, results: Path) -> list[Finding]:
    """Run all checks. A study that can't be read is a finding too, without the checks of its files."""
    findings = [_device(), _driver(), _threads(), _scheduler()]
    try:
        study = load_study(study_path)
    except UserError as error:
        return [*findings, Finding("study", "bad", str(error))]
    findings.append(Finding("study", "ok", f"{study_path}: {len(study.jobs())} records"))
    checks: list[Callable[[], list[Finding]]] = [
        lambda: [_disk(study, results)],
        lambda: _gpus(study),
        lambda: _data(study),
        lambda: _weights(study),
    ]
    return findings + [finding for check in checks for finding in check()]


def findings_text(findings: list[Finding]) -> str:
    """Format findings, one per line."""
    width = max(len(finding.topic) for finding in findings)
    return "\n".join(f"{f.verdict:<5} {f.topic:<{width}}  {f.text}" for f in findings)
