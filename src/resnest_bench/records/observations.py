"""What a record says that was seen, and on what: raw, in stated units, closed (floor 0)."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from resnest_bench.json_values import MAX_INT
from resnest_bench.paths import Job

# What float32 can hold: sums and squares of it are finite in a table's doubles.
MAX_FLOAT = 3.5e38
SIZE_ARGS = (
    "Arguments that were set for the image size, in addition to the variant's own, since the network "
    "is made for another one"
)
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
    kind: Literal["train", "latency", "finetune"]
    dataset: str
    recipe: str = Field(description="Training recipe, or the protocol of a latency")
    variant: str
    seed: Count = Field(description="Random seed, or the round of a latency measurement")

    @property
    def job(self) -> Job:
        return Job(**self.model_dump())


class DuplicateCounts(RecordModel):
    """Images that a dataset holds more than once.

    A near copy is another file of the same picture: recompressed, resized or slightly brightened.
    """

    test_exact: Count = Field(description="Test images whose pixels are those of a training image")
    test_near: Count | None = Field(
        description="Further test images that look like a training image; null: not looked for"
    )
    train_repeated: Count = Field(
        description="Training images with a copy among the other training images"
    )
    test_repeated: Count = Field(description="Test images with a copy among the other test images")
    two_labels: Count = Field(description="Images of both parts with a copy under another label")


class MadeSplit(RecordModel):
    """How data without a test part were divided."""

    test_fraction: Fraction = Field(description="The share of each class that was asked for")
    seed: Count
    num_groups: Count | None = Field(
        default=None, description="Groups that were kept whole; null: the data have none"
    )


class ImageReading(RecordModel):
    """How a dataset's images came out of their files; zeros for data that is no folder of images."""

    num_skipped_files: Count = Field(
        default=0, description="Files in the classes' folders that are no images by their endings"
    )
    num_misnamed_images: Count = Field(
        default=0, description="Of the skipped files: those that hold an image all the same"
    )
    num_broken_images: Count = Field(
        default=0, description="Images that cannot be used and were left out, by `broken: skip`"
    )
    num_transparent_images: Count = Field(
        default=0, description="Images with transparent pixels, which are shown on white"
    )
    num_deep_images: Count = Field(
        default=0, description="Images of more than 8 bits a channel, scaled to 8"
    )
    white_value: NonNegative | None = Field(
        default=None, description="The value that is white in images of more than 8 bits a channel"
    )
    unused_folders: dict[str, Count] = Field(
        default={}, description="Folders beside train/ and test/, with the images that they hold"
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
    """The arrays that a job saw."""

    name: str
    label: str = Field(description="How the data must be called wherever a figure is shown")
    fingerprint: str = Field(description="SHA-256 over images, labels and class names")
    num_train: Count = Field(description="Training images that the job trained on")
    num_validation: Count = Field(description="Training images held out by seed; 0 for none")
    num_test: Count
    classes: list[str]
    train_images_per_class: list[Count] = Field(
        default=[],
        description="In the order of `classes`, held-out images included. Empty in records from "
        "before it was kept",
    )
    test_images_per_class: list[Count] = Field(
        default=[],
        description="In the order of `classes`. Empty in records from before it was kept",
    )
    duplicates: DuplicateCounts | None = Field(
        default=None, description="Null: not looked for, as in records from before it was"
    )
    reading: ImageReading = ImageReading()


class EpochObservation(RecordModel):
    epoch: Positive
    learning_rate: NonNegative = Field(description="At the first step of the epoch")
    train_loss: Finite = Field(description="Mean over the images seen, in nats")
    train_accuracy: Fraction = Field(description="Running accuracy, in training mode")
    validation_accuracy: Fraction | None
    test_accuracy: Fraction | None = Field(
        description="Null in an epoch that the recipe does not evaluate"
    )
    test_loss: Finite | None = Field(description="Mean cross entropy in nats")
    train_seconds: NonNegative
    evaluation_seconds: NonNegative
    images_per_second: NonNegative


class WeightsObservation(RecordModel):
    source: str = Field(description="hub NAME, file PATH or train JOB")
    sha256: str | None
    license: str | None = None
    key: str | None = Field(
        default=None, description="Entry of the file that was taken; null: the file is the mapping"
    )
    renamed: dict[str, Count] = Field(
        default={},
        description="What was removed from names so that they fit the network, like `module.`, to "
        "the number of tensors",
    )
    ignored: list[str] = Field(
        default=[], description="Tensors of the file that lie outside the renamed network"
    )
    converted: list[str] = Field(
        default=[],
        description="First convolutions that were made for RGB, and converted to the dataset's channels",
    )


class ProbeObservation(RecordModel):
    """One way to run the steps of a training, timed before it began."""

    layout: str
    mode: str
    batch_size: Count
    step_ms: NonNegative = Field(description="Median of a few steps, taken in turn with the others")


class LeftOutObservation(RecordModel):
    """One way to run the steps that did not work here, so that it was not taken."""

    layout: str
    mode: str
    reason: str


class ShortageObservation(RecordModel):
    """The step in which memory ran out, and with how many images at once the training went on."""

    epoch: Positive
    step: Positive = Field(description="Of the epoch; it was done over")
    micro_batch_size: Positive


class ExecutionObservation(RecordModel):
    """How a training was run. Precision is the recipe's.

    Layout and mode change results by rounding alone. A micro-batch changes more:
    batch norm sees its images, not those of the whole batch.
    """

    layout: str
    mode: str
    probe: list[ProbeObservation] = Field(description="Empty where the recipe leaves nothing open")
    left_out: list[LeftOutObservation] = Field(
        default=[], description="What could not be run here: an error, or a crash of its process"
    )
    seeds_at_once: Positive = Field(
        default=1, description="1; an earlier release let several trainings share a process"
    )
    micro_batch_size: Positive | None = Field(
        default=None,
        description="Images at once in the end, where whole batches did not fit into memory: their "
        "gradients were added up to the batch's, but batch norm saw no more. Null: whole batches",
    )
    num_threads: Positive | None = Field(
        default=None,
        description="Threads of torch on a CPU, which all seeds of a variant keep: results with others "
        "differ by rounding. Null: on a GPU, and in records of before (see environment)",
    )
    shortages: list[ShortageObservation] = Field(
        default=[], description="Since when; empty where an earlier seed had found the size"
    )


class PredictionsObservation(RecordModel):
    """The file next to the record with what the final model says of each test image."""

    format: Literal[1]
    sha256: str
    all_classes: bool = Field(
        description="Whether it holds the probability of every class; else a few figures per image"
    )


class TrainObservations(RecordModel):
    num_params: Count
    num_trainable_params: Count
    epochs: list[EpochObservation]
    num_test: Count
    test_correct: str = Field(
        description="Final model, one bit an image in test order: base64 of numpy.packbits"
    )
    test_predictions_per_class: list[Count] = Field(
        default=[],
        description="Test images that the final model takes for each class, in the order of the "
        "dataset's `classes`. Empty in records from before it was kept",
    )
    predictions: PredictionsObservation | None = Field(
        default=None, description="Null in records from before they were kept"
    )
    wall_seconds: NonNegative = Field(description="Sum over all sessions, if it was resumed")
    num_resumes: Count
    initial_weights: WeightsObservation | None
    teacher: WeightsObservation | None = Field(
        default=None, description="Of the network that it was distilled from; null: none"
    )
    size_args: dict[str, JsonValue] = Field(default={}, description=SIZE_ARGS)
    final_weights_sha256: str | None = Field(description="Of the kept .safetensors file, if any")
    execution: ExecutionObservation | None = Field(
        default=None, description="Null in records from before it was kept"
    )


class DeviceState(RecordModel):
    """What the device said of itself. Null where it says nothing."""

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
    samples_ms: list[NonNegative] = Field(description="Wall clock, synchronised at both ends")
    device_samples_ms: list[NonNegative] | None = Field(description="CUDA events; null on a CPU")
    peak_memory_bytes: Count | None = Field(
        description="GPU: peak allocated. CPU: null, since a process has one peak, not one a cell"
    )
    output_error: NonNegative | None = Field(
        default=None, description="||logits - eager logits|| / ||eager logits||; null for eager"
    )


class ReferenceTiming(RecordModel):
    """A fixed network timed beside the variant: how steady was the machine?"""

    model: str
    batch_size: Positive
    before_ms: list[NonNegative]
    after_ms: list[NonNegative]


class PaperTiming(RecordModel):
    """The paper's figure: time of consecutive batches, divided by the number of images."""

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
        default=None, description="Where it does not fit: all the memory of the device"
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
        description="Elements of the outputs of convolutions, linears and attention. 0: not counted "
        "(records of old code, whose uncounted_operators name conv2d and linear)"
    )
    uncounted_operators: dict[str, Count] = Field(description="Operator to number of calls")
    build_ms: NonNegative
    cold_start_ms: NonNegative = Field(
        description="From before the model is built to its first output, batch 1"
    )
    first_call_ms: NonNegative = Field(description="The first call's share of the cold start")
    cells: list[LatencyCell]
    unavailable: list[UnavailableCell]
    paper: PaperTiming | None
    paper_does_not_fit: bool = Field(
        default=False,
        description="Memory ran out at the batch of the paper's figure, which is null",
    )
    reference: ReferenceTiming
    peak_rss_bytes: Count = Field(description="The whole process, all cells")
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
    allocator: str | None = Field(
        default=None, description="How malloc was set; null: as the system has it"
    )
    precision_flags: dict[str, bool | str]


class Failure(RecordModel):
    reason: str
    epoch: Positive | None = None
    step: Positive | None = None
