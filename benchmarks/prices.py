"""What `plan` says that a study costs, against what it then takes.

Small studies, each in a folder of its own: `plan`, then the whole workflow on one core. The estimate is
for a quiet machine, so that the workflow's processor time is what it is compared with, and the wall
clock beside it says what other programs did to it. The lowest and the highest ratio belong into
`SEEN_ERRORS` of `resnest_bench.planning.texts` and into docs/performance.md.

    python benchmarks/prices.py --photos hotdog-jpeg.tar
    python benchmarks/prices.py --only digits,latencies --runs 3
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from reporting import header, header_lines, markdown, write_json

from resnest_bench.planning.datasets import find_part_and_class
from resnest_bench.prices import read_prices

NETWORKS: list[dict[str, Any]] = [
    {
        "name": "ResNeSt-5",
        "family": "resnest",
        "layers": [1],
        "radix": 2,
        "width": 16,
        "stem": "small",
    },
    {"name": "ResNet-tiny", "family": "timm", "model": "test_resnet", "stem": "native"},
]
TINY = NETWORKS[1:]
PROTOCOL = {
    "batch_sizes": [1, 8],
    "min_seconds": 1.0,
    "max_seconds": 10.0,
    "paper_batch_size": 32,
    "paper_batches": 3,
}
SHORT = {"epochs": 3, "batch_size": 32, "learning_rate": 0.05}
TUNE = {
    "epochs": 2,
    "batch_size": 16,
    "learning_rate": 0.01,
    "crop": "random_resized",
    "flip": True,
    "init": "pretrained",
}
DIGITS = {"digits": {"source": "digits", "classes": [0, 1, 2]}}
PHOTOS_PER_CLASS = {"train": 40, "test": 10}


def make_configs(photos: Path | None) -> dict[str, dict[str, Any]]:
    """The studies by name; those of photos only where there are some."""
    train = [{"dataset": "digits", "recipe": "short"}]
    quick = [{"dataset": "digits", "protocol": "quick", "rounds": 2}]
    weights = {"ResNet-tiny": {"train": "digits/short"}}
    recipes = {"short": SHORT, "tune": TUNE, "head": {**TUNE, "trainable": "head"}}
    shared = {"variants": TINY, "recipes": recipes, "train": train}
    configs: dict[str, dict[str, Any]] = {
        "digits": {**shared, "variants": NETWORKS, "datasets": DIGITS},
        "latencies": {
            "variants": NETWORKS,
            "datasets": DIGITS,
            "protocols": {"quick": PROTOCOL},
            "latency": quick,
        },
        "all kinds": {
            **shared,
            "datasets": DIGITS,
            "protocols": {"quick": PROTOCOL},
            "latency": quick,
            "finetune": [{"dataset": "digits", "recipes": ["tune", "head"], "weights": weights}],
        },
    }
    for side in (64, 224) if photos else ():
        data = {"source": "imagefolder", "path": str(photos), "image_size": side}
        configs[f"photos at {side}"] = {
            **shared,
            "seeds": [0],
            "datasets": {**DIGITS, "photos": data},
            "finetune": [{"dataset": "photos", "recipes": ["tune", "head"], "weights": weights}],
        }
    return configs


def take_photos(archive: Path, folder: Path) -> Path:
    """A folder of the first photos of each class of a tar: whole data sets take too long."""
    counts: Counter[tuple[str, str]] = Counter()
    with tarfile.open(archive) as tar:
        for member in tar:
            place = find_part_and_class(member.name)
            if place is None or counts[place] == PHOTOS_PER_CLASS[place[0]]:
                continue
            counts[place] += 1
            target = folder.joinpath(*place) / Path(member.name).name
            target.parent.mkdir(parents=True, exist_ok=True)
            source = tar.extractfile(member)
            assert source is not None
            target.write_bytes(source.read())
    return folder


@dataclass(frozen=True)
class Outcome:
    """Seconds: what was expected of a quiet machine, and what the run took of each clock."""

    estimate: float
    processor: float
    wall: float
    load: float

    @property
    def ratio(self) -> float:
        return self.processor / self.estimate


def timed(command: list[str], folder: Path) -> tuple[float, float, str]:
    """(processor seconds of all its processes, wall seconds, output). Raises RuntimeError."""
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environ)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent, wall, done.stdout


def compare(config: dict[str, Any]) -> Outcome:
    """`plan`, then the run, less what the plan that the run itself makes has taken."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        study = {"study": "priced", "seeds": [0, 1], "data_dir": str(folder / "data"), **config}
        (folder / "config.json").write_text(json.dumps(study))
        command = [
            "resnest-bench",
            "plan",
            "--study",
            "config.json",
            "--save-prices",
            "--device",
            "cpu",
        ]
        planned, planned_wall, _ = timed(command, folder)
        prices = read_prices(folder / "results/priced/prices.json")
        assert prices is not None, "it was asked to save them"
        estimate = prices.total_seconds
        # With one core, as `resnest-bench run` has it.
        processor, wall, _ = timed(["resnest-bench", "run", "--study", "config.json"], folder)
        return Outcome(estimate, processor - planned, wall - planned_wall, os.getloadavg()[0])


def report(told: dict, seen: dict[str, list[Outcome]]) -> str:
    rows = [
        [
            name,
            f"{o.estimate:.0f}",
            f"{o.processor:.0f}",
            f"{o.ratio:.2f}",
            f"{o.wall:.0f}",
            f"{o.load:.0f}",
        ]
        for name, outcomes in seen.items()
        for o in outcomes
    ]
    ratios = [o.ratio for outcomes in seen.values() for o in outcomes]
    heads = [
        "study",
        "estimate, s",
        "processor time of the run, s",
        "ratio",
        "wall clock, s",
        "load",
    ]
    return "\n".join(
        [
            *header_lines(told, f"{len(ratios)} runs"),
            "",
            markdown(heads, rows),
            "",
            f"The runs took {min(ratios):.2f} to {max(ratios):.2f} times the estimate.",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, help="a tar of train/ and test/")
    parser.add_argument("--only", help="names of studies, with commas between them")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--out", type=Path, help="also write the raw figures as JSON")
    asked = parser.parse_args()
    told = header(torch.device("cpu"))
    seen: dict[str, list[Outcome]] = {}
    with tempfile.TemporaryDirectory() as folder:
        photos = take_photos(asked.photos, Path(folder)) if asked.photos else None
        configs = make_configs(photos)
        names = asked.only.split(",") if asked.only else list(configs)
        if unknown := set(names) - set(configs):
            sys.exit(f"prices.py: error: no such study: {', '.join(sorted(unknown))}")
        for name in names * asked.runs:
            try:
                seen.setdefault(name, []).append(compare(configs[name]))
            except (OSError, RuntimeError) as error:
                sys.exit(f"prices.py: error: {name}: {error}")
            print(f"{name}: {seen[name][-1]}", file=sys.stderr, flush=True)
    print(report(told, seen))
    write_json(
        asked.out, {**told, "seconds": {n: [vars(o) for o in os_] for n, os_ in seen.items()}}
    )


if __name__ == "__main__":
    main()
