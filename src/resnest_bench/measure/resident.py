"""Peak resident memory of each cell on a CPU: a process has one peak, so each cell gets a process of its own.

Files of other runtimes are written here, where torch is, and run there without it.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from resnest_bench.deploy.formats import FILE_MODES, write_mode
from resnest_bench.deploy.problems import NotAvailableError
from resnest_bench.measure.deployment import Setting, make_input
from resnest_bench.specs import VariantSpec

MAX_SECONDS = 900
PROGRAM = "resnest_bench.measure.resident_process"


def measure_resident(
    fitted: VariantSpec,
    network: nn.Module,
    setting: Setting,
    batch: int,
    size: int,
    num_classes: int,
    in_chans: int,
) -> tuple[int, int]:
    """Return the bytes of a process before and after it loaded and called the network: two peaks.

    `network` has the setting's precision and layout. `fitted` is its variant, from `fit_to_image`. Raises
    NotAvailableError if the process fails, and what exporters raise.
    """
    task: dict[str, Any] = {
        "format": "torch",
        "threads": torch.get_num_threads(),
        "batch": batch,
        "size": size,
        "in_chans": in_chans,
        "num_classes": num_classes,
    }
    if setting.mode not in FILE_MODES:
        return run_process({**task, "variant": fitted.as_dict(), "setting": vars(setting)})
    with tempfile.TemporaryDirectory() as folder:
        image_BCHW = make_input(batch, size, setting, torch.device("cpu"), in_chans)
        files = write_mode(setting.mode, network, image_BCHW, Path(folder), image_BCHW.numpy())
        task |= {"format": FILE_MODES[setting.mode].format_name, "file": str(files[0])}
        return run_process(task)


def run_process(task: dict[str, Any]) -> tuple[int, int]:
    """Return the peaks that `measure.resident_process` says. Raises NotAvailableError if it fails."""
    try:
        ended = subprocess.run(
            [sys.executable, "-m", PROGRAM],
            input=json.dumps(task),
            capture_output=True,
            text=True,
            timeout=MAX_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NotAvailableError(f"its process took more than {MAX_SECONDS} s") from error
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["no message"])[-1]
        raise NotAvailableError(f"its process ended with {ended.returncode}: {last}"[:300])
    peaks = json.loads(ended.stdout.strip().splitlines()[-1])
    return int(peaks["before"]), int(peaks["peak"])
