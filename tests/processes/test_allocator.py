"""In a process of its own: the setting lasts as long as the process."""

import subprocess
import sys

import pytest

CODE = """
import resource, sys
import torch
from resnest_bench.device.allocator import keep_memory
kept = keep_memory() if sys.argv[1] == "keep" else None
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(12):
    torch.ones(2**24)
before = faults()
for _ in range(20):
    torch.ones(2**24)
print(kept, faults() - before)
"""


def page_faults(how):
    done = subprocess.run(
        [sys.executable, "-c", CODE, how], capture_output=True, text=True, check=True
    )
    kept, faults = done.stdout.split()
    return kept, int(faults)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_kept_memory_is_not_asked_for_again():
    """Twenty tensors of 64 MiB: without it the system clears their pages each time."""
    kept, few = page_faults("keep")
    if kept == "False":
        pytest.skip("this libc has no mallopt")
    _, many = page_faults("default")
    assert few < 100
    assert many > 20 * few + 20_000


RELEASE = """
import gc
import torch
from resnest_bench.device.allocator import keep_memory, release_memory
kept = keep_memory()
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20
start = resident()
pieces = [torch.ones(2**22) for _ in range(20)]
del pieces
before = resident() - start
release_memory()
print(kept, round(before), round(resident() - start))
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_released_memory_goes_back_to_the_system():
    """Twenty tensors of 16 MiB stay with the process until they are given back."""
    done = subprocess.run(
        [sys.executable, "-c", RELEASE], capture_output=True, text=True, check=True
    )
    kept, before, after = done.stdout.split()
    if kept == "False":
        pytest.skip("this libc has no mallopt")
    assert int(before) > 300
    assert int(after) < 50
