"""Jobs, and the paths of their files (floor 0).

All file names of a study are defined here. They are derived from a `Job`; a `Job` is never parsed from a
file name (`records.read` compares the two instead).
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

KINDS = ("train", "latency", "finetune", "deploy")
# Those that train a network.
TRAINING_KINDS = ("train", "finetune")

# A name becomes a folder, a Snakemake wildcard and a URL parameter.
NAME_PATTERN = r"^[A-Za-z0-9](?:[A-Za-z0-9_+-]|\.(?!\.))*$"
NAME_RULE = (
    "a name is made of letters, digits, '_', '-', '+' and single dots, "
    "and starts with a letter or a digit"
)


def check_name(name: str) -> str:
    """Return `name` if it is safe as a folder name. Raises ValueError with the rule otherwise."""
    if not re.fullmatch(NAME_PATTERN, name) or len(name) > 100 or name.endswith((".", "\n")):
        raise ValueError(f"{NAME_RULE} (at most 100 characters), but this one is {name!r}")
    return name


class Experiment(NamedTuple):
    """All jobs of one kind on one dataset with one recipe; for latencies, with one protocol."""

    kind: str
    dataset: str
    recipe: str


def name_deployment(recipe: str, mode: str) -> str:
    """Return the `recipe` of a deployment's job: 'quick+onnxruntime-int8'."""
    return f"{recipe}+{mode}"


def split_deployment(name: str) -> tuple[str, str]:
    """Return recipe and mode of a `name_deployment`. A mode has no '+'."""
    recipe, _, mode = name.rpartition("+")
    return recipe, mode


@dataclass(frozen=True, order=True)
class Job:
    """The identity of a record. Raises ValueError for an unknown kind or an unsafe name.

    `recipe` is the training recipe, or the protocol of a latency measurement; of a deployment it is
    `name_deployment` of the recipe and the mode. `seed` is the random seed, or the round of a latency
    measurement.
    """

    kind: str
    dataset: str
    recipe: str
    variant: str
    seed: int

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(
                f"a job's kind must be one of {', '.join(KINDS)}, but is {self.kind!r}"
            )
        for name in (self.dataset, self.recipe, self.variant):
            check_name(name)

    @property
    def experiment(self) -> Experiment:
        return Experiment(self.kind, self.dataset, self.recipe)

    def __str__(self) -> str:
        return f"{self.kind} {self.variant} on {self.dataset} ({self.recipe}, seed {self.seed})"


def predictions_file(record: Path) -> Path:
    """The file of the predictions next to a record: another ending, the same name."""
    return record.with_suffix(".npz")


def image_names_file(prepared: Path) -> Path:
    """The names of the test images' files, in their order, next to the arrays that were made of them."""
    return prepared / "test_names.json"


@dataclass(frozen=True)
class StudyPaths:
    """The files of one study under `root`, which is `results/<study>`."""

    root: Path

    @property
    def study(self) -> Path:
        return self.root / "study.json"

    @property
    def is_reference(self) -> bool:
        """Whether this is a shipped run, results/reference/<device>/<study>, made by older code."""
        return self.root.absolute().parent.parent.name == "reference"

    @property
    def records(self) -> Path:
        return self.root / "records"

    @property
    def tables(self) -> Path:
        return self.root / "tables"

    @property
    def figures(self) -> Path:
        return self.root / "figures"

    @property
    def frames(self) -> Path:
        """Cached data frames of the records; safe to delete."""
        return self.root / "frames"

    @property
    def looks(self) -> Path:
        return self.root / "adaptive"

    def look(self, number: int) -> Path:
        """The decision of look `number` (an interim analysis) of an adaptive study, counted from 0."""
        return self.looks / f"look-{number}.json"

    @property
    def search_rounds(self) -> Path:
        return self.root / "search"

    def search_round(self, number: int) -> Path:
        """What round `number` of the study's search asks for, counted from 0."""
        return self.search_rounds / f"round-{number}.json"

    def record_name(self, job: Job) -> str:
        """A record's path relative to `root`, with '/' on every system."""
        return f"records/{job.kind}/{job.dataset}/{job.recipe}/{job.variant}/seed-{job.seed}.json"

    def record(self, job: Job) -> Path:
        return self.root / self.record_name(job)

    def predictions(self, job: Job) -> Path:
        """What a trained network says of each test image."""
        return predictions_file(self.record(job))

    @property
    def progress_root(self) -> Path:
        return self.root / "progress"

    def progress(self, job: Job) -> Path:
        """The progress file of an unfinished training."""
        name = f"seed-{job.seed}.json"
        return self.progress_root / job.kind / job.dataset / job.recipe / job.variant / name

    @property
    def prices(self) -> Path:
        """The expected durations of the last run's jobs."""
        return self.root / "prices.json"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def log(self, job: Job, added: bool = False) -> Path:
        """The log of the workflow's job. All seeds of a training share one.

        `added`: whether a look added the seed, since such a seed has its own workflow job and log.
        """
        own = f"-seed-{job.seed}" if added else ""
        ending = f"-{job.seed}" if job.kind == "latency" else own
        return self.logs / job.kind / job.dataset / job.recipe / f"{job.variant}{ending}.log"

    def data_log(self, prepared: Path) -> Path:
        """The log of preparing the arrays in the folder `prepared`, a `DataPaths.prepared`."""
        return self.logs / "data" / f"{prepared.name}.log"

    def weights_log(self, hub: str) -> Path:
        return self.logs / "weights" / f"{hub}.log"

    def weights(self, job: Job) -> Path:
        """Final weights of a training or fine-tuning."""
        # Both can have one recipe on one dataset.
        kind = "finetune-" if job.kind == "finetune" else ""
        name = f"{kind}seed-{job.seed}.safetensors"
        return self.root / "weights" / job.dataset / job.recipe / job.variant / name

    def checkpoint(self, spec_digest: str, seed: int) -> Path:
        """Checkpoint of a training. The spec's digest is the key, so another spec can't resume from it."""
        return self.root / "checkpoints" / spec_digest[:16] / f"seed-{seed}"


@dataclass(frozen=True)
class DataPaths:
    """Downloaded archives and prepared arrays under `root`, shared by all studies."""

    root: Path

    @property
    def downloads(self) -> Path:
        return self.root / "downloads"

    def hub_weights(self, name: str) -> Path:
        """Downloaded pretrained weights."""
        return self.root / "weights" / f"{name}.safetensors"

    def prepared(self, name: str, spec_digest: str) -> Path:
        return self.root / "prepared" / f"{name}-{spec_digest[:12]}"
