"""Files of results as people have them: `from support.imported_study import import_text`."""

from pathlib import Path
from typing import Any

import numpy as np

from resnest_bench.imports.columns import Choices
from resnest_bench.imports.reading import read_files
from resnest_bench.imports.writing import new_target, plan_study, write_imports
from resnest_bench.paths import StudyPaths
from resnest_bench.specs import StudySpec

ACCURACIES = """model,seed,test_acc
A,0,93.1
A,1,93.4
A,2,92.9
B,0,94.2
B,1,94.0
B,2,94.4
C,0,91.0
"""
ONE_EACH = """model,top1,top1_err,top5,param_count,img_size
A.in1k,80.1,19.9,95.2,25.56,224
B.in1k,81.2,18.8,95.5,27.48,224
"""
LATENCIES = """model,round,batch_size,latency_ms
A,0,1,4.1
A,0,1,4.2
A,1,1,4.0
A,1,1,4.3
B,0,1,5.3
B,1,1,5.2
"""
BOTH = """model,seed,test_acc,macro_f1,params,p50_ms,batch_size
A,0,0.931,0.93,11000000,4.1,8
A,1,0.934,0.93,11000000,4.2,8
A,2,0.929,0.92,11000000,4.15,8
B,0,0.942,0.94,25000000,5.3,8
B,1,0.940,0.94,25000000,5.2,8
B,2,0.944,0.94,25000000,5.4,8
"""


# Two networks by two recipes on two data sets.
GRID = "model,dataset,recipe,seed,acc\n" + "".join(
    f"{name},{data},{recipe},{seed},{70 + 5 * (name == 'B') + 3 * (recipe == 'mixup') + 0.1 * seed}\n"
    for data in ("CIFAR-10", "SVHN")
    for recipe in ("plain", "mixup")
    for name in "AB"
    for seed in range(3)
)


def predictions_text(num_seeds: int = 3, num_images: int = 60) -> str:
    """A table of predictions of two networks: A is right on about 60 %, B on about 80 %."""
    draw = np.random.default_rng(1)
    labels = draw.integers(0, 3, num_images)
    lines = ["image,label,predicted,probability,model,seed"]
    for name, accuracy in (("A", 0.6), ("B", 0.8)):
        for seed in range(num_seeds):
            right = draw.random(num_images) < accuracy
            predicted = np.where(right, labels, (labels + 1) % 3)
            for i in range(num_images):
                animal, guess = (
                    ("cat", "cow", "dog")[labels[i]],
                    ("cat", "cow", "dog")[predicted[i]],
                )
                lines.append(f"{i}.png,{animal},{guess},{0.5 + 0.4 * right[i]:.2f},{name},{seed}")
    return "\n".join(lines) + "\n"


# Every half-way form of an import: name to the texts of its files, and what the user says.
FORMS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "accuracy": ([ACCURACIES], {"dataset": "CIFAR-10"}),
    "one-each": ([ONE_EACH], {}),
    "one-each-counted": ([ONE_EACH], {"num_test": 50_000}),
    "latency": ([LATENCIES], {}),
    "accuracy-and-latency": ([BOTH], {"dataset": "CIFAR-10", "device": "a laptop"}),
    "recipes-and-datasets": ([GRID], {}),
    "predictions": ([predictions_text()], {}),
    "one-prediction": ([predictions_text(num_seeds=1)], {}),
    "predictions-and-latency": ([predictions_text(), LATENCIES], {}),
}


def import_text(
    folder: Path, results: Path, name: str, texts: list[str], **choices: Any
) -> tuple[StudySpec, StudyPaths]:
    """Import files with these texts; `folder` must be the working directory, which gets the config."""
    files = [folder / f"{name}-{number}.csv" for number in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
    found = read_files(files, Choices(**choices))
    target = new_target(name, results)
    spec = plan_study(target, found)
    write_imports(target, spec, found)
    return spec, target.paths
