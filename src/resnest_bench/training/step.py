"""One update of a network: forward, loss, backward, optimizer, and the sums of the epoch.

If memory runs out, the step is undone and repeated in micro-batches (`training.micro_batching`).
"""

import copy
import functools
import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from resnest_bench import stopping
from resnest_bench.data.batches import Share, blend_batch
from resnest_bench.device.graphs import Capture, OwnRandomness, capture_cuda_graph, unchanged
from resnest_bench.device.memory import free_memory, is_out_of_memory
from resnest_bench.errors import UserError, first_line
from resnest_bench.measure.evaluation import Evaluator
from resnest_bench.models import head_module, may_crash
from resnest_bench.specs import RecipeSpec
from resnest_bench.training.checkpoints import TrainedState
from resnest_bench.training.execution import (
    CrashCheck,
    Execution,
    StepMaker,
    move_network,
    prepared_network,
)
from resnest_bench.training.isolation import find_crash
from resnest_bench.training.lookahead import make_lookahead
from resnest_bench.training.losses import compute_loss, distillation_loss
from resnest_bench.training.micro_batching import Undo, halve_micro_batch, split_batch
from resnest_bench.training.optimizer import (
    build_optimizer,
    init_state,
    set_learning_rate,
    state_tensors,
)
from resnest_bench.training.sums import EpochSums

log = logging.getLogger(__name__)


def set_train_mode(model: nn.Module, recipe: RecipeSpec) -> None:
    """Set training mode. A frozen backbone keeps its norm statistics and has no dropout."""
    if recipe.trainable == "head":
        model.eval()
        head_module(model).train()
    else:
        model.train()


