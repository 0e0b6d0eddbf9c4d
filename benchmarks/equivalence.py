"""Does the fast training path reach the accuracy of the plain one? Two one-sided tests.

The same seeds, batches and dropout masks go through both: plain is the network as timm builds it,
contiguous, with torch's unfused SGD; fast is what `resnest-bench train` runs. Rounding makes two such
trainings part after some steps, so that accuracies are compared over seeds, in pairs.

Equivalence: the two one-sided t tests of Schuirmann (1987, doi:10.1007/BF01068419) at 5 % each, which
is the 90 % interval of the mean paired difference within -margin to +margin.

    python benchmarks/equivalence.py --data data/cifar10-subset-png.tar
"""

import argparse
import json
import logging
import tempfile
from pathlib import Path

import numpy as np
import torch
from reporting import header, header_lines, markdown, write_json
from scipy import stats

from resnest_bench.data import open_prepared, prepare
from resnest_bench.device.allocator import keep_memory
from resnest_bench.device.environment import describe
from resnest_bench.paths import DataPaths, Job
from resnest_bench.specs import StudySpec, study_from_config
from resnest_bench.training.checkpoints import Checkpoint
from resnest_bench.training.context import Context
from resnest_bench.training.execution import Execution
from resnest_bench.training.initial import build_initial
from resnest_bench.training.jobs import make_batches
from resnest_bench.training.loop import train_model
from resnest_bench.training.optimizer import parameter_groups
from resnest_bench.training.reporting import Reporter
from resnest_bench.training.step import TrainStep, make_step

# Small enough for many seeds, with all that the fast path changes: radix 2 and maps of 1x1.
VARIANT = {
    "name": "small",
    "family": "resnest",
    "layers": [1, 1, 1, 1],
    "radix": 2,
    "width": 16,
    "stem": "deep",
    "stem_width": 16,
    "dropout": 0.2,
}
# With a warm-up and a small rate accuracies differ little between seeds, and few of them are needed.
RECIPE = {
    "batch_size": 128,
    "learning_rate": 0.01,
    "warmup_epochs": 1,
    "crop": "pad4",
    "flip": True,
}
CPU = torch.device("cpu")


def make_study(data: Path | None, folder: Path, epochs: int, seeds: int) -> StudySpec:
    images: dict[str, str | int] = {"source": "digits"}
    if data:
        images = {"source": "imagefolder", "path": str(data), "image_size": 32, "label": data.name}
    return study_from_config(
        {
            "study": "equivalence",
            "seeds": list(range(seeds)),
            "variants": [VARIANT],
            "datasets": {"images": images},
            "recipes": {"short": RECIPE | {"epochs": epochs}},
            "train": [{"dataset": "images", "recipe": "short"}],
            "data_dir": str(folder),
        },
        "equivalence",
    )


def plain_step(context: Context, job: Job, model: torch.nn.Module) -> TrainStep:
    """The network as it was built, and torch's SGD one parameter after the other."""
    recipe = context.study.recipe(job.recipe)
    optimizer = torch.optim.SGD(
        parameter_groups(model, recipe),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        foreach=False,
        fused=False,
    )
    return TrainStep(model, optimizer, recipe, context.device, Execution("contiguous", "eager"))


def fast_step(context: Context, job: Job, model: torch.nn.Module) -> TrainStep:
    recipe = context.study.recipe(job.recipe)
    return make_step(model, recipe, context.device, Execution("channels_last", "eager"))


STEPS = {"plain": plain_step, "fast": fast_step}


def accuracy(context: Context, job: Job, kind: str) -> float:
    """Test accuracy of one training, as a fraction."""
    num_classes = len(context.data.meta.classes)
    model, _ = build_initial(
        context.study, job, context.paths, num_classes, context.data.meta.image_size
    )
    batches = make_batches(context, context.study.recipe(job.recipe), job.seed, None)
    step = STEPS[kind](context, job, model)
    with tempfile.TemporaryDirectory() as folder:
        _, test = train_model(step, batches, job.seed, Checkpoint(Path(folder)), Reporter(kind))
    return test.accuracy


def equivalence(plain: np.ndarray, fast: np.ndarray, margin: float) -> dict[str, float | bool]:
    """Of paired accuracies (n,): mean difference, its 90 % interval, and TOST's p value."""
    differences = fast - plain
    n, mean = len(differences), float(differences.mean())
    error = float(differences.std(ddof=1)) / n**0.5
    half = float(stats.t.ppf(0.95, n - 1)) * error
    lower = float(stats.t.sf((mean + margin) / error, n - 1)) if error else 0.0
    upper = float(stats.t.cdf((mean - margin) / error, n - 1)) if error else 0.0
    return {
        "n": n,
        "mean": mean,
        "low": mean - half,
        "high": mean + half,
        "p": max(lower, upper),
        "equivalent": -margin < mean - half and mean + half < margin,
    }


def run(
    data: Path | None, epochs: int, seeds: int, progress: Path | None
) -> dict[str, list[float]]:
    """Accuracies of both paths by seed. With `progress`, those that are there are not run again."""
    seen: dict[str, list[float]] = {"plain": [], "fast": []}
    if progress and progress.exists():
        seen = json.loads(progress.read_text())
    with tempfile.TemporaryDirectory() as folder:
        study = make_study(data, Path(folder), epochs, seeds)
        prepared = study.prepared("images")
        prepare(study.dataset("images"), "images", prepared, DataPaths(Path(folder)).downloads)
        paths = study.paths(Path(folder) / "results")
        context = Context(study, paths, open_prepared(prepared), CPU, describe(CPU))
        for seed in range(len(seen["fast"]), seeds):
            job = Job("train", "images", "short", "small", seed)
            for kind in STEPS:
                seen[kind] = [*seen[kind][:seed], accuracy(context, job, kind)]
            if progress:
                progress.write_text(json.dumps(seen))
            logging.info("seed %d: %s", seed, {kind: values[-1] for kind, values in seen.items()})
    return seen


def report(told: dict, seen: dict[str, list[float]], margin: float) -> str:
    plain, fast = (np.array(seen[kind]) for kind in ("plain", "fast"))
    found = equivalence(plain, fast, margin)
    rows = [
        [kind, f"{100 * values.mean():.2f}", f"{100 * values.std(ddof=1):.2f}", str(len(values))]
        for kind, values in (("plain", plain), ("fast", fast))
    ]
    verdict = "equivalent" if found["equivalent"] else "not shown to be equivalent"
    return "\n".join(
        [
            *header_lines(told, f"{found['n']} seeds, each through both paths"),
            "",
            markdown(["path", "mean test accuracy (%)", "sd over seeds", "n"], rows),
            "",
            f"fast - plain: {100 * found['mean']:+.2f} points, 90 % interval "
            f"{100 * found['low']:+.2f} to {100 * found['high']:+.2f}; margin "
            f"{100 * margin:.1f} points, p = {found['p']:.2g}: {verdict}.",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="{train,test}/<class>/: a folder or an archive")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--margin", type=float, default=0.01, help="as a fraction")
    parser.add_argument("--progress", type=Path, help="file that a stopped run goes on from")
    parser.add_argument("--out", type=Path, help="also write the raw figures as JSON")
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    told = header(CPU, keep_memory())
    seen = run(asked.data, asked.epochs, asked.seeds, asked.progress)
    print(report(told, seen, asked.margin))
    write_json(asked.out, {**told, **seen})


if __name__ == "__main__":
    main()
