"""Errors that say that memory ran out, and those that don't; evaluation in halves."""

import pytest
import torch
from torch import nn

from resnest_bench.device import memory
from resnest_bench.errors import UserError
from resnest_bench.measure.evaluation import Evaluator
from support.shortage import Shortage

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        torch.cuda.OutOfMemoryError("x"),
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory"
        ),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 4 bytes."),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("CUDA error: out of memory"),
    ],
)
def test_memory_that_ran_out_is_told(error):
    assert memory.is_out_of_memory(error)


def test_torchs_own_allocator_says_it_as_expected():
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert memory.is_out_of_memory(caught.value)


@pytest.mark.parametrize(
    "error",
    [None, RuntimeError("shape '[2]' is invalid"), ValueError("out of memory"), KeyError(1)],
)
def test_other_errors_are_others(error):
    assert not memory.is_out_of_memory(error)


def chained(outer, cause=None, context=None):
    outer.__cause__, outer.__context__ = cause, context
    return outer


def test_an_error_on_the_way_out_of_a_recording_hides_nothing():
    """A capture that ran out of memory ends with an error of its own."""
    first = torch.OutOfMemoryError("x")
    assert memory.is_out_of_memory(chained(RuntimeError("capture invalidated"), context=first))
    assert memory.is_out_of_memory(chained(ValueError("compiler"), cause=first))


def test_what_was_explained_to_the_user_is_not_explained_again():
    assert not memory.is_out_of_memory(chained(UserError("no room"), cause=MemoryError()))


@pytest.mark.parametrize(("limit", "expected"), [("1024\n", 1024), ("max\n", None), (None, None)])
def test_a_containers_limit_counts(tmp_path, monkeypatch, limit, expected):
    file = tmp_path / "memory.max"
    if limit is not None:
        file.write_text(limit)
    monkeypatch.setattr(memory, "CGROUP_LIMIT", file)
    total = memory.psutil.virtual_memory().total
    assert memory.memory_bytes(CPU) == (expected or total)
    assert memory.gib(3 * 2**29) == "1.5 GiB"


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 5))


def make_batches(*sizes):
    torch.manual_seed(1)
    return [(torch.randn(n, 3, 8, 8), torch.randint(5, (n,))) for n in sizes]


@pytest.mark.parametrize(("limit", "at_once"), [(7, 5), (2, 2), (1, 1)])
def test_an_evaluation_in_halves_is_the_same(limit, at_once):
    batches = make_batches(10, 10, 3)
    whole = Evaluator(network())(batches)
    model = network()
    shortage, halving = Shortage(limit, model), Evaluator(model)
    for _ in range(2):
        seen = halving(batches)
        assert seen.correct.tolist() == whole.correct.tolist()
        assert seen.loss == pytest.approx(whole.loss, rel=1e-6)
    assert halving.at_once == at_once
    # What fits is remembered: the second evaluation fails nowhere.
    assert max(shortage.sizes[-sum(-(-n // at_once) for n in (10, 10, 3)) :]) <= at_once


def test_an_image_that_does_not_fit_alone_is_an_error():
    model = network()
    Shortage(0, model)
    with pytest.raises(torch.OutOfMemoryError):
        Evaluator(model)(make_batches(4))


def test_recordings_are_given_up_before_images_are():
    """Each keeps its memory: without them the whole batch may fit."""
    captured = []

    def capture(body):
        captured.append(body)
        raise torch.OutOfMemoryError("while capturing")

    batches = make_batches(6, 2)
    seen = (evaluator := Evaluator(network(), capture=capture))(batches)
    assert (len(captured), evaluator.capture, evaluator.at_once) == (1, None, None)
    assert seen.correct.tolist() == Evaluator(network())(batches).correct.tolist()