@dataclass
class TrainStep:
    """A callable that does one update of `model` with a batch on its device.

    With `capture`, the step is recorded once per shape of a batch, and replayed from then on; learning rate and
    batch are copied into static tensors. If recording fails, steps are run eagerly.

    If a batch does not fit into memory, `execution` gets a micro-batch size for all later steps, and
    `on_smaller` is called. Without `may_shrink`, the error is raised instead.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    recipe: RecipeSpec
    device: torch.device
    execution: Execution
    capture: Capture[Any] | None = None
    may_shrink: bool = True
    on_smaller: Callable[[Execution], None] = lambda execution: None
    class_weights_K: Tensor | None = None
    # Returns the teacher's logits of a batch, in evaluation mode; None without a teacher.
    teacher: nn.Module | None = None
    network: Callable[[Tensor], Tensor] = field(init=False)

    def __post_init__(self) -> None:
        self.sums = EpochSums.on(self.device)
        self.randomness = OwnRandomness(self.device)
        self.recorded: dict[tuple, tuple[Tensor, Tensor, Callable[[], None]]] = {}
        self.network = self.model
        self.undo: Undo | None = None
        self.num_updates = 0
        self.average: ModelEmaV3 | None = None
        if self.recipe.ema_decay:
            decay, warmup = self.recipe.ema_decay, self.recipe.ema_warmup
            self.average = ModelEmaV3(self.model, decay=decay, use_warmup=warmup)
        self.lookahead = make_lookahead(self.model, self.recipe)
        if self.class_weights_K is not None:
            self.class_weights_K = self.class_weights_K.to(self.device)
        if self.teacher is not None:
            self.teacher = move_network(self.teacher.to(self.device), self.execution.layout)
        if self.execution.mode == "compiled":
            self.network = torch.compile(self.model, dynamic=False)
        if self.execution.mode == "cudagraph" and self.capture is None:
            self.capture = capture_cuda_graph

    def __call__(
        self,
        images_BCHW: Tensor,
        target: Tensor,
        learning_rate: float,
        seed: int,
        num_images: int | None = None,
    ) -> None:
        """Do one update. `target` is labels (B,) or class probabilities (B, K), `seed` is for dropout.

        `num_images` are those of the whole batch, if several processes share it; None: these.

        Raises UserError if not even MIN_MICRO_BATCH images fit into memory.
        """
        set_learning_rate(self.optimizer, learning_rate)
        self.randomness.seed(seed)
        if self.capture is None:
            self._step_that_fits(images_BCHW, target, seed)
        else:
            self._replay(images_BCHW, target, seed)
        self.sums.num_images += num_images or len(target)
        self.num_updates += 1
        if self.lookahead is not None:
            self.lookahead.after_update(self.num_updates)
        if self.average is not None:
            self.average.update(self.model, step=self.num_updates)

    @property
    def share(self) -> Share | None:
        """Which images of each batch the steps get; None: all."""
        return None

    def blend(
        self, images_BCHW: Tensor, labels_B: Tensor, num: int, num_classes: int, generator: Any
    ) -> tuple[Tensor, Tensor]:
        """Apply mixup or CutMix. The whole batch has `num` images; `generator` as in `blend_batch`."""
        return blend_batch(images_BCHW, labels_B, num_classes, self.recipe, generator)

    def interruptible(self, batches: Iterable[Any]) -> Iterable[Any]:
        """Yield `batches`; after a signal, raise Interrupted before the next one."""
        return stopping.interruptible(batches)

    def make_evaluator(self) -> Evaluator:
        return Evaluator(self.final_model, self.recipe.precision == "bf16", self.capture)

    @property
    def trained(self) -> TrainedState:
        """The state for a checkpoint."""
        slow = None if self.lookahead is None else self.lookahead.slow
        return TrainedState(self.model, self.optimizer, self.average and self.average.module, slow)

    def finish(self) -> None:
        """Call after the last update: with Lookahead, the slow weights are the result."""
        if self.lookahead is not None:
            self.lookahead.synchronise()

    @property
    def final_model(self) -> nn.Module:
        """The model to evaluate and keep: with averaged weights if the recipe has them."""
        return self.model if self.average is None else self.average.module

    def _update(self) -> None:
        if self.recipe.clip_grad_norm:
            parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
            nn.utils.clip_grad_norm_(parameters, self.recipe.clip_grad_norm)
        self.optimizer.step()

    def _compute(self, images_BCHW: Tensor, target: Tensor) -> None:
        self._gradients(images_BCHW, target)
        self._update()

    def _step_that_fits(self, images_BCHW: Tensor, target: Tensor, seed: int) -> None:
        if self.undo is None:
            # Then the optimizer allocates no memory: its update can't be undone, unlike what precedes it.
            init_state(self.optimizer)
            self.undo = Undo(self.model, self.sums.tensors)
        self.undo.keep()
        while not self._fits(images_BCHW, target):
            # Repeat with the same images and the same random numbers for dropout.
            self.optimizer.zero_grad(set_to_none=True)
            free_memory(self.device)
            self.undo.restore()
            self.randomness.seed(seed)
        self._update()

    def _fits(self, images_BCHW: Tensor, target: Tensor) -> bool:
        """Compute gradients; if memory runs out, use smaller micro-batches from now on."""
        try:
            self._gradients(images_BCHW, target)
        except Exception as error:
            if not (self.may_shrink and is_out_of_memory(error)):
                raise
            self._shrink(self._at_once(min(len(target), self.recipe.batch_size)), error)
            return False
        return True

    def _shrink(self, whole: int, error: Exception) -> None:
        size = halve_micro_batch(whole, error)
        log.warning(
            "memory ran out (%s): going on with %d images at once, whose gradients are added up to "
            "the batch's; batch norm sees no more than these",
            first_line(error),
            size,
        )
        # Micro-batches have another shape than the compiled one, and are large enough to run eagerly.
        self.execution = replace(self.execution, mode="eager", micro_batch_size=size)
        self.on_smaller(self.execution)

    def _at_once(self, num: int) -> int:
        """Return how many of `num` images go through the network at a time."""
        accumulated = math.ceil(num / self.recipe.accumulation_steps)
        return min(self.execution.micro_batch_size or num, accumulated)

    def _gradients(self, images_BCHW: Tensor, target: Tensor) -> None:
        """Compute the gradient of the batch's mean loss, and add to the sums."""
        self.optimizer.zero_grad(set_to_none=True)
        whole, losses, logits = len(target), [], []
        for images_bCHW, part in split_batch(images_BCHW, target, self._at_once(whole)):
            logits_bK = self._logits(images_bCHW)
            loss = self._loss(images_bCHW, logits_bK.float(), part)
            if len(part) < whole:
                loss = loss * (len(part) / whole)
            loss.backward()
            losses.append(loss.detach())
            logits.append(logits_bK.detach())
        if len(logits) == 1:
            self.sums.add(loss, logits_bK, target)
        else:
            self.sums.add(torch.stack(losses).sum(), torch.cat(logits), target)

    def _loss(self, images_BCHW: Tensor, logits_BK: Tensor, target: Tensor) -> Tensor:
        loss = compute_loss(logits_BK, target, self.recipe, self.class_weights_K)
        asked = self.recipe.teacher
        if asked is None or self.teacher is None:
            return loss
        with torch.no_grad():
            teacher_BK = self._run(self.teacher, images_BCHW).float()
        taught = distillation_loss(logits_BK, teacher_BK, asked.temperature)
        return (1 - asked.weight) * loss + asked.weight * taught

    def _logits(self, images_BCHW: Tensor) -> Tensor:
        """Run the network. Raises UserError if batch norm would see one value per channel."""
        try:
            return self._forward(images_BCHW)
        except ValueError as error:
            # The text of torch's own check, since networks without batch norm can train on single images.
            if "more than 1 value per channel" not in str(error):
                raise
            raise UserError(
                "batch norm needs more than one value in each channel, but a step of "
                f"{len(images_BCHW)} image(s) of {images_BCHW.shape[-1]}x{images_BCHW.shape[-1]} "
                "gives it one: raise the recipe's batch_size (or the dataset's image_size), or "
                "take a network without batch norm"
            ) from error

    def _forward(self, images_BCHW: Tensor) -> Tensor:
        # Another shape would be compiled again, which an epoch's last, smaller batch is not worth.
        usual = math.ceil(self.recipe.batch_size / self.recipe.accumulation_steps)
        whole = len(images_BCHW) == usual
        return self._run(self.network if whole else self.model, images_BCHW)

    def _run(self, network: Callable[[Tensor], Tensor], images_BCHW: Tensor) -> Tensor:
        if self.execution.layout == "channels_last":
            images_BCHW = images_BCHW.contiguous(memory_format=torch.channels_last)
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bf16"
        ):
            return network(images_BCHW)

    def _replay(self, images_BCHW: Tensor, target: Tensor, seed: int) -> None:
        key = (images_BCHW.shape, target.shape)
        if key not in self.recorded:
            try:
                self.recorded[key] = self._record(images_BCHW, target)
            except RuntimeError as error:
                log.warning("a CUDA graph can't be recorded, so steps are run eagerly: %s", error)
                self.capture, self.execution = None, replace(self.execution, mode="eager")
            # Recording has used random numbers.
            self.randomness.seed(seed)
        if self.capture is None:
            # Each recording keeps the memory of a whole step, which may be needed now.
            self.recorded.clear()
            free_memory(self.device)
            self._step_that_fits(images_BCHW, target, seed)
            return
        static_images, static_target, replay = self.recorded[key]
        static_images.copy_(images_BCHW)
        static_target.copy_(target)
        replay()

    def _record(
        self, images_BCHW: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor, Callable[[], None]]:
        static_images, static_target = images_BCHW.clone(), target.clone()
        init_state(self.optimizer)
        changed = [
            *self.model.state_dict().values(),
            *state_tensors(self.optimizer),
            *self.sums.tensors,
        ]
        assert self.capture is not None
        with unchanged(changed):
            replay = self.capture(lambda: self._compute(static_images, static_target))
        return static_images, static_target, replay


