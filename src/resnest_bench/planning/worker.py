"""A process that trains for a moment on request, to measure the speed of several at the same time.

From standard input it reads a pickled `Task`, written by our own process, and then one line per turn. It
answers each with a line: images per second, and the peak memory so far in bytes.
"""

import os
import pickle
import sys
import time
from dataclasses import dataclass

from resnest_bench.specs import RecipeSpec, VariantSpec

TURN_SECONDS = 1.5
MAX_IMAGES = 64
PIXELS = 64 * 32 * 32


@dataclass(frozen=True)
class Task:
    """What to train."""

    variant: VariantSpec
    recipe: RecipeSpec
    image_size: int
    num_classes: int
    in_chans: int
    num_threads: int


@dataclass(frozen=True)
class Answer:
    """Speed, and peak memory of one process."""

    images_per_second: float
    peak_bytes: int


def choose_batch_size(task: Task) -> int:
    """Return a batch size that is small enough for several steps per turn."""
    return min(task.recipe.batch_size, MAX_IMAGES, max(4, PIXELS // task.image_size**2))


def main() -> None:
    """Answer once when ready, and once for each line on standard input."""
    task = pickle.load(sys.stdin.buffer)
    # Must be set before torch is imported, as in the jobs.
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    os.environ["OMP_NUM_THREADS"] = str(task.num_threads)
    import torch

    from resnest_bench.device.allocator import keep_memory
    from resnest_bench.measure.latency import peak_rss_bytes
    from resnest_bench.models import build_model, fit_to_image
    from resnest_bench.training.execution import Execution, list_layouts
    from resnest_bench.training.step import probe_step_maker

    torch.set_num_threads(task.num_threads)
    keep_memory()
    base, batch = peak_rss_bytes(), choose_batch_size(task)
    fitted = fit_to_image(task.variant, task.image_size)[0]
    model = build_model(fitted, task.num_classes, in_chans=task.in_chans)
    cpu = torch.device("cpu")
    sizes = (task.image_size, task.num_classes, task.in_chans)
    maker = probe_step_maker(model, task.recipe, cpu, batch, *sizes)
    step = maker(Execution(list_layouts(task.recipe)[0], "eager"))
    step()

    def answer(speed: float) -> None:
        # The memory of a step is proportional to its batch size.
        step_bytes = (peak_rss_bytes() - base) * task.recipe.batch_size / batch
        print(speed, int(base + step_bytes), flush=True)

    answer(0.0)
    for _ in sys.stdin.buffer:
        start, count = time.perf_counter(), 0
        while time.perf_counter() - start < TURN_SECONDS or not count:
            step()
            count += 1
        answer(batch * count / (time.perf_counter() - start))
