"""Accuracy on images that nothing was selected on."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from resnest_bench.measure.graphs import Capture


@dataclass(frozen=True)
class Evaluation:
    """`correct` has one boolean an image, in the order they came; `loss` is in nats."""

    correct: np.ndarray
    loss: float

    @property
    def accuracy(self) -> float:
        return float(self.correct.mean())


class Evaluator:
    """Evaluates `model`, with `autocast` in bfloat16.

    With `capture` (see `measure.graphs`) its forward pass is recorded once for each shape of a
    batch, and replayed from then on, whatever the weights have become.
    """

    def __init__(
        self, model: nn.Module, autocast: bool = False, capture: Capture[Tensor] | None = None
    ) -> None:
        self.model, self.autocast, self.capture = model, autocast, capture
        self.recorded: dict[torch.Size, tuple[Tensor, Callable[[], Tensor]]] = {}

    @torch.no_grad()
    def __call__(self, batches: Iterable[tuple[Tensor, Tensor]]) -> Evaluation:
        """Top-1 correctness and mean cross entropy over `batches` of (images_BCHW, labels_B).

        The model is left in the mode that it came in.
        """
        training = self.model.training
        self.model.eval()
        hits: list[Tensor] = []
        loss_sum = None
        try:
            for images_BCHW, labels_B in batches:
                logits_BK = self._logits(images_BCHW)
                loss = functional.cross_entropy(logits_BK, labels_B, reduction="sum")
                loss_sum = loss if loss_sum is None else loss_sum + loss
                hits.append(logits_BK.argmax(dim=1) == labels_B)
        finally:
            self.model.train(training)
        assert hits, "an evaluation needs at least one batch"
        correct = torch.cat(hits).cpu().numpy()
        return Evaluation(correct, float(loss_sum) / len(correct))

    def _logits(self, images_BCHW: Tensor) -> Tensor:
        if self.capture is None:
            return self._forward(images_BCHW)
        if images_BCHW.shape not in self.recorded:
            static = images_BCHW.clone()
            self.recorded[images_BCHW.shape] = static, self.capture(lambda: self._forward(static))
        static, replay = self.recorded[images_BCHW.shape]
        static.copy_(images_BCHW)
        return replay()

    def _forward(self, images_BCHW: Tensor) -> Tensor:
        with torch.autocast(images_BCHW.device.type, torch.bfloat16, enabled=self.autocast):
            logits_BK = self.model(images_BCHW)
        return logits_BK.float()
