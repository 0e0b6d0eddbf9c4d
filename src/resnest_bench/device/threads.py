"""The number of torch's threads, which stays the same for a whole training."""

import logging

import torch

log = logging.getLogger(__name__)


def count_threads(device: torch.device) -> int | None:
    """Return torch's number of threads if a CPU computes, or None if a GPU does."""
    return torch.get_num_threads() if device.type == "cpu" else None


def keep_threads(began_with: int | None, device: torch.device) -> None:
    """Set the number of threads to that which a job started with, if this process has another one.

    The order of summation depends on the number of threads, so another number would change the last bits.
    """
    given = torch.get_num_threads()
    if began_with is None or device.type != "cpu" or began_with == given:
        return
    log.warning(
        "continuing with %d threads, as at the start of the training, although %d are available: results "
        "with another number would differ by rounding",
        began_with,
        given,
    )
    torch.set_num_threads(began_with)
