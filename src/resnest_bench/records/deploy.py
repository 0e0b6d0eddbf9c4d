"""What a record holds of a trained network in one deployment mode (floor 0)."""

from pydantic import Field

from resnest_bench.records.observations import (
    Count,
    Finite,
    Fraction,
    NonNegative,
    Positive,
    PredictionsObservation,
    RecordModel,
    WeightsObservation,
)


class DeployObservations(RecordModel):
    """The test images that a trained network classifies correctly in one deployment mode."""

    mode: str
    num_params: Count
    num_test: Count
    test_correct: str = Field(
        description="Whether the network is right, one bit per test image: base64 of numpy.packbits"
    )
    test_loss: Finite = Field(description="Mean cross entropy in nats")
    test_predictions_per_class: list[Count] = Field(
        description="Test images assigned to each class, in the order of the dataset's `classes`"
    )
    predictions: PredictionsObservation
    weights: WeightsObservation = Field(description="The training's weights")
    batch_size: Positive = Field(description="Images in one call")
    num_calibration: Count = Field(
        description="Training images from which the ranges of int8 activations come; 0: none"
    )
    file_bytes: Count = Field(
        description="Size on disk of what the mode runs: its files, or torch's weights in its precision"
    )
    output_error: NonNegative = Field(
        description="||logits - eager logits|| / ||eager logits|| of the first batch of test images"
    )
    agreement: Fraction = Field(
        description="Share of that batch in the same class as in eager mode, in fp32"
    )
    export_seconds: NonNegative = Field(
        description="Export, quantisation and the start of a session; in torch, the change of the network"
    )
