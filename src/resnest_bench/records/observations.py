"""The parts of a record: raw observations with their units, and the environment (floor 0)."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from resnest_bench.json_values import MAX_INT
from resnest_bench.paths import Job
from resnest_bench.records.ceilings import Ceilings

# About the range of float32, so that sums and squares are finite in float64.
MAX_FLOAT = 3.5e38
SIZE_ARGS = "Arguments set for the image size, since the network was designed for another one"
Finite = Annotated[float, Field(ge=-MAX_FLOAT, le=MAX_FLOAT, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, le=MAX_FLOAT, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=MAX_INT)]
Positive = Annotated[int, Field(ge=1, le=MAX_INT)]


def _check_time(text: str) -> str:
    datetime.fromisoformat(text)
    return text


Time = Annotated[str, AfterValidator(_check_time)]


class RecordModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class JobIdentity(RecordModel):
    kind: Literal["train", "latency", "finetune", "deploy"]
    dataset: str
    recipe: str = Field(description="Training recipe, protocol of a latency, or RECIPE+MODE")
    variant: str
    seed: Count = Field(description="Random seed, or the round of a latency measurement")

    @property
    def job(self) -> Job:
        return Job(**self.model_dump())


class DuplicateCounts(RecordModel):
    """Duplicate images of a dataset.

    A near duplicate is another version of the same picture: recompressed, resized or slightly brightened.
    """

    test_exact: Count = Field(description="Test images with the same pixels as a training image")
    test_near: Count | None = Field(
        description="Further test images that are near duplicates of a training image; null: not checked"
    )
    train_repeated: Count = Field(
        description="Training images with a duplicate among the other training images"
    )
    test_repeated: Count = Field(
        description="Test images with a duplicate among the other test images"
    )
    two_labels: Count = Field(description="Images with a duplicate under another label")


class MadeSplit(RecordModel):
    """How data without a test part were divided."""

    test_fraction: Fraction = Field(description="The share of each class that was asked for")
    seed: Count
    num_groups: Count | None = Field(
        default=None, description="Groups that were kept whole; null: the data have none"
    )


class ImageReading(RecordModel):
    """How a dataset's image files were read; zeros if the dataset is not a folder of images."""

    num_skipped_files: Count = Field(
        default=0, description="Files in the classes' folders without the extension of an image"
    )
    num_misnamed_images: Count = Field(
        default=0, description="Skipped files that are images nevertheless"
    )
    num_broken_images: Count = Field(
        default=0, description="Unreadable images that were skipped because of `broken: skip`"
    )
    num_transparent_images: Count = Field(
        default=0, description="Images with transparent pixels, which were put on white"
    )
    num_deep_images: Count = Field(
        default=0, description="Images with more than 8 bits per channel, scaled to 8"
    )
    white_value: NonNegative | None = Field(
        default=None, description="The value of white in images with more than 8 bits per channel"
    )
    unused_folders: dict[str, Count] = Field(
        default={}, description="Folders next to train/ and test/, and their numbers of images"
    )
    num_given_validation: Count = Field(
        default=0,
        description="Images of the data's own validation part, kept as the last of the training "
        "images by `validation: hold_out`",
    )
    split: MadeSplit | None = Field(
        default=None, description="Null: the data say themselves which images are for testing"
    )


class DatasetIdentity(RecordModel):
    """The data that a job used."""

    name: str
    label: str = Field(description="Name of the data for display")
    fingerprint: str = Field(description="SHA-256 over images, labels and class names")
    num_train: Count | None = Field(
        description="Training images that the job trained on; null in an imported record"
    )
    num_validation: Count | None = Field(
        description="Training images held out by seed; 0 for none, null in an imported record"
    )
    num_test: Count
    classes: list[str]
    train_images_per_class: list[Count] = Field(
        default=[],
        description="In the order of `classes`, held-out images included. Empty in records from "
        "before it was kept",
    )
    test_images_per_class: list[Count] = Field(
        default=[],
        description="In the order of `classes`. Empty in older records",
    )
    duplicates: DuplicateCounts | None = Field(
        default=None, description="Null: not checked, as in older records"
    )
    reading: ImageReading = ImageReading()


