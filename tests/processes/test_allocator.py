"""In a process of its own: the setting lasts as long as the process."""

import subprocess
import sys

import pytest

from resnest_bench.device.allocator import KEPT, KEPT_HUGE

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
print(bool(kept), faults() - before)
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
print(bool(kept), round(before), round(resident() - start))
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


HUGE = """
import re
from pathlib import Path
import torch
from resnest_bench.device.allocator import keep_memory, release_memory
def huge_mib():
    text = Path("/proc/self/smaps_rollup").read_text()
    return int(re.search(r"AnonHugePages: +([0-9]+) kB", text)[1]) // 1024
kept = keep_memory()
pieces = [torch.ones(2**22) for _ in range(20)]
first = huge_mib()
del pieces
release_memory()
between = huge_mib()
pieces = [torch.ones(2**22) for _ in range(20)]
print(first, between, huge_mib(), kept)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_kept_memory_is_in_huge_pages_also_after_a_release():
    """Twenty tensors of 16 MiB; the system may have had few huge pages left, but not none."""
    done = subprocess.run([sys.executable, "-c", HUGE], capture_output=True, text=True, check=True)
    first, between, again, kept = done.stdout.strip().split(" ", 3)
    if kept != KEPT_HUGE:
        pytest.skip(f"this system has no huge pages to ask for ({kept})")
    assert int(first) > 100
    assert int(between) < 100
    assert int(again) > 100


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_no_addresses_are_reserved_under_a_limit():
    """Then the reserve would be missing elsewhere: memory is kept, in usual pages."""
    code = """
import resource
from resnest_bench.device.allocator import keep_memory
resource.setrlimit(resource.RLIMIT_AS, (2**36, 2**36))
print(keep_memory())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() in (KEPT, "None")
