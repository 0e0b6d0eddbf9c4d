"""Threads of torch: a training keeps the number that it began with."""

import logging

import torch

log = logging.getLogger(__name__)


def count_threads(device: torch.device) -> int | None:
    """On a CPU, the threads that compute; None on a GPU, which does it itself."""
    return torch.get_num_threads() if device.type == "cpu" else None


def keep_threads(began_with: int | None, device: torch.device) -> None:
    """Compute with as many threads as a job began with, whatever this process was given.

    The order of sums depends on their number: another one would end with other bits.
    """
    given = torch.get_num_threads()
    if began_with is None or device.type != "cpu" or began_with == given:
        return
    log.warning(
        "it began with %d threads and keeps them, although it was given %d: results with another "
        "number differ by rounding",
        began_with,
        given,
    )
    torch.set_num_threads(began_with)
