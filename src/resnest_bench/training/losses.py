"""Losses: cross entropy, class weights and distillation.

Shape suffixes: B images of a batch, K classes, N training images.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from resnest_bench.specs import RecipeSpec


def compute_loss(
    logits_BK: Tensor, target: Tensor, recipe: RecipeSpec, class_weights_K: Tensor | None = None
) -> Tensor:
    """Return the mean cross entropy in nats, for class indices (B,) or class probabilities (B, K).

    With weights, the sum of weighted losses is divided by B, not by the sum of the weights in this batch: so
    the gradients of micro-batches add up to that of the batch. Balanced weights are 1 on average.
    """
    if class_weights_K is None:
        return functional.cross_entropy(logits_BK, target, label_smoothing=recipe.label_smoothing)
    total = functional.cross_entropy(
        logits_BK, target, class_weights_K, reduction="sum", label_smoothing=recipe.label_smoothing
    )
    return total / len(target)


def distillation_loss(logits_BK: Tensor, teacher_BK: Tensor, temperature: float) -> Tensor:
    """Return T^2 KL(teacher || student) of softmax(logits / T) in nats, averaged over the batch.

    T^2 keeps the scale of the gradients (Hinton et al., arXiv:1503.02531, section 2).
    """
    student = functional.log_softmax(logits_BK / temperature, dim=1)
    teacher = functional.log_softmax(teacher_BK / temperature, dim=1)
    divergence = functional.kl_div(student, teacher, reduction="batchmean", log_target=True)
    return divergence * temperature**2


def class_weights(recipe: RecipeSpec, labels_N: np.ndarray, num_classes: int) -> Tensor | None:
    """Return the recipe's weights of the classes (K,); None without any."""
    return None if recipe.class_weights == "none" else balanced_weights(labels_N, num_classes)


def balanced_weights(labels_N: np.ndarray, num_classes: int) -> Tensor:
    """Return N / (K n_k), where n_k of N labels are class k, like scikit-learn's `balanced`."""
    counts_K = np.bincount(labels_N, minlength=num_classes)
    weights_K = len(labels_N) / (num_classes * np.maximum(counts_K, 1))
    return torch.tensor(weights_K, dtype=torch.float32)
