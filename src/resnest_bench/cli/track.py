"""A study's results in an experiment tracker: TensorBoard, Weights & Biases, MLflow or trackio.

Each training is a run with its curves, its configuration and its last figures. Each variant of an
experiment is one more run, with the mean over its seeds and the 95 % interval. Records are only read:
nothing that a tracker says comes back.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from resnest_bench.digests import json_digest
from resnest_bench.errors import UserError
from resnest_bench.paths import Job
from resnest_bench.records.metrics import METRICS
from resnest_bench.results import StudyResults

CURVES = (
    "learning_rate",
    "train_loss",
    "train_accuracy",
    "validation_accuracy",
    "test_accuracy",
    "test_loss",
    "images_per_second",
)
EXTRA = "pip install 'resnest-bench[track]', or the tracker's own package"


@dataclass(frozen=True)
class TrackedRun:
    """One run of a tracker.

    `steps` maps an epoch, from 1, to its figures; `summary` has the last ones. `identity` is the same
    for the same figures of the same job, so that a run is not logged twice.
    """

    name: str
    group: str
    config: Mapping[str, Any]
    summary: Mapping[str, float]
    steps: Mapping[int, Mapping[str, float]] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        values = [self.name, dict(self.config), dict(self.summary)]
        return json_digest(values)[:16]


def list_runs(results: StudyResults) -> list[TrackedRun]:
    """One run per finished training and fine-tuning, then one per variant and experiment."""
    return [*_list_trainings(results), *_list_means(results)]


def _list_trainings(results: StudyResults) -> Iterator[TrackedRun]:
    runs = results.runs
    usable = runs[runs["kind"].isin(["train", "finetune"]) & runs["status"].isin(["ok", "stale"])]
    keys = ["kind", "dataset", "recipe", "variant", "seed"]
    curves = dict(iter(results.epochs.groupby(keys, sort=False)))
    for row in usable.to_dict("records"):
        job = Job(**{key: row[key] for key in keys[:4]}, seed=int(row["seed"]))
        spec = results.spec.job_spec(job)
        config = {
            "study": results.spec.study,
            **{key: row[key] for key in keys},
            **_flatten({part: spec[part] for part in ("variant", "recipe")}),
            "device": row["device_name"],
            "torch": row["torch"],
            "git_commit": row["git_commit"],
            "status": row["status"],
        }
        rows = curves.get(tuple(row[key] for key in keys), results.epochs.iloc[:0])
        steps = {int(epoch["epoch"]): _known(epoch, CURVES) for epoch in rows.to_dict("records")}
        yield TrackedRun(
            name="/".join(
                [row["kind"], row["dataset"], row["recipe"], row["variant"], f"seed-{job.seed}"]
            ),
            group=f"{row['variant']} {row['recipe']} {row['dataset']}",
            config={key: value for key, value in config.items() if not _is_missing(value)},
            summary=_known(row, METRICS),
            steps=steps,
        )


def _list_means(results: StudyResults) -> Iterator[TrackedRun]:
    for trainings, differences in results.compare_all():
        experiment = trainings.experiment
        for row in differences.accuracies.to_dict("records"):
            config = {
                "study": results.spec.study,
                **experiment._asdict(),
                "variant": row["variant"],
            }
            # The study's headline metric.
            metric = "test_accuracy" if row["metric"] == "accuracy" else row["metric"]
            named = {
                f"{metric}_percent_mean": row["mean_percent"],
                f"{metric}_percent_low": row["seeds_low_percent"],
                f"{metric}_percent_high": row["seeds_high_percent"],
                f"{metric}_points_std": row["std_points"],
                "num_seeds": row["n"],
                "num_test_images": row["num_images"],
            }
            yield TrackedRun(
                name="/".join([*experiment, row["variant"], "all-seeds"]),
                group=f"{row['variant']} {experiment.recipe} {experiment.dataset}",
                config={**config, "interval": f"95 %, {row['about']}"},
                summary=_known(named, named),
            )


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def _known(row: Mapping[Any, Any], names: Any) -> dict[str, float]:
    return {name: float(row[name]) for name in names if name in row and not _is_missing(row[name])}


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{'recipe.optimizer.name': 'sgd', ...}; lists as text, which every tracker can show."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{name}.")
        else:
            flat[name] = str(value) if isinstance(value, list | tuple) else value
    return flat


def track_study(
    results: StudyResults, to: str, folder: Path | None = None, offline: bool = False
) -> int:
    """Log the runs of `list_runs` to the tracker `to`; return how many were logged.

    `folder` is where a tracker that writes files puts them. `offline` never asks a server. Raises
    UserError for an unknown tracker, for one that is not installed, and for a study without results.
    """
    if to not in TRACKERS:
        raise UserError(f"--to must be one of {', '.join(TRACKERS)}, but is {to!r}")
    runs = list_runs(results)
    if not runs:
        raise UserError(
            f"{results.paths.root} has no finished training to track: run its study first"
        )
    try:
        return TRACKERS[to](runs, results.spec.study, folder, offline)
    except ImportError as error:
        raise UserError(f"{to} is not installed ({error}): {EXTRA}") from error


def _to_tensorboard(
    runs: list[TrackedRun], project: str, folder: Path | None, offline: bool
) -> int:
    """A folder per run; one that holds the same figures is left as it is."""
    from torch.utils.tensorboard import SummaryWriter

    new = 0
    for run in runs:
        place = (folder or Path("runs")) / project / run.name
        marker = place / f"{run.identity}.logged"
        if marker.exists():
            continue
        for old in place.glob("events.out.tfevents.*"):
            old.unlink()
        for old in place.glob("*.logged"):
            old.unlink()
        with SummaryWriter(str(place)) as writer:
            for step, figures in run.steps.items():
                for name, value in figures.items():
                    writer.add_scalar(name, value, step)
            last = max(run.steps, default=0)
            for name, value in run.summary.items():
                writer.add_scalar(f"summary/{name}", value, last)
            rows = "\n".join(f"| {key} | {value} |" for key, value in run.config.items())
            writer.add_text("config", f"| key | value |\n|---|---|\n{rows}")
        marker.touch()
        new += 1
    return new


def _to_wandb(runs: list[TrackedRun], project: str, folder: Path | None, offline: bool) -> int:
    """Runs with an id of their own: logged again, a run resumes and stays one."""
    import wandb

    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    for run in runs:
        logged = wandb.init(
            project=project,
            id=run.identity,
            name=run.name,
            group=run.group[:128],
            config=dict(run.config),
            dir=folder,
            mode="offline" if offline else "online",
            resume="allow",
            reinit="finish_previous",
            settings=wandb.Settings(silent=True),
        )
        for step, figures in run.steps.items():
            logged.log(dict(figures), step=step)
        logged.summary.update(dict(run.summary))
        logged.finish()
    return len(runs)


def _to_mlflow(runs: list[TrackedRun], project: str, folder: Path | None, offline: bool) -> int:
    """Into a SQLite file of `folder`, or to the server that MLFLOW_TRACKING_URI names."""
    import mlflow

    if folder is not None or offline:
        place = (folder or Path("mlruns")).absolute()
        place.mkdir(parents=True, exist_ok=True)
        mlflow.set_tracking_uri(f"sqlite:///{place / 'mlflow.db'}")
    experiment = mlflow.set_experiment(project)
    known = mlflow.search_runs([experiment.experiment_id], output_format="list")
    logged = {run.data.tags.get("resnest_bench.identity") for run in known}
    new = 0
    for run in runs:
        if run.identity in logged:
            continue
        tags = {"resnest_bench.identity": run.identity, "group": run.group}
        with mlflow.start_run(run_name=run.name, tags=tags):
            mlflow.log_params({_mlflow_name(key): value for key, value in run.config.items()})
            for step, figures in run.steps.items():
                mlflow.log_metrics(dict(figures), step=step)
            mlflow.log_metrics({f"summary.{key}": value for key, value in run.summary.items()})
        new += 1
    return new


def _mlflow_name(key: str) -> str:
    return re.sub(r"[^\w\-./ ]", "_", key)


def _to_trackio(runs: list[TrackedRun], project: str, folder: Path | None, offline: bool) -> int:
    """Into trackio's local database (TRACKIO_DIR); its own dashboard shows it."""
    import trackio

    for run in runs:
        trackio.init(
            project=project,
            name=f"{run.name}-{run.identity[:6]}",
            group=run.group,
            config=dict(run.config),
            resume="allow",
        )
        for step, figures in run.steps.items():
            trackio.log(dict(figures), step=step)
        trackio.log({f"summary/{key}": value for key, value in run.summary.items()})
        trackio.finish()
    return len(runs)


Tracker = Callable[[list[TrackedRun], str, Path | None, bool], int]
TRACKERS: dict[str, Tracker] = {
    "tensorboard": _to_tensorboard,
    "wandb": _to_wandb,
    "mlflow": _to_mlflow,
    "trackio": _to_trackio,
}
