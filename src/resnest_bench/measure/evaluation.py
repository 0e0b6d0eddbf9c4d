"""Accuracy on images that nothing was selected on."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Evaluation:
    """`correct` has one boolean an image, in the order they came; `loss` is in nats."""

    correct: np.ndarray
    loss: float

    @property
    def accuracy(self) -> float:
        return float(self.correct.mean())


@torch.no_grad()
def evaluate(
    model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], autocast: bool = False
) -> Evaluation:
    """Top-1 correctness and mean cross entropy over `batches` of (images_BCHW, labels_B).

    The model is left in the mode that it came in. With `autocast`, in bfloat16.
    """
    training = model.training
    model.eval()
    hits: list[Tensor] = []
    loss_sum = None
    try:
        for images_BCHW, labels_B in batches:
            with torch.autocast(images_BCHW.device.type, torch.bfloat16, enabled=autocast):
                logits_BK = model(images_BCHW)
            logits_BK = logits_BK.float()
            loss = functional.cross_entropy(logits_BK, labels_B, reduction="sum")
            loss_sum = loss if loss_sum is None else loss_sum + loss
            hits.append(logits_BK.argmax(dim=1) == labels_B)
    finally:
        model.train(training)
    assert hits, "evaluate needs at least one batch"
    correct = torch.cat(hits).cpu().numpy()
    return Evaluation(correct, float(loss_sum) / len(correct))