class EpochObservation(RecordModel):
    epoch: Positive
    learning_rate: NonNegative = Field(description="At the first step of the epoch")
    train_loss: Finite = Field(description="Mean over the images seen, in nats")
    train_accuracy: Fraction = Field(description="Running accuracy, in training mode")
    validation_accuracy: Fraction | None
    test_accuracy: Fraction | None = Field(description="Null in an epoch without evaluation")
    test_loss: Finite | None = Field(description="Mean cross entropy in nats")
    train_seconds: NonNegative
    evaluation_seconds: NonNegative
    images_per_second: NonNegative


class WeightsObservation(RecordModel):
    source: str = Field(description="hub NAME, file PATH or train JOB")
    sha256: str | None
    license: str | None = None
    key: str | None = Field(
        default=None, description="Entry of the file that was used; null: the whole file"
    )
    renamed: dict[str, Count] = Field(
        default={},
        description="Prefix that was removed from names of tensors, like `module.`, to the number of "
        "tensors",
    )
    ignored: list[str] = Field(
        default=[], description="Tensors of the file that are not part of the network"
    )
    converted: list[str] = Field(
        default=[], description="First convolutions converted from RGB to the dataset's channels"
    )


class DataInitObservation(RecordModel):
    """Layers whose initial weights were computed from training images."""

    layers: list[str]
    num_images: Positive = Field(description="Training images, chosen by the seed of the weights")


class ProbeObservation(RecordModel):
    """One way to run the steps of a training, timed before the training started."""

    layout: str
    mode: str
    batch_size: Count
    step_ms: NonNegative = Field(description="Median of a few steps, interleaved with the others")


class LeftOutObservation(RecordModel):
    """One way to run the steps that did not work on this machine."""

    layout: str
    mode: str
    reason: str


class ShortageObservation(RecordModel):
    """The step in which memory ran out, and the number of images at a time from then on."""

    epoch: Positive
    step: Positive = Field(description="Of the epoch; it was repeated")
    micro_batch_size: Positive


class ExecutionObservation(RecordModel):
    """How a training was executed. Its precision is that of the recipe.

    Layout, mode and processes affect results by rounding, micro-batches by batch norm's statistics.
    """

    layout: str
    mode: str
    probe: list[ProbeObservation] = Field(description="Empty if the recipe leaves no choice")
    left_out: list[LeftOutObservation] = Field(
        default=[], description="What failed on this machine, with an error or a crash"
    )
    seeds_at_once: Positive = Field(
        default=1, description="1; in an earlier release, several trainings could share a process"
    )
    micro_batch_size: Positive | None = Field(
        default=None,
        description="Images at a time at the end, if whole batches did not fit into memory; batch norm "
        "saw only these. Null: whole batches",
    )
    num_threads: Positive | None = Field(
        default=None,
        description="Threads of torch on a CPU, the same for all seeds. Null: a GPU, or an older record",
    )
    num_processes: Positive = Field(
        default=1, description="Processes that shared each batch, each with a GPU of its own"
    )
    shortages: list[ShortageObservation] = Field(
        default=[], description="Empty if an earlier seed had found the size"
    )


class PredictionsObservation(RecordModel):
    """The file next to the record with what the final model says of each test image."""

    format: Literal[1]
    sha256: str
    all_classes: bool = Field(description="Whether it has the probability of every class")


class TrainObservations(RecordModel):
    num_params: Count
    num_trainable_params: Count
    epochs: list[EpochObservation]
    num_test: Count
    test_correct: str = Field(
        description="Whether the final model is right, one bit per test image: base64 of numpy.packbits"
    )
    test_predictions_per_class: list[Count] = Field(
        default=[],
        description="Test images that the final model assigns to each class, in the order of the "
        "dataset's `classes`. Empty in older records",
    )
    predictions: PredictionsObservation | None = Field(
        default=None, description="Null in older records"
    )
    wall_seconds: NonNegative = Field(description="Sum over all sessions of a resumed training")
    num_resumes: Count
    initial_weights: WeightsObservation | None
    data_init: DataInitObservation | None = Field(
        default=None, description="Null: no initial weights were computed from training images"
    )
    teacher: WeightsObservation | None = Field(
        default=None, description="Of the teacher in a distillation; null: none"
    )
    size_args: dict[str, JsonValue] = Field(default={}, description=SIZE_ARGS)
    final_weights_sha256: str | None = Field(description="Of the kept .safetensors file, if any")
    execution: ExecutionObservation | None = Field(
        default=None, description="Null in older records"
    )


