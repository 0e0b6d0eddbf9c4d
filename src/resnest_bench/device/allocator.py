"""Settings of malloc that make training on a CPU about twice as fast.

By default, glibc's malloc returns the memory of a large tensor to the system after every use, and the system
clears each page when it is allocated again. This takes half of the time of a training: if malloc keeps the
memory, an EfficientNet-lite0 trains at about twice the images per second (two cores, torch 2.11). Pages of
2 MiB instead of 4 KiB save another part, which is large in a virtual machine (docs/performance.md). Results
don't change. Latencies are measured with the system's default.

The price is fragmentation: a training takes two to three times the memory of its tensors. Therefore
everything is released between training and evaluation, whose tensors have different sizes.
"""

import ctypes
import sys
from pathlib import Path

import psutil

# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
TOP_PAD_BYTES = 2**28
NEVER_TRIM = -1

# From Linux's mman.h.
MADV_HUGEPAGE = 14
HUGE_PAGE_BYTES = 2**21
# Whether a process may ask for huge pages: "always [madvise] never".
HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")

# Of the free memory. These are addresses: only pages that are used take memory.
RESERVED_SHARE = 0.75

KEPT = "keeps memory"
KEPT_HUGE = "keeps memory, huge pages"

_reserves_huge_pages = False


def keep_memory() -> str | None:
    """Tell malloc to keep freed memory, in huge pages where the system has them.

    Returns:
        KEPT_HUGE or KEPT for a record, or None if it did not work: only glibc supports it.
    """
    global _reserves_huge_pages
    if not sys.platform.startswith("linux"):
        return None
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return None
    settings = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, NEVER_TRIM), (M_TOP_PAD, TOP_PAD_BYTES))
    if not all(mallopt(key, value) == 1 for key, value in settings):
        return None
    _reserves_huge_pages = _reserve_huge_pages()
    return KEPT_HUGE if _reserves_huge_pages else KEPT


def release_memory() -> None:
    """Return malloc's unused memory to the system. Does nothing without glibc."""
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
            if _reserves_huge_pages:
                # The trimmed addresses have lost the advice.
                _reserve_huge_pages()


def _reserve_huge_pages() -> bool:
    """Let malloc extend its heap once, and advise the system to use huge pages there.

    malloc takes the next tensors from that part. Its own setting, GLIBC_TUNABLES=glibc.malloc.hugetlb=1, does
    the same, but has to be set before the process starts. Returns whether the system took the advice.
    """
    if not _allows_huge_pages() or _has_limited_addresses():
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    libc.malloc.argtypes, libc.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
    libc.free.argtypes, libc.free.restype = [ctypes.c_void_p], None
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    size = int(RESERVED_SHARE * psutil.virtual_memory().available)
    start = libc.malloc(size)
    if start is None:  # a system that doesn't overcommit
        return False
    first = -(-start // HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES
    length = (start + size - first) // HUGE_PAGE_BYTES * HUGE_PAGE_BYTES
    advised = length > 0 and libc.madvise(first, length, MADV_HUGEPAGE) == 0
    libc.free(start)
    return bool(advised)


def _allows_huge_pages() -> bool:
    try:
        return "[never]" not in HUGE_PAGES.read_text()
    except OSError:
        return False


def _has_limited_addresses() -> bool:
    """Return whether a limit (`ulimit -v`) counts addresses, so that none may be reserved."""
    process = psutil.Process()
    return any(
        process.rlimit(kind)[0] != psutil.RLIM_INFINITY
        for kind in (psutil.RLIMIT_AS, psutil.RLIMIT_DATA)
    )
