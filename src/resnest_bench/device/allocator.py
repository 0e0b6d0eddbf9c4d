"""Memory that is kept: on a CPU, training spends half of its time on getting pages anew.

glibc's malloc gives the memory of large tensors back to the system after every use, and the system
clears each page when it is asked for again. Kept, an EfficientNet-lite0 trains at about twice the
images a second (two cores, torch 2.11). No number that is computed changes. Latencies are measured
as the system is, without it.

The price is memory: kept pieces of many sizes don't fit into each other, and a training takes two to
three times what its tensors do. So everything is given back between training and evaluation, whose
pieces have other sizes; within each of them it is kept.
"""

import ctypes
import sys

# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
TOP_PAD_BYTES = 2**28
NEVER_TRIM_BYTES = 2**31 - 1


def keep_memory() -> bool:
    """Tell malloc to keep what it has. Returns whether it will: elsewhere than in glibc it won't."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, NEVER_TRIM_BYTES), (M_TOP_PAD, TOP_PAD_BYTES))
    return all(mallopt(key, value) == 1 for key, value in settings)


def release_memory() -> None:
    """Give back what malloc keeps but nobody uses. Does nothing where malloc can't."""
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
