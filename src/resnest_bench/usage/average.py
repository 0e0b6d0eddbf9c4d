"""The average of the weights of several seeds, with batch-norm statistics of its own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import update_bn

from resnest_bench.data.batches import BatchLoader
from resnest_bench.data.prepared import PreparedDataset
from resnest_bench.errors import UserError
from resnest_bench.measure.evaluation import Evaluation
from resnest_bench.training.jobs import EVALUATION_BATCH_SIZE, evaluation_batch
from resnest_bench.usage.trained import TrainedNetwork


@dataclass(frozen=True, eq=False)
class Average:
    """The network with the averaged weights, and its evaluation on the test images of the training."""

    network: TrainedNetwork
    seeds: tuple[int, ...]
    test: Evaluation
    shares_start: bool


def average_networks(
    networks: Sequence[TrainedNetwork], data: PreparedDataset, device: torch.device
) -> Average:
    """Average the weights of several seeds, recompute batch norms on the training images, and evaluate.

    As stochastic weight averaging does at its end (Izmailov et al., arXiv:1803.05407, section 3.2). For seeds
    from different random weights the average usually classifies badly, which is why it is evaluated. Raises
    UserError for fewer than two seeds.
    """
    if len(networks) < 2:
        raise UserError(
            f"--fold-seeds mean averages two seeds or more, but got {len(networks)}: train more, or leave it out"
        )
    first = networks[0]
    first.model.load_state_dict(
        _average_states([network.model.state_dict() for network in networks])
    )
    preprocessing = first.preprocessing
    stats = preprocessing.mean, preprocessing.std
    # Large batches, since each counts alike in the statistics of a batch norm.
    batch = evaluation_batch(EVALUATION_BATCH_SIZE, preprocessing.crop)
    training = BatchLoader(data.train, data.meta, None, device, stats)
    testing = BatchLoader(data.test, data.meta, None, device, stats)

    def images() -> Iterator[Tensor]:
        # In any fixed order but that of the files, which is by class.
        order = np.random.default_rng(0).permutation(len(data.train))
        for images_BCHW, _ in training.iterate_eval(batch, order):
            yield images_BCHW

    with torch.no_grad():
        update_bn(images(), first.model)
    with first.in_precision() as evaluator:
        test = evaluator(testing.iterate_eval(batch))
    return Average(first, tuple(n.job.seed for n in networks), test, _shares_start(first))


def _average_states(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Means of weights in float64; counters are those of the first."""
    averaged = {}
    for name, tensor in states[0].items():
        if tensor.is_floating_point():
            mean = torch.stack([state[name].double() for state in states]).mean(dim=0)
            averaged[name] = mean.to(tensor.dtype)
        else:
            averaged[name] = tensor
    return averaged


def _shares_start(network: TrainedNetwork) -> bool:
    """Whether all seeds started from the same weights, apart from a new head."""
    weights = network.record.train.initial_weights if network.record.train else None
    if weights is not None:
        # Each seed of a fine-tuning starts from the same seed of a training.
        return not weights.source.startswith("train ")
    return "init" not in network.recipe.vary
