"""The shipped networks are those of commit ab49d0e, which the shipped records were made with."""

import hashlib
import json
from pathlib import Path

import pytest
import torch

from resnest_bench.models import build_model
from resnest_bench.specs.load import load_study

ROOT = Path(__file__).parents[3]
NETWORKS = json.loads((Path(__file__).parent / "networks_of_ab49d0e.json").read_text())
WITH_OUTPUT = [name for name, network in NETWORKS.items() if "logits" in network]


@pytest.fixture(scope="module")
def study():
    return load_study(ROOT / "config/config.yaml")


@pytest.mark.parametrize("name", NETWORKS)
def test_names_and_shapes_of_tensors(study, name):
    with torch.device("meta"):
        state = build_model(study.variant(name), 10).state_dict()
    shapes = json.dumps({key: list(tensor.shape) for key, tensor in state.items()})
    assert hashlib.sha256(shapes.encode()).hexdigest() == NETWORKS[name]["names_and_shapes"]


@pytest.mark.parametrize("name", WITH_OUTPUT)
def test_output_of_the_network_of_seed_0(study, name):
    torch.manual_seed(0)
    model = build_model(study.variant(name), 10, dropout=0.2).eval()
    torch.manual_seed(1)
    with torch.no_grad():
        logits = model(torch.randn(2, 3, 32, 32)).flatten()
    torch.testing.assert_close(logits, torch.tensor(NETWORKS[name]["logits"]), rtol=1e-3, atol=1e-5)
