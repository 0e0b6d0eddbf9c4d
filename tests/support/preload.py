"""What a process imports before it forks a child for each job of a test."""

import importlib
import sys

NAMES = (
    "timm",
    "onnxruntime",
    "sklearn.datasets",
    "resnest_bench.training.jobs",
    "resnest_bench.measure.jobs",
    "resnest_bench.report.tables",
    "resnest_bench.data",
    "resnest_bench.cli.app",
)


def preload() -> None:
    """Import all that a job needs, so that its start costs nothing. Nothing is computed: a fork would
    lose the threads.
    """
    import torch

    from resnest_bench import digests

    # timm imports it where it is installed, for a second; no job uses it.
    sys.modules["wandb"] = None
    for name in NAMES:
        importlib.import_module(name)
    del sys.modules["wandb"]
    torch.set_num_threads(1)
    # What is imported here is what all children run: they know it by the digest of now.
    for kind in digests.ENTRY_MODULES:
        digests.code_digest(kind)
    digests.uncounted_digest()