def make_step(
    model: nn.Module, recipe: RecipeSpec, device: torch.device, execution: Execution, **options: Any
) -> TrainStep:
    """Make steps of `model`, which is moved to the device and optimised in place.

    `options` are those of TrainStep.
    """
    model = prepared_network(model.to(device), execution)
    rates_on = device if execution.mode == "cudagraph" else None
    optimizer = build_optimizer(model, recipe, rates_on)
    return TrainStep(model, optimizer, recipe, device, execution, **options)


def probe_step_maker(
    model: nn.Module,
    recipe: RecipeSpec,
    device: torch.device,
    batch_size: int,
    image_size: int,
    num_classes: int,
    in_chans: int = 3,
) -> StepMaker:
    """Return a maker of steps on copies of `model` with random images, for timing."""
    # The recipe's batch size, else the compiled network would not be used.
    recipe = recipe.model_copy(update={"batch_size": batch_size})
    generator = torch.Generator().manual_seed(0)
    shape = (batch_size, in_chans, image_size, image_size)
    images_BCHW = torch.randn(shape, generator=generator).to(device)
    labels_B = torch.randint(num_classes, (batch_size,), generator=generator).to(device)

    def make(execution: Execution) -> Callable[[], None]:
        copied = copy.deepcopy(model)
        set_train_mode(copied, recipe)
        step = make_step(copied, recipe, device, execution, may_shrink=False)
        return lambda: step(images_BCHW, labels_B, recipe.learning_rate, 0)

    return make


def probe_steps(
    model: nn.Module, device: torch.device, *probe: Any
) -> tuple[StepMaker, CrashCheck]:
    """Return the maker of steps for timing, and the check whether one of them would crash.

    `probe` is recipe, batch size, image size, number of classes and of channels.
    """
    recipe, *sizes = probe
    maker = probe_step_maker(model, recipe, device, *sizes)
    return maker, crash_check(model, device, *probe)


def crash_check(model: nn.Module, device: torch.device, *probe: Any) -> CrashCheck:
    """Return a check that tries a step in a separate process if the layout crashes some networks.

    It takes an import of torch, so it is only done if `models.may_crash` returns true. `probe` is as in
    `probe_step_maker`.
    """
    risky = device.type == "cpu" and may_crash(model)

    def check(execution: Execution) -> str | None:
        if not risky or execution.layout != "channels_last":
            return None
        return find_crash(functools.partial(_try_step, model, device, execution, *probe))

    return check


def _try_step(
    model: nn.Module,
    device: torch.device,
    execution: Execution,
    recipe: RecipeSpec,
    batch_size: int,
    image_size: int,
    num_classes: int,
    in_chans: int = 3,
) -> None:
    """Run two steps: if the first one corrupts memory, the second one crashes."""
    sizes = (batch_size, image_size, num_classes, in_chans)
    maker = probe_step_maker(model, recipe, device, *sizes)
    step = maker(execution)
    step()
    step()
