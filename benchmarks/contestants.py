"""Three ways of training the same network on the same images: ours, and what others do.

    python benchmarks/contestants.py '{"contestant": "plain", ...}'

`train.py` starts this program once for each contestant, so that malloc's settings, torch's flags and compiled
code of one are not the others'. It then reads a line of JSON from standard input for each epoch, `{"epoch": 1}`, trains
a whole pass and writes a line with its seconds. In between it waits for input and computes nothing.

- `ours`: the project's training as a job runs it, with the layout and mode that it finds by measuring.
- `plain`: the loop of most tutorials. PIL images, torchvision's transforms, two loading processes, contiguous
  tensors, torch.optim.SGD, the loss read after each step.
- `timm`, `timm-compiled`: timm's loader, transforms and optimizer as in its train.py, channels_last, a fused update,
  the loss never waited for; the second with torch.compile.

All draw 32x32 crops of images padded by 4 pixels and mirror half of them, use SGD with momentum 0.9 and weight
decay 1e-4 at batch 256, and train the last, smaller batch too.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from pydantic import TypeAdapter
from reporting import synchronise, to_channels_last
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, Dataset
from torchvision import transforms

from resnest_bench.data import PreparedDataset, open_prepared
from resnest_bench.data.batches import BatchLoader
from resnest_bench.device.allocator import keep_memory, release_memory
from resnest_bench.device.environment import precision, tuned_convolutions
from resnest_bench.measure.complexity import count_params
from resnest_bench.models import build_model
from resnest_bench.specs import RECIPES, VariantSpec
from resnest_bench.training.execution import Execution, choose, probe_batch
from resnest_bench.training.loop import Batches, train_epoch
from resnest_bench.training.reporting import Reporter
from resnest_bench.training.step import make_step, probe_step_maker

LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 0.1, 0.9, 1e-4


@dataclass(frozen=True)
class Setting:
    """What one contestant is told. `images` of the prepared dataset in the folder `data`."""

    contestant: str
    variant: dict[str, Any]
    precision: str
    device: str
    num_threads: int
    num_workers: int
    data: str
    num_images: int
    num_epochs: int
    batch_size: int = 256
    mode: str = "auto"  # of ours alone


@dataclass(frozen=True)
class Pass:
    """One epoch: the mean loss in nats, and how many images and steps it was."""

    loss: float
    num_images: int
    num_steps: int


@dataclass(frozen=True)
class Contestant:
    """`epoch` trains a whole pass, counted from 1, and is timed; `rest` comes after it and is not."""

    model: nn.Module
    execution: str  # memory layout and mode
    epoch: Callable[[int], Pass]
    rest: Callable[[], None] = lambda: None


def ours(setting: Setting, device: torch.device) -> Contestant:
    """The project's own training. The only function here that knows its interface."""
    data = open_prepared(Path(setting.data))
    changes = {
        "crop": "pad4",
        "flip": True,
        "precision": setting.precision,
        "mode": setting.mode,
        "batch_size": setting.batch_size,
        "epochs": setting.num_epochs,
    }
    recipe, side = RECIPES["paper20"].model_copy(update=changes), data.meta.image_size
    model, num_classes = network(setting).to(device), len(data.meta.classes)
    batch, num_images = probe_batch(recipe, side), setting.num_epochs * setting.num_images
    maker = probe_step_maker(model, recipe, device, batch, side, num_classes)
    seen = choose(recipe, device, maker, num_images, batch)
    step = make_step(model, recipe, device, Execution(seen.layout, seen.mode))
    batches = Batches(
        train=BatchLoader(data.train, data.meta, recipe, device),
        train_indices=chosen_images(setting),
        validation=None,
        test=lambda: (),
        num_classes=num_classes,
    )

    def epoch(number: int) -> Pass:
        done = train_epoch(step, batches, 0, number, Reporter(""))
        return Pass(done.loss, done.num_images, int(step.sums.num_steps))

    release_memory()
    return Contestant(step.model, str(step.execution), epoch, rest=release_memory)


def plain(setting: Setting, device: torch.device) -> Contestant:
    """As in torchvision's and torch's tutorials, apart from autocast where bf16 was asked for."""
    data, on_cuda = open_prepared(Path(setting.data)), device.type == "cuda"
    steps = [
        padded_crop(data),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(data.meta.mean, data.meta.std),
    ]
    dataset = ArrayImages(*pixels_and_labels(setting), transforms.Compose(steps))
    loader = DataLoader(
        dataset,
        setting.batch_size,
        shuffle=True,
        num_workers=setting.num_workers,
        pin_memory=on_cuda,
        persistent_workers=setting.num_workers > 0,
    )
    model, criterion = network(setting).to(device), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(
        model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY
    )

    def epoch(number: int) -> Pass:
        model.train()
        losses = []
        for images_BCHW, labels_B in loader:
            images_BCHW, labels_B = images_BCHW.to(device), labels_B.to(device)
            optimizer.zero_grad()
            with autocast(setting, device):
                loss = criterion(model(images_BCHW), labels_B)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return Pass(float(np.mean(losses)), len(dataset), len(losses))

    return Contestant(model, "contiguous, eager", epoch)


