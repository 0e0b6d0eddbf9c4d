"""Recipes: how a network is trained or fine-tuned (floor 1)."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from resnest_bench.specs.base import (
    CountInt,
    Name,
    NonNegativeFloat,
    Number,
    PositiveFloat,
    PositiveInt,
    Probability,
    Share,
    Spec,
)
from resnest_bench.specs.optimizers import OptimizerSpec, Sgd

# The parts of a training that follow its seed by default.
Part = Literal["init", "order", "augmentation", "data"]
VARY: tuple[Part, ...] = ("init", "order", "augmentation")


class TeacherSpec(Spec):
    """Knowledge distillation from a training of the same study, with the student's seed.

    The loss is (1 - weight) * cross entropy + weight * T^2 * KL(teacher || student) of the softmax of
    logits / T (Hinton et al., arXiv:1503.02531). The defaults are those of Tian et al.
    (arXiv:1910.10699, section A.2).
    """

    # Another name for the same training changes no result: the job's spec holds the teacher's own.
    NO_RESULT: ClassVar[frozenset[str]] = frozenset({"train", "variant"})

    train: str = Field(
        description="DATASET/RECIPE of a train block of this study. The dataset is the student's"
    )
    variant: Name = Field(description="Name of the teacher, which that block trains")
    temperature: PositiveFloat = Field(default=4.0, description="Temperature T of both softmaxes")
    weight: Annotated[Number, Field(gt=0, le=1, allow_inf_nan=False)] = Field(
        default=0.9, description="Weight of the teacher in the loss; the rest is for the labels"
    )

    @field_validator("train")
    @classmethod
    def _dataset_and_recipe(cls, train: str) -> str:
        if train.count("/") != 1:
            raise ValueError(f"train is DATASET/RECIPE, like cifar10/paper20, but got {train!r}")
        return train


def _check_flip(value: Any) -> Any:
    if value == "alternating" or isinstance(value, bool):
        return value
    raise ValueError(f"must be true or false, or alternating, but got {value!r}")


Flip = Annotated[bool | Literal["alternating"], BeforeValidator(_check_flip)]
COLOR_KEYS = ("random_augment", "auto_augment")


class RecipeSpec(Spec):
    """Optimizer, schedule, augmentation, and everything else that decides a training run."""

    # As many processes share a batch; they compute the same, but for rounding. The record counts them.
    NO_RESULT: ClassVar[frozenset[str]] = frozenset({"gpus"})

    epochs: PositiveInt = Field(description="Passes over the training images")
    batch_size: PositiveInt = Field(default=256, description="Images per step")
    learning_rate: PositiveFloat = Field(
        description="Peak, at the stated batch_size; it is never scaled behind your back"
    )
    head_learning_rate_factor: PositiveFloat = Field(
        default=1.0, description="Factor of the classifier's learning rate"
    )
    norm_bias_learning_rate_factor: PositiveFloat = Field(
        default=1.0,
        description="The learning rate of the biases of norm layers is this times the others', and their "
        "weight decay is divided by it",
    )
    optimizer: OptimizerSpec = Field(
        default=Sgd(),
        description="sgd, adam, adamw, nadamw, rmsprop, lamb, lion or muon: its name, or a mapping of "
        "`name` and its own keys",
    )
    momentum: Probability = Field(
        default=0.9, description="Momentum of SGD; other optimizers have their own"
    )
    nesterov: bool = Field(default=False, description="Nesterov's momentum")
    weight_decay: NonNegativeFloat = Field(
        default=1e-4,
        description="L2 for sgd, adam and rmsprop; decoupled, times the learning rate, for the others",
    )
    decay_norm_and_bias: bool = Field(
        default=True, description="Whether weight decay covers norm layers and biases"
    )
    layer_decay: Share = Field(
        default=1.0,
        description="Layer-wise decay of the learning rate: each block has this times the rate of the "
        "one after it; 1 is off",
    )
    clip_grad_norm: NonNegativeFloat = Field(
        default=0.0, description="Gradients are scaled down to this norm at most; 0 is off"
    )
    accumulation_steps: PositiveInt = Field(
        default=1,
        description="A batch goes through the network in this many parts, whose gradients add up: "
        "less memory, and batch norm sees one part at a time",
    )
    ema_decay: Probability = Field(
        default=0.0,
        description="Exponential moving average of the weights, which is what is evaluated; 0 is off",
    )
    ema_warmup: bool = Field(
        default=False, description="Start the average with a low decay that rises to ema_decay"
    )
    lookahead_steps: CountInt = Field(
        default=0,
        description="Lookahead: slow weights follow the trained ones after this many updates, and the trained "
        "ones go back to them; they are what is kept at the end. 0 is off, 5 the usual number",
    )
    lookahead_alpha: Share = Field(
        default=0.5, description="With lookahead_steps: the share of the way that slow weights go"
    )
    schedule: Literal["cosine", "linear", "step", "one_cycle", "constant"] = Field(
        default="cosine",
        description="cosine and linear fall to min_learning_rate at the last step. step: times "
        "step_factor at each of step_epochs. one_cycle: up for warmup_epochs along a cosine, from a "
        "25th of the peak, then down along another",
    )
    min_learning_rate: NonNegativeFloat = Field(
        default=0.0, description="The floor of the schedule, which warm-up does not start from"
    )
    step_epochs: tuple[PositiveInt, ...] = Field(
        default=(), description="For schedule step: epochs after which the rate falls"
    )
    step_factor: Probability = Field(default=0.1, description="For schedule step: the factor")
    warmup_epochs: NonNegativeFloat = Field(
        default=0.0, description="Epochs of linear rise from 0 to the peak"
    )
    class_weights: Literal["none", "balanced"] = Field(
        default="none",
        description="balanced: the loss of an image counts in inverse proportion to the training images "
        "of its class, one on average",
    )
    sampling: Literal["shuffled", "balanced"] = Field(
        default="shuffled",
        description="shuffled: each training image once per epoch. balanced: as many draws, with "
        "replacement, each class as often as any other",
    )
    label_smoothing: Probability = Field(
        default=0.0,
        description="Label smoothing: the share of the label that is spread over all classes",
    )
    teacher: TeacherSpec | None = Field(
        default=None,
        description="Distillation from another training of the study; null: from the labels alone",
    )
    mixup_alpha: NonNegativeFloat = Field(
        default=0.0, description="Mixup's Beta(alpha, alpha); 0 is off"
    )
    cutmix_alpha: NonNegativeFloat = Field(
        default=0.0,
        description="CutMix's Beta(alpha, alpha); 0 is off. With mixup too, each batch takes one of both",
    )
    dropout: Probability = Field(
        default=0.0, description="Before the classifier, where the variant sets none"
    )
    zero_last_gamma: bool = Field(
        default=False, description="Start the last norm scale of every residual block at 0"
    )
    crop: Literal["none", "pad4", "reflect2", "random_resized"] = Field(
        default="none",
        description="none: as in evaluation. pad4: shift by up to an eighth of the side (4 pixels at "
        "32), with black around the image. reflect2: shift by up to a 16th of the side (2 pixels at 32, "
        "at least one), with the image mirrored at its edges. random_resized: scale 0.08 to 1, aspect "
        "3/4 to 4/3",
    )
    flip: Flip = Field(
        default=False,
        description="true: mirror half of the images left to right, drawn anew in each epoch. "
        "alternating: drawn once, and the other half in every second epoch, so that two epochs show each "
        "image both ways",
    )
    random_augment: bool = Field(
        default=False, description="torchvision's RandAugment (2 operations, magnitude 9)"
    )
    auto_augment: Literal["none", "trivial", "cifar10", "imagenet"] = Field(
        default="none",
        description="torchvision's TrivialAugmentWide, or AutoAugment with the policy of that dataset",
    )
    random_erasing: Share = Field(
        default=0.0,
        description="Share of the images in which a rectangle is replaced by their mean",
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
        "is measured at the start of its job. It changes results only by rounding",
    )
    mode: Literal["auto", "eager", "compiled", "cudagraph"] = Field(
        default="auto",
        description="How a step is run. auto: on a GPU a CUDA graph, on a CPU eager, and compiled "
        "where that pays for itself within the job. It changes results only by rounding",
    )
    gpus: PositiveInt = Field(
        default=1,
        description="GPUs that share each batch of a training, which stays as large as it is. A machine with fewer "
        "takes those it has, and one without GPUs its CPU. Results differ by rounding, so that a change makes "
        "no record stale",
    )
    evaluate_every: PositiveInt = Field(
        default=1, description="Epochs between two evaluations; the last epoch is always evaluated"
    )
    validation_fraction: Probability = Field(
        default=0.0,
        description="Share of the training images, per class, held out by seed. Select on these; "
        "the test images are never selected on",
    )

    vary: tuple[Part, ...] = Field(
        default=VARY,
        description="What follows the seed; the rest is that of seed 0. init: initial weights. order: of "
        "the images. augmentation: and dropout, mixup and CutMix. data: a bootstrap of the training images",
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
        for rule in (self._optimizer_rule(), self._schedule_rule(), self._other_rule()):
            if rule:
                raise ValueError(rule)
        return self

    def _optimizer_rule(self) -> str | None:
        """Return the rule that the optimizer or its keys break, if any."""
        fields = type(self).model_fields
        if self.optimizer.name != "sgd":
            for key in ("momentum", "nesterov"):
                if getattr(self, key) != fields[key].default:
                    return (
                        f"{key} is SGD's, but the optimizer is {self.optimizer.name}: remove it, or set "
                        "what this optimizer has instead under optimizer (config/README.md)"
                    )
        if not self.optimizer.RECORDABLE and self.mode == "cudagraph":
            return (
                f"mode cudagraph is for sgd, adam and adamw, but the optimizer is "
                f"{self.optimizer.name}: take mode auto or eager"
            )
        return None

    def _schedule_rule(self) -> str | None:
        if bool(self.step_epochs) != (self.schedule == "step"):
            return "step_epochs lists the epochs of schedule: step: set both, or none of them"
        if list(self.step_epochs) != sorted(set(self.step_epochs)):
            return f"step_epochs must rise, but are {list(self.step_epochs)}"
        if self.step_epochs and self.step_epochs[-1] >= self.epochs:
            return (
                f"step_epochs must be less than epochs, but {self.step_epochs[-1]} is not less than "
                f"{self.epochs}"
            )
        if self.schedule == "one_cycle" and not self.warmup_epochs:
            return "schedule: one_cycle rises for warmup_epochs: set them, to 0.3 times epochs if unsure"
        if self.min_learning_rate > self.learning_rate:
            return (
                f"min_learning_rate must be at most learning_rate, but {self.min_learning_rate} is more "
                f"than {self.learning_rate}"
            )
        return None

    def _other_rule(self) -> str | None:
        if self.accumulation_steps > self.batch_size // 2:
            return (
                f"accumulation_steps must leave each part at least two images, but {self.batch_size} images in "
                f"{self.accumulation_steps} parts do not"
            )
        if self.gpus > 1 and self.batch_size // self.accumulation_steps < 2 * self.gpus:
            return (
                f"gpus must leave each GPU at least two images at a time, but {self.batch_size} images in "
                f"{self.accumulation_steps} part(s) on {self.gpus} GPUs do not: lower gpus or raise batch_size"
            )
        if self.gpus > 1 and self.mode in ("compiled", "cudagraph"):
            return (
                f"mode {self.mode} is for one GPU, but gpus is {self.gpus}: take mode auto, which runs the steps "
                "of several GPUs eagerly"
            )
        if self.ema_warmup and not self.ema_decay:
            return "ema_warmup needs an ema_decay above 0"
        if not self.lookahead_alpha:
            return (
                "lookahead_alpha must be above 0: with 0 the weights never leave where they start"
            )
        if self.random_augment and self.auto_augment != "none":
            return "random_augment and auto_augment exclude each other: set one of them"
        if not self.vary:
            return "vary must name at least one part: seeds that change nothing are one training"
        if len(set(self.vary)) < len(self.vary):
            return f"vary names a part twice: {', '.join(self.vary)}"
        return None

    def is_evaluated(self, epoch: int) -> bool:
        """Return whether epoch 1, 2, ... is followed by an evaluation."""
        return epoch % self.evaluate_every == 0 or epoch == self.epochs

    @property
    def num_evaluations(self) -> int:
        return -(-self.epochs // self.evaluate_every)

    def part_seed(self, part: Part, seed: int) -> int:
        """Return `seed` if `part` follows it (see `vary`), else 0."""
        return seed if part in self.vary else 0


def check_channels(dataset: str, num_channels: int, name: str, recipe: RecipeSpec) -> None:
    """Raise ValueError if recipe `name` changes colours, and images of `dataset` are not RGB.

    Policies change saturation, posterize and so on: they are made for three channels.
    """
    asked = [key for key in COLOR_KEYS if getattr(recipe, key) not in (False, "none")]
    if asked and num_channels != 3:
        raise ValueError(
            f"recipe {name}: {asked[0]} changes colours of RGB images, but images of {dataset} have "
            f"channels: {num_channels}: take a recipe without it, or set channels: 3"
        )
