"""Whether this process is a fork of a warm one, and its memory, which is to be that of a plain start.

A fork shares its parent's pages. A file's pages (the code of torch) are not mapped before they are used, and
a page of memory is copied when it is first written. A latency would count less peak memory than a plain
start, and its cold start would be slower by the copies. So both are done before the job begins.
"""

import ctypes
import itertools
import mmap
from pathlib import Path
from typing import NamedTuple

import numpy as np

# From Linux's mman.h (since 5.14).
MADV_POPULATE_READ, MADV_POPULATE_WRITE = 22, 23
# From Linux's documentation of /proc/<pid>/pagemap.
PAGE_PRESENT, PAGE_OF_FILE = 1 << 63, 1 << 61

_forked = False


class Pages(NamedTuple):
    """Resident pages next to each other: address, bytes, and how `madvise` brings them back."""

    address: int
    size: int
    advice: int


def mark() -> None:
    """Remember that this process is a fork of a warm one."""
    global _forked
    _forked = True


def is_fork() -> bool:
    """Whether this process is a fork of a warm one."""
    return _forked


def find_resident_pages() -> list[Pages]:
    """Return the pages of this process that are in memory."""
    found: list[Pages] = []
    with open("/proc/self/pagemap", "rb", buffering=0) as pagemap:
        for line in Path("/proc/self/maps").read_text().splitlines():
            where, permissions, *_ = line.split()
            if permissions[0] != "r" or line.endswith(("[vsyscall]", "[vvar]", "[vdso]")):
                continue
            begin, end = (int(part, 16) for part in where.split("-"))
            pagemap.seek(begin // mmap.PAGESIZE * 8)
            content = pagemap.read((end - begin) // mmap.PAGESIZE * 8)
            flags = np.frombuffer(content[: len(content) // 8 * 8], np.uint64)
            private = permissions[1] == "w" and permissions[3] == "p"
            found += _find_runs(begin, flags, private)
    return found


def _find_runs(begin: int, flags: np.ndarray, private: bool) -> list[Pages]:
    """Group the present pages of one mapping. `flags`: of each page, from pagemap."""
    present = flags & np.uint64(PAGE_PRESENT) != 0
    own = present & (flags & np.uint64(PAGE_OF_FILE) == 0) & private
    advice = np.where(own, MADV_POPULATE_WRITE, np.where(present, MADV_POPULATE_READ, 0))
    edges = np.flatnonzero(np.diff(advice, prepend=0, append=0))
    return [
        Pages(
            begin + int(first) * mmap.PAGESIZE,
            int(last - first) * mmap.PAGESIZE,
            int(advice[first]),
        )
        for first, last in itertools.pairwise(edges)
        if advice[first]
    ]


def restore_pages(pages: list[Pages]) -> None:
    """Map the pages of files, and copy those of memory, as if this process had loaded them itself.

    A kernel without this advice leaves them as they are.
    """
    madvise = ctypes.CDLL(None, use_errno=True).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for address, size, advice in pages:
        madvise(address, size, advice)
