"""A job computes with the threads that it began with."""

import pytest
import torch

from resnest_bench.device.threads import count_threads, keep_threads

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("began_with", "device", "number"), [(1, CPU, 1), (3, CPU, 3), (None, CPU, 2), (1, GPU, 2)]
)
def test_only_what_a_cpu_began_with_is_kept(threads, began_with, device, number):
    keep_threads(began_with, device)
    assert torch.get_num_threads() == number


def test_a_gpu_has_no_threads(threads):
    assert count_threads(CPU) == 2
    assert count_threads(GPU) is None
