"""The pages of a fork's parent, and that a fork has them again. The numbers come from the kernel."""

import mmap
import os
import sys

import numpy as np
import pytest

from resnest_bench.device.forking import (
    MADV_POPULATE_READ,
    MADV_POPULATE_WRITE,
    PAGE_OF_FILE,
    PAGE_PRESENT,
    Pages,
    _find_runs,
    find_resident_pages,
    is_fork,
    restore_pages,
)

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux only")


def test_this_process_is_no_fork_of_a_warm_one():
    assert not is_fork()


def test_runs_of_pages_by_what_brings_them_back():
    flags = np.array(
        [0, PAGE_PRESENT, PAGE_PRESENT, PAGE_PRESENT | PAGE_OF_FILE, 0, PAGE_PRESENT], np.uint64
    )
    page = mmap.PAGESIZE
    assert _find_runs(page, flags, private=True) == [
        Pages(2 * page, 2 * page, MADV_POPULATE_WRITE),
        Pages(4 * page, page, MADV_POPULATE_READ),
        Pages(6 * page, page, MADV_POPULATE_WRITE),
    ]
    # What can't be written is only read.
    assert _find_runs(0, flags[:2], private=False) == [Pages(page, page, MADV_POPULATE_READ)]


def read_minor_faults():
    with open("/proc/self/stat") as file:
        return int(file.read().rpartition(")")[2].split()[7])


@linux
def test_a_fork_has_its_own_copies_before_it_writes():
    array_N = np.ones(2**24)
    pages = find_resident_pages()
    assert sum(size for _, size, _ in pages) > array_N.nbytes
    if (child := os.fork()) == 0:
        restore_pages(pages)
        before = read_minor_faults()
        array_N += 1
        # 32,768 pages of 4 KiB would be copied now.
        os._exit(read_minor_faults() - before > 1000)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
