"""The end of a training: its observations, and a warning if the accuracy is at chance level."""

import logging
from pathlib import Path

import numpy as np
from torch import nn

from resnest_bench import records
from resnest_bench.chance import describe_chance
from resnest_bench.measure.complexity import count_params
from resnest_bench.measure.evaluation import Evaluation
from resnest_bench.records import Record
from resnest_bench.records.observations import (
    ExecutionObservation,
    PredictionsObservation,
    TrainObservations,
    WeightsObservation,
)
from resnest_bench.records.predictions import write_predictions
from resnest_bench.training.checkpoints import Progress

log = logging.getLogger(__name__)


def observe_training(
    model: nn.Module,
    progress: Progress,
    test: Evaluation,
    num_classes: int,
    initial: WeightsObservation | None,
    weights_sha256: str | None,
    execution: ExecutionObservation,
    predictions: PredictionsObservation | None = None,
) -> TrainObservations:
    """Return the observations of a finished training, whose final model has the evaluation `test`."""
    counts = np.bincount(test.predictions, minlength=num_classes)
    return TrainObservations(
        num_params=count_params(model),
        num_trainable_params=sum(p.numel() for p in model.parameters() if p.requires_grad),
        epochs=progress.epochs,
        num_test=len(test.correct),
        test_correct=records.pack_bits(test.correct),
        test_predictions_per_class=counts.tolist(),
        predictions=predictions,
        wall_seconds=progress.wall_seconds,
        num_resumes=progress.num_resumes,
        initial_weights=initial,
        final_weights_sha256=weights_sha256,
        execution=execution,
    )


def keep_predictions(path: Path, test: Evaluation) -> PredictionsObservation:
    """Write the final model's predictions for the test images; return the record's entry for the file."""
    assert test.labels is not None, "the last evaluation keeps probabilities"
    assert test.log_probabilities is not None
    return write_predictions(path, test.labels, test.predictions, test.log_probabilities)


def warn_of_chance(record: Record) -> None:
    """Log a warning if the accuracy is not better than chance."""
    remark = describe_chance(record)
    if remark:
        log.warning("%s: %s", record.job.job, remark)
