"""Accuracy on images that nothing was selected on."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from resnest_bench.device.graphs import Capture
from resnest_bench.device.memory import free_memory, is_out_of_memory

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """Per image, in the order they came: whether it is `correct`, and the class in `predictions`.

    `correct` is (N,) bool, `predictions` (N,) int64, `loss` the mean in nats. Where they were asked for,
    `labels` is (N,) int64 and `log_probabilities` (N, K) float16, natural logarithms.
    """

    correct: np.ndarray
    predictions: np.ndarray
    loss: float
    labels: np.ndarray | None = None
    log_probabilities: np.ndarray | None = None

    @property
    def accuracy(self) -> float:
        return float(self.correct.mean())


class Evaluator:
    """Evaluates `model`, with `autocast` in bfloat16.

    With `capture` (see `measure.graphs`) its forward pass is recorded once for each shape of a
    batch, and replayed from then on, whatever the weights have become.

    A batch that does not fit into memory is halved, down to single images: each image's logits are
    its own, so that only their rounding can differ.
    """

    def __init__(
        self, model: nn.Module, autocast: bool = False, capture: Capture[Tensor] | None = None
    ) -> None:
        self.model, self.autocast, self.capture = model, autocast, capture
        self.recorded: dict[torch.Size, tuple[Tensor, Callable[[], Tensor]]] = {}
        self.at_once: int | None = None

    @torch.no_grad()
    def __call__(
        self, batches: Iterable[tuple[Tensor, Tensor]], keep_probabilities: bool = False
    ) -> Evaluation:
        """Top-1 correctness and mean cross entropy over `batches` of (images_BCHW, labels_B).

        `keep_probabilities` asks for the labels and the probability of every class too. The model is left
        in the mode that it came in.
        """
        training = self.model.training
        self.model.eval()
        hits: list[Tensor] = []
        answers: list[Tensor] = []
        labels: list[Tensor] = []
        logs: list[Tensor] = []
        loss_sum = None
        try:
            for images_BCHW, labels_B in batches:
                logits_BK = self.logits(images_BCHW)
                loss = functional.cross_entropy(logits_BK, labels_B, reduction="sum")
                loss_sum = loss if loss_sum is None else loss_sum + loss
                answers.append(logits_BK.argmax(dim=1))
                hits.append(answers[-1] == labels_B)
                if keep_probabilities:
                    labels.append(labels_B)
                    logs.append(_log_probabilities(logits_BK))
        finally:
            self.model.train(training)
        assert loss_sum is not None, "an evaluation needs at least one batch"
        correct = torch.cat(hits).cpu().numpy()
        predictions = torch.cat(answers).cpu().numpy()
        return Evaluation(
            correct,
            predictions,
            float(loss_sum) / len(correct),
            torch.cat(labels).cpu().numpy() if labels else None,
            torch.cat(logs).cpu().numpy() if logs else None,
        )

    @torch.no_grad()
    def logits(self, images_BCHW: Tensor) -> Tensor:
        """Logits (B, K) in float32, of as many images at once as fit. The model's mode is left alone."""
        while True:
            parts = images_BCHW.split(self.at_once or len(images_BCHW))
            try:
                # A recording's output is overwritten by its next replay.
                logits = [self._replayed(part).clone() for part in parts]
                return logits[0] if len(logits) == 1 else torch.cat(logits)
            except Exception as error:
                if not is_out_of_memory(error) or (self.capture is None and len(parts[0]) == 1):
                    raise
                log.warning("memory ran out while %d images were evaluated", len(parts[0]))
            self._make_room(len(parts[0]), images_BCHW.device)

    def _make_room(self, at_once: int, device: torch.device) -> None:
        """Give up recordings, which keep their memory, and only then half of the images."""
        if self.capture is None:
            self.at_once = max(1, at_once // 2)
        self.capture = None
        self.recorded.clear()
        free_memory(device)

    def _replayed(self, images_BCHW: Tensor) -> Tensor:
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
            logits_BK: Tensor = self.model(images_BCHW)
        return logits_BK.float()


def _log_probabilities(logits_BK: Tensor) -> Tensor:
    """Logarithms of the probabilities, (B, K) float16: of one of 0 the lowest number that there is."""
    logs_BK = functional.log_softmax(logits_BK, dim=1)
    return logs_BK.clamp(min=torch.finfo(torch.float16).min).half()