def timms(setting: Setting, device: torch.device) -> Contestant:
    """As in timm's train.py, with what it offers for speed."""
    from timm.optim import create_optimizer_v2

    loader = timm_loader(setting, device)
    model = to_channels_last(network(setting).to(device))
    optimizer = create_optimizer_v2(
        model,
        "momentum",
        lr=LEARNING_RATE,
        momentum=MOMENTUM,
        weight_decay=WEIGHT_DECAY,
        filter_bias_and_bn=False,
        fused=True,
    )
    criterion = nn.CrossEntropyLoss()
    compiled = setting.contestant == "timm-compiled"
    # The last batch is smaller: compiled for both sizes, both are as fast as they can be.
    run = torch.compile(model, dynamic=False) if compiled else model

    def epoch(number: int) -> Pass:
        model.train()
        losses, num_images = [], 0
        for images_BCHW, labels_B in loader:
            # On a GPU the loader has put them there.
            images_BCHW = images_BCHW.contiguous(memory_format=torch.channels_last)
            with autocast(setting, device):
                loss = criterion(run(images_BCHW), labels_B)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.detach())
            num_images += len(labels_B)
        return Pass(float(torch.stack(losses).mean()), num_images, len(losses))

    return Contestant(model, f"channels_last, {'compiled' if compiled else 'eager'}", epoch)


def timm_loader(setting: Setting, device: torch.device) -> DataLoader:
    """timm's loader; on a GPU with its prefetcher, which normalises there.

    timm crops by scale, and has no crop of a padded image: that one step is torchvision's. It would
    leave out the last, smaller batch, which the others train.
    """
    from timm.data import create_loader

    data, on_cuda = open_prepared(Path(setting.data)), device.type == "cuda"
    dataset = ArrayImages(*pixels_and_labels(setting))
    # Its annotations allow timm's own datasets alone, and no training without changed colours.
    make_loader: Callable[..., DataLoader] = create_loader
    loader = make_loader(
        dataset,
        (3, data.meta.image_size, data.meta.image_size),
        setting.batch_size,
        is_training=True,
        hflip=0.5,
        color_jitter=None,
        interpolation="bilinear",
        mean=data.meta.mean,
        std=data.meta.std,
        num_workers=setting.num_workers,
        pin_memory=on_cuda,
        device=device,
        use_prefetcher=on_cuda,
    )
    sampler = loader.batch_sampler
    assert dataset.transform is not None
    assert isinstance(sampler, BatchSampler)
    dataset.transform.transforms[0] = padded_crop(data)
    sampler.drop_last = False
    return loader


CONTESTANTS: dict[str, Callable[[Setting, torch.device], Contestant]] = {
    "ours": ours,
    "plain": plain,
    "timm": timms,
    "timm-compiled": timms,
}


class ArrayImages(Dataset):
    """uint8 arrays as PIL images, each made when it is asked for, as torchvision's CIFAR10 does."""

    def __init__(
        self,
        images_NHWC: np.ndarray,
        labels_N: np.ndarray,
        transform: transforms.Compose | None = None,
    ) -> None:
        self.images_NHWC, self.labels_N, self.transform = images_NHWC, labels_N, transform

    def __len__(self) -> int:
        return len(self.labels_N)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        image = Image.fromarray(self.images_NHWC[index])
        return self.transform(image) if self.transform else image, int(self.labels_N[index])


def chosen_images(setting: Setting) -> np.ndarray:
    """Which training images: so many of all, drawn once; sorted indices (N,)."""
    num = len(open_prepared(Path(setting.data)).train)
    return np.sort(np.random.default_rng(0).permutation(num)[: setting.num_images])


def pixels_and_labels(setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    train, chosen = open_prepared(Path(setting.data)).train, chosen_images(setting)
    return np.array(train.images[chosen]), train.labels[chosen]


def padded_crop(data: PreparedDataset) -> transforms.RandomCrop:
    """Of the old size, out of an image with an eighth of its side around it: as `crop: pad4`."""
    return transforms.RandomCrop(data.meta.image_size, padding=data.meta.image_size // 8)


def network(setting: Setting) -> nn.Module:
    """The same for every contestant, to the bit."""
    torch.manual_seed(0)
    variant = TypeAdapter(VariantSpec).validate_python(setting.variant)
    return build_model(variant, len(open_prepared(Path(setting.data)).meta.classes))


def autocast(setting: Setting, device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=setting.precision == "bf16")


def timed(contestant: Contestant, number: int, device: torch.device) -> dict[str, Any]:
    """Train epoch `number` to its end; its seconds and what it was."""
    synchronise(device)
    start = time.perf_counter()
    done = contestant.epoch(number)
    synchronise(device)
    seconds = time.perf_counter() - start
    contestant.rest()
    return {"epoch": number, "seconds": seconds, **asdict(done)}


@contextmanager
def make_process(setting: Setting, device: torch.device) -> Iterator[None]:
    """What concerns the whole process, as each contestant would set it."""
    torch.set_num_threads(setting.num_threads)
    with ExitStack() as stack:
        if setting.contestant == "ours":
            # As `training.jobs.run_job` does.
            if device.type == "cpu":
                keep_memory()
            stack.enter_context(precision(setting.precision))
            stack.enter_context(tuned_convolutions(device))
        elif setting.contestant != "plain" and device.type == "cuda":
            # As timm's train.py does.
            torch.backends.cuda.matmul.allow_tf32 = True
            torch.backends.cudnn.benchmark = True
        yield


def main() -> None:
    setting = Setting(**json.loads(sys.argv[1]))
    # Replies have the standard output for themselves; what libraries print goes to standard error.
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    device = torch.device(setting.device)
    with make_process(setting, device):
        contestant = CONTESTANTS[setting.contestant](setting, device)
        told = {"num_params": count_params(contestant.model), "execution": contestant.execution}
        print(json.dumps(told), file=replies)
        for line in sys.stdin:
            print(json.dumps(timed(contestant, json.loads(line)["epoch"], device)), file=replies)


if __name__ == "__main__":
    main()
