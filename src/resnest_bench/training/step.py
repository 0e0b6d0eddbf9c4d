"""One update of a network: forward, loss, backward, SGD, and the sums of the epoch."""

import copy
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from resnest_bench.measure.graphs import Capture, OwnRandomness, capture_cuda_graph, unchanged
from resnest_bench.models import head_module
from resnest_bench.specs import RecipeSpec
from resnest_bench.training.execution import Execution, StepMaker, prepared_network
from resnest_bench.training.optimizer import build_optimizer, init_momenta, set_learning_rate

log = logging.getLogger(__name__)


def loss_of(logits_BK: Tensor, target: Tensor, recipe: RecipeSpec) -> Tensor:
    """Mean cross entropy in nats, of class indices (B,) or of class probabilities (B, K)."""
    return functional.cross_entropy(logits_BK, target, label_smoothing=recipe.label_smoothing)


def set_train_mode(model: nn.Module, recipe: RecipeSpec) -> None:
    """Training mode; a frozen backbone keeps its norm statistics and drops nothing."""
    if recipe.trainable == "head":
        model.eval()
        head_module(model).train()
    else:
        model.train()


@dataclass
class EpochSums:
    """Loss and hits of an epoch, summed on the device: nothing waits for them."""

    loss: Tensor
    hits: Tensor
    num_steps: Tensor
    bad_step: Tensor  # the first step, from 1, whose loss was not finite; 0 for none
    num_images: int = 0

    @classmethod
    def on(cls, device: torch.device) -> "EpochSums":
        count = torch.zeros((), device=device, dtype=torch.int64)
        return cls(count.double(), count.clone(), count.clone(), count.clone())

    @property
    def tensors(self) -> list[Tensor]:
        return [self.loss, self.hits, self.num_steps, self.bad_step]

    def reset(self) -> None:
        self.num_images = 0
        for tensor in self.tensors:
            tensor.zero_()

    def add(self, loss: Tensor, logits_BK: Tensor, target: Tensor) -> None:
        labels_B = target if target.ndim == 1 else target.argmax(dim=1)
        self.num_steps += 1
        first = (self.bad_step == 0) & ~loss.isfinite()
        self.bad_step += first * self.num_steps
        self.loss += loss.detach() * len(labels_B)
        self.hits += (logits_BK.detach().argmax(dim=1) == labels_B).sum()

    def means(self) -> tuple[float, float]:
        """Mean loss and accuracy so far. Waits for the device."""
        return float(self.loss) / self.num_images, int(self.hits) / self.num_images


@dataclass
class TrainStep:
    """Calling it does one update of `model`, on a batch that is on its device.

    With `capture` the step is recorded once for each shape of a batch and replayed from then on; the
    learning rate and the batch go into static tensors. Where recording fails, steps are run eagerly.
    """

    model: nn.Module
    optimizer: torch.optim.SGD
    recipe: RecipeSpec
    device: torch.device
    execution: Execution
    capture: Capture[None] | None = None
    network: Callable[[Tensor], Tensor] = field(init=False)

    def __post_init__(self) -> None:
        self.sums = EpochSums.on(self.device)
        self.randomness = OwnRandomness(self.device)
        self.recorded: dict[tuple, tuple[Tensor, Tensor, Callable[[], None]]] = {}
        self.network = self.model
        if self.execution.mode == "compiled":
            self.network = torch.compile(self.model, dynamic=False)
        if self.execution.mode == "cudagraph" and self.capture is None:
            self.capture = capture_cuda_graph

    def __call__(
        self, images_BCHW: Tensor, target: Tensor, learning_rate: float, seed: int
    ) -> None:
        """`target`: labels (B,) or class probabilities (B, K). `seed` is dropout's, for this step."""
        set_learning_rate(self.optimizer, learning_rate)
        self.randomness.seed(seed)
        if self.capture is None:
            self._compute(images_BCHW, target)
        else:
            self._replay(images_BCHW, target, seed)
        self.sums.num_images += len(target)

    def _compute(self, images_BCHW: Tensor, target: Tensor) -> None:
        if self.execution.layout == "channels_last":
            images_BCHW = images_BCHW.contiguous(memory_format=torch.channels_last)
        # Another shape would be compiled anew: an epoch's last, smaller batch is not worth that.
        whole = len(images_BCHW) == self.recipe.batch_size
        network = self.network if whole else self.model
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bf16"
        ):
            logits_BK = network(images_BCHW)
        loss = loss_of(logits_BK.float(), target, self.recipe)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.sums.add(loss, logits_BK, target)

    def _replay(self, images_BCHW: Tensor, target: Tensor, seed: int) -> None:
        key = (images_BCHW.shape, target.shape)
        if key not in self.recorded:
            try:
                self.recorded[key] = self._record(images_BCHW, target)
            except RuntimeError as error:
                log.warning("a CUDA graph can't be recorded, so steps are run eagerly: %s", error)
                self.capture, self.execution = None, replace(self.execution, mode="eager")
            # Recording drew random numbers.
            self.randomness.seed(seed)
        if self.capture is None:
            self._compute(images_BCHW, target)
            return
        static_images, static_target, replay = self.recorded[key]
        static_images.copy_(images_BCHW)
        static_target.copy_(target)
        replay()

    def _record(
        self, images_BCHW: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor, Callable[[], None]]:
        static_images, static_target = images_BCHW.clone(), target.clone()
        init_momenta(self.optimizer)
        changed = [
            *self.model.state_dict().values(),
            *(state["momentum_buffer"] for state in self.optimizer.state.values()),
            *self.sums.tensors,
        ]
        with unchanged(changed):
            replay = self.capture(lambda: self._compute(static_images, static_target))
        return static_images, static_target, replay


def make_step(
    model: nn.Module, recipe: RecipeSpec, device: torch.device, execution: Execution
) -> TrainStep:
    """Steps of `model`, which is changed in place: to the device, fast form and layout."""
    model = prepared_network(model.to(device), execution)
    rates_on = device if execution.mode == "cudagraph" else None
    optimizer = build_optimizer(model, recipe, rates_on)
    return TrainStep(model, optimizer, recipe, device, execution)


def probe_step_maker(
    model: nn.Module, recipe: RecipeSpec, device: torch.device,
    batch_size: int, image_size: int, num_classes: int,
) -> StepMaker:  # fmt: skip
    """Steps of copies of `model` on random images, to be timed."""
    # Seen as a whole batch, or the compiled network would not be run.
    recipe = recipe.model_copy(update={"batch_size": batch_size})
    generator = torch.Generator().manual_seed(0)
    shape = (batch_size, 3, image_size, image_size)
    images_BCHW = torch.randn(shape, generator=generator).to(device)
    labels_B = torch.randint(num_classes, (batch_size,), generator=generator).to(device)

    def make(execution: Execution) -> Callable[[], None]:
        copied = copy.deepcopy(model)
        set_train_mode(copied, recipe)
        step = make_step(copied, recipe, device, execution)
        return lambda: step(images_BCHW, labels_B, recipe.learning_rate, 0)

    return make
