"""Recipes: how a network is trained or fine-tuned (floor 1)."""

from typing import Literal

from pydantic import Field, model_validator

from resnest_bench.specs.base import (
    CountInt,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    Probability,
    Spec,
)


class RecipeSpec(Spec):
    """SGD with momentum, and everything else that decides a training run."""

    epochs: PositiveInt = Field(description="Passes over the training images")
    batch_size: PositiveInt = Field(default=256, description="Images in one step")
    learning_rate: PositiveFloat = Field(
        description="Peak, at the stated batch_size; it is never scaled behind your back"
    )
    head_learning_rate_factor: PositiveFloat = Field(
        default=1.0, description="The classifier's learning rate is this times the others'"
    )
    momentum: Probability = Field(default=0.9, description="Of SGD")
    nesterov: bool = Field(default=False, description="Nesterov's momentum")
    weight_decay: NonNegativeFloat = Field(default=1e-4, description="L2, as in torch.optim.SGD")
    decay_norm_and_bias: bool = Field(
        default=True, description="Whether weight decay covers norm layers and biases"
    )
    schedule: Literal["cosine", "constant"] = Field(
        default="cosine", description="Cosine falls to 0 at the last step"
    )
    warmup_epochs: NonNegativeFloat = Field(
        default=0.0, description="Epochs of linear rise from 0 to the peak"
    )
    label_smoothing: Probability = Field(default=0.0, description="Share spread over all classes")
    mixup_alpha: NonNegativeFloat = Field(
        default=0.0, description="Mixup's Beta(alpha, alpha); 0 is off"
    )
    dropout: Probability = Field(
        default=0.0, description="Before the classifier, where the variant sets none"
    )
    zero_last_gamma: bool = Field(
        default=False, description="Start the last norm scale of every residual block at 0"
    )
    crop: Literal["none", "pad4", "random_resized"] = Field(
        default="none",
        description="none: as in evaluation. pad4: shift by up to an eighth of the side (4 pixels at "
        "32). random_resized: scale 0.08 to 1, aspect 3/4 to 4/3",
    )
    flip: bool = Field(default=False, description="Mirror half of the images left to right")
    random_augment: bool = Field(
        default=False, description="torchvision's RandAugment (2 operations, magnitude 9)"
    )
    cutout: CountInt = Field(
        default=0, description="Side in pixels of a square that is blacked out; 0 is off"
    )
    init: Literal["scratch", "pretrained"] = Field(
        default="scratch", description="pretrained: the fine-tuning's weights, with a new head"
    )
    trainable: Literal["all", "head"] = Field(
        default="all", description="head: everything else is frozen, its norm statistics too"
    )
    precision: Literal["fp32", "tf32", "bf16"] = Field(
        default="fp32", description="Of training and of evaluation; tf32 needs an NVIDIA GPU"
    )
    layout: Literal["auto", "contiguous", "channels_last"] = Field(
        default="auto",
        description="Memory layout of training, NCHW or NHWC. auto: which is faster for the variant "
        "is measured at the start of its job. It changes results by rounding alone",
    )
    mode: Literal["auto", "eager", "compiled", "cudagraph"] = Field(
        default="auto",
        description="How a step is run. auto: on a GPU a CUDA graph, on a CPU eager, and compiled "
        "where that pays for itself within the job. It changes results by rounding alone",
    )
    validation_fraction: Probability = Field(
        default=0.0,
        description="Share of the training images, per class, held out by seed. Select on these; "
        "the test images are never selected on",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> "RecipeSpec":
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs must be less than epochs, but {self.warmup_epochs} is not less "
                f"than {self.epochs}"
            )
        if self.trainable == "head" and self.init == "scratch":
            raise ValueError(
                "trainable: head trains a classifier on frozen random features: set init: pretrained"
            )
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")
        return self


TRANSFER_BATCH_SIZE = 128

# paper20 leaves out what the paper leaves out, but for the learning rate, which it does not give:
# 0.1 at batch 256 with a cosine is our choice, the usual one for SGD on these networks.
RECIPES: dict[str, RecipeSpec] = {
    "paper20": RecipeSpec(epochs=20, batch_size=256, learning_rate=0.1, dropout=0.2),
    # arXiv:2004.08955, section 5.1 and its official code, but RandAugment for AutoAugment.
    "resnest": RecipeSpec(
        epochs=270,
        batch_size=256,
        learning_rate=0.1,
        nesterov=True,
        decay_norm_and_bias=False,
        warmup_epochs=5,
        label_smoothing=0.1,
        mixup_alpha=0.2,
        dropout=0.2,
        zero_last_gamma=True,
        crop="pad4",
        flip=True,
        random_augment=True,
    ),
    "smoke": RecipeSpec(epochs=2, batch_size=64, learning_rate=0.05),
    # The paper's transfer. It names 5e-5, with ten times that for the new head, and weight decay 1e-3;
    # it follows a textbook whose code sums the loss over the batch and uses SGD without momentum.
    # On a mean loss both are converted: the rate times the batch size, the decay divided by it
    # (docs/methods.md, "Fine-tuning").
    "paper_finetune": RecipeSpec(
        epochs=5,
        batch_size=TRANSFER_BATCH_SIZE,
        learning_rate=5e-5 * TRANSFER_BATCH_SIZE,
        head_learning_rate_factor=10,
        momentum=0,
        weight_decay=1e-3 / TRANSFER_BATCH_SIZE,
        schedule="constant",
        crop="random_resized",
        flip=True,
        init="pretrained",
    ),
    "head_only": RecipeSpec(
        epochs=5,
        batch_size=TRANSFER_BATCH_SIZE,
        learning_rate=5e-5 * TRANSFER_BATCH_SIZE,
        head_learning_rate_factor=10,
        momentum=0,
        weight_decay=1e-3 / TRANSFER_BATCH_SIZE,
        schedule="constant",
        crop="random_resized",
        flip=True,
        init="pretrained",
        trainable="head",
    ),
    "from_scratch": RecipeSpec(
        epochs=5,
        batch_size=TRANSFER_BATCH_SIZE,
        learning_rate=5e-4 * TRANSFER_BATCH_SIZE,
        momentum=0,
        weight_decay=1e-3 / TRANSFER_BATCH_SIZE,
        schedule="constant",
        crop="random_resized",
        flip=True,
        init="scratch",
    ),
}
