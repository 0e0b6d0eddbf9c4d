"""The logic around CUDA graphs, with plain calls in their place; the real ones where there is a GPU."""

import pytest
import torch
from torch import nn

from resnest_bench.device.graphs import OwnRandomness, capture_cuda_graph, unchanged
from resnest_bench.measure.evaluation import Evaluator

CPU = torch.device("cpu")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")


class Captures:
    """Stands for `capture_cuda_graph`: counts, calls the body as its warm-up, and replays by calls."""

    def __init__(self):
        self.count = 0

    def __call__(self, body):
        self.count += 1
        body()
        return body


def make_batches(sizes, seed):
    torch.manual_seed(seed)
    return [(torch.randn(n, 3, 8, 8), torch.randint(5, (n,))) for n in sizes]


def test_what_was_changed_is_put_back_in_place():
    x, y = torch.zeros(3), torch.ones(2)
    with unchanged([x, y]):
        x += 1
        y *= 7
    assert (x.tolist(), y.tolist()) == ([0, 0, 0], [1, 1])


def test_it_is_put_back_after_an_error_too():
    x = torch.zeros(3)

    def fails():
        with unchanged([x]):
            x.add_(1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert x.tolist() == [0, 0, 0]


def test_own_randomness_decides_what_dropout_draws_on_a_cpu():
    own = OwnRandomness(CPU)
    seen = []
    for seed in (1, 1, 2):
        own.seed(seed)
        seen.append(nn.functional.dropout(torch.ones(100)))
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])


def test_a_recorded_evaluation_gives_what_a_plain_one_gives():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 5))
    captures = Captures()
    recorded, plain = Evaluator(model, capture=captures), Evaluator(model)
    for round_ in range(3):
        batches = make_batches([6, 6, 2], round_)
        ours, theirs = recorded(batches), plain(batches)
        assert ours.correct.tolist() == theirs.correct.tolist()
        assert ours.loss == theirs.loss
        # Weights change between evaluations, and a recording must see it.
        nn.init.normal_(model[3].weight)
    assert captures.count == 2, "one for each size of a batch"


@needs_gpu
def test_a_graph_replays_with_new_inputs():
    x = torch.zeros(4, device="cuda")
    replay = capture_cuda_graph(lambda: x * 2)
    x.fill_(3)
    assert replay().tolist() == [6, 6, 6, 6]


@needs_gpu
def test_two_graphs_draw_each_from_its_own_state():
    device = torch.device("cuda", torch.cuda.current_device())
    ones = torch.ones(1000, device=device)
    seen = {}
    for name in "ab":
        own = OwnRandomness(device)
        own.seed(0)
        seen[name] = own, capture_cuda_graph(lambda: nn.functional.dropout(ones))
    expected = {}
    for seed in (5, 6):
        own, replay = seen["a"]
        own.seed(seed)
        expected[seed] = replay().clone()
    streams = [torch.cuda.Stream(), torch.cuda.Stream()]
    for _ in range(20):
        for (own, replay), stream, seed in zip(seen.values(), streams, (5, 6), strict=True):
            with torch.cuda.stream(stream):
                own.seed(seed)
                out = replay()
            if seed == 5:
                first = out
        torch.cuda.synchronize()
        assert torch.equal(first, expected[5])
        assert torch.equal(out, expected[6])
