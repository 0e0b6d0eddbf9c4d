"""The average of weights: itself for equal weights, and batch norms from the training images."""

import numpy as np
import pytest
import torch

from resnest_bench.data import open_prepared
from resnest_bench.data.batches import BatchLoader
from resnest_bench.errors import UserError
from resnest_bench.usage.average import average_networks

CPU = torch.device("cpu")


def test_weights_are_averaged_and_norms_recomputed(load, study):
    data = open_prepared(study.prepared("pets"))
    networks = load("A", "all")
    states = [{k: v.clone() for k, v in one.model.state_dict().items()} for one in networks]
    average = average_networks(networks, data, CPU)
    found = average.network.model.state_dict()
    mean = torch.stack([state["fc.weight"] for state in states]).mean(dim=0)
    assert torch.allclose(found["fc.weight"], mean, atol=1e-6)
    # The first norm's mean is that of the first convolution's outputs over all training images.
    convolution = next(m for m in average.network.model.modules() if isinstance(m, torch.nn.Conv2d))
    norm = next(m for m in average.network.model.modules() if isinstance(m, torch.nn.BatchNorm2d))
    loader = BatchLoader(data.train, data.meta, None, CPU)
    images, _ = loader.eval_batch(np.arange(len(data.train)))
    expected = convolution(images).mean(dim=(0, 2, 3))
    assert torch.allclose(norm.running_mean, expected, atol=1e-4)
    assert average.seeds == (0, 1, 2)
    assert len(average.test.correct) == 40
    assert not average.shares_start


def test_one_seed_has_no_average(load, study):
    with pytest.raises(UserError, match="two seeds or more"):
        average_networks([load()], open_prepared(study.prepared("pets")), CPU)