class DeviceState(RecordModel):
    """The state that the device reported. Null if it reported none."""

    sm_clock_mhz: Finite | None = None
    memory_clock_mhz: Finite | None = None
    temperature_c: Finite | None = None
    power_w: Finite | None = None
    throttle_reasons: list[str] | None = None
    num_other_processes: Count | None = None
    cpu_load_1min: Finite | None = None


class LatencyCell(RecordModel):
    """Steady state at one batch size, precision, layout and mode."""

    batch_size: Positive
    precision: str
    layout: str
    mode: str
    first_call_ms: NonNegative = Field(
        description="First call in this setting: compilation, capture, algorithm choice"
    )
    num_warmup: Count
    samples_ms: list[NonNegative] = Field(
        description="Wall clock, synchronised before and after each call"
    )
    device_samples_ms: list[NonNegative] | None = Field(description="CUDA events; null on a CPU")
    peak_memory_bytes: Count | None = Field(
        description="GPU: peak allocated. CPU: null, since a process has one peak, not one per cell"
    )
    output_error: NonNegative | None = Field(
        default=None, description="||logits - eager logits|| / ||eager logits||; null for eager"
    )


class ReferenceTiming(RecordModel):
    """Timing of a fixed network before and after the variant, to check whether the machine was steady."""

    model: str
    batch_size: Positive
    before_ms: list[NonNegative]
    after_ms: list[NonNegative]


class PaperTiming(RecordModel):
    """Total time of consecutive batches, as the paper measures it; divide it by the number of images."""

    batch_size: Positive
    num_batches: Positive
    total_ms: NonNegative


class UnavailableCell(RecordModel):
    """A setting that could not be measured here, and why."""

    batch_size: Positive | None
    precision: str
    layout: str
    mode: str
    reason: str
    does_not_fit: bool = Field(default=False, description="Memory ran out at this batch size")
    memory_bytes: Count | None = Field(
        default=None, description="If it does not fit: the total memory of the device"
    )


class LatencyObservations(RecordModel):
    image_size: Positive
    in_chans: Positive = Field(
        default=3, description="Channels of an image, as the dataset has them"
    )
    num_classes: Positive
    size_args: dict[str, JsonValue] = Field(default={}, description=SIZE_ARGS)
    num_params: Count
    num_macs: Count = Field(description="Multiply-accumulates of one image")
    num_activations: Count = Field(
        description="Elements of the outputs of convolutions, linear layers and attention. 0: not counted "
        "(older records, whose uncounted_operators include conv2d and linear)"
    )
    uncounted_operators: dict[str, Count] = Field(description="Operator to number of calls")
    num_operators: Count | None = Field(
        default=None, description="Operators started in one call; null in older records"
    )
    ceilings: list[Ceilings] = Field(
        default=[], description="What the device reached in this job; empty in older records"
    )
    build_ms: NonNegative
    cold_start_ms: NonNegative = Field(
        description="From the start of building the model to its first output, at batch 1"
    )
    first_call_ms: NonNegative = Field(description="The part of the cold start in the first call")
    cells: list[LatencyCell]
    unavailable: list[UnavailableCell]
    paper: PaperTiming | None
    paper_does_not_fit: bool = Field(
        default=False, description="Memory ran out at the batch size of `paper`, which is null"
    )
    reference: ReferenceTiming
    peak_rss_bytes: Count = Field(description="Of the whole process, over all cells")
    state_before: DeviceState
    state_after: DeviceState


class Environment(RecordModel):
    git_commit: str | None
    git_dirty: bool | None
    python: str
    versions: dict[str, str]
    os: str
    device_kind: Literal["cpu", "cuda"]
    device_name: str
    device_index: Count | None
    cuda: str | None
    cudnn: Count | None
    driver: str | None
    cpu_model: str
    num_cpu_threads: Positive
    allocator: str | None = Field(default=None, description="Setting of malloc; null: the default")
    precision_flags: dict[str, bool | str]
    forked: bool = Field(default=False, description="A fork of a process that had imported torch")


class Failure(RecordModel):
    reason: str
    epoch: Positive | None = None
    step: Positive | None = None
