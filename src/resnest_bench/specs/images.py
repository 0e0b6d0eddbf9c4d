"""What all datasets have in common: channels, parts, and how copies are reported (floor 1)."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from resnest_bench.digests import json_digest
from resnest_bench.specs.base import CountInt, Number, PositiveFloat, PositiveInt, Spec

UnitFloat = Annotated[Number, Field(ge=0, le=1, allow_inf_nan=False)]
OpenFraction = Annotated[Number, Field(gt=0, lt=1, allow_inf_nan=False)]
ChannelCount = Annotated[int, Field(ge=1, le=256, strict=True)]
RGB_MEAN, RGB_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Leakage = Annotated[
    Literal["error", "warn", "allow"],
    Field(
        description="Where test images are also training images, or one image is under two labels: "
        "error stops before anything is trained; warn says so in the log, under tables, on the "
        "dashboard and in exported pages; allow only counts them in the records",
    ),
]
# What is done about the data or said of them, and changes no array and no result.
POLICIES = ("leakage", "license")


class Dataset(Spec):
    license: str = Field(
        default="",
        description="The data's licence, like CC-BY-4.0, for their description in an RO-Crate; empty: "
        "that of a well-known data set, else 'not stated'",
    )

    @property
    def num_channels(self) -> int:
        """Channels of an image, and so of every network's input (`in_chans`)."""
        return 3

    def as_dict(self) -> dict[str, Any]:
        """Return the spec without POLICIES: changing one doesn't affect arrays and records."""
        return {key: value for key, value in super().as_dict().items() if key not in POLICIES}


class SplitSpec(Spec):
    """How data without a test part are split: by class, with every group in one part."""

    test_fraction: OpenFraction = Field(
        default=0.2,
        description="Share of each class that becomes test images; approximate if there are groups, "
        "which are never divided",
    )
    seed: CountInt = Field(
        default=0, description="Random seed of the split, the same for all trainings"
    )


class ImageDataset(Dataset):
    """What all of a user's own datasets have in common."""

    NO_RESULT: ClassVar[frozenset[str]] = frozenset({"path", "label"})
    # Keys that were added after a release: they count in the digest only if they are set.
    LATER: ClassVar[tuple[str, ...]] = ("broken", "max_value", "split", "validation", "channels")

    source: str
    path: str | None = None
    image_size: PositiveInt | None = Field(
        default=None,
        description="Side of the square that a network sees, in pixels; null: the side of the images",
    )
    mean: tuple[UnitFloat, ...] | None = Field(
        default=None,
        description="One value per channel, from 0 to 1; null: measured on the training images",
    )
    std: tuple[PositiveFloat, ...] | None = Field(
        default=None,
        description="One value per channel, from 0 to 1; null: measured on the training images",
    )
    channels: ChannelCount = Field(
        default=3,
        description="3: RGB; gray images are repeated. 1: gray; colour images become gray. Other "
        "numbers: .npy files of shape (height, width, channels), or TIFF files with that many pages "
        "or samples per pixel",
    )
    validation: Literal["ignore", "hold_out", "train", "test"] = Field(
        default="ignore",
        description="How to use a validation part of the data. ignore: not used. hold_out: recipes with any "
        "validation_fraction above 0 measure on it, and nothing is trained on it. train: added to the "
        "training images. test: replaces a missing test part",
    )
    label: str = Field(
        default="", description="Name of the data in figures; empty: the dataset's name"
    )
    leakage: Leakage = "warn"

    @property
    def num_channels(self) -> int:
        return self.channels

    @property
    def digest(self) -> str:
        """Digest for the folder of the arrays: keys that were added later count only if they are set."""
        stated = self.as_stated()
        return json_digest(
            {k: v for k, v in self.as_dict().items() if k not in self.LATER or k in stated}
        )

    @model_validator(mode="before")
    @classmethod
    def _measure_other_channels(cls, values: Any) -> Any:
        # The defaults are for RGB. For other images, they are measured unless set.
        if isinstance(values, dict) and values.get("channels", 3) != 3:
            return {"mean": None, "std": None, **values}
        return values

    @model_validator(mode="after")
    def _one_value_for_each_channel(self) -> "ImageDataset":
        for key in ("mean", "std"):
            values = getattr(self, key)
            if values is not None and len(values) != self.channels:
                raise ValueError(
                    f"{key} has one value for each channel, but channels is {self.channels} and "
                    f"{key} has {len(values)}: correct one of them, or leave out {key} to have it "
                    "measured"
                )
        return self


class PhotoDataset(ImageDataset):
    """Images in files, of any sizes."""

    NO_RESULT: ClassVar[frozenset[str]] = frozenset({"path", "label", "broken"})

    image_size: PositiveInt = Field(description="Side of the square that a network sees, in pixels")
    mean: tuple[UnitFloat, ...] | None = Field(
        default=RGB_MEAN,
        description="Of each channel in 0 to 1 (ImageNet's RGB); null: measured on the training images",
    )
    std: tuple[PositiveFloat, ...] | None = Field(
        default=RGB_STD,
        description="Of each channel in 0 to 1 (ImageNet's RGB); null: measured on the training images",
    )
    resize: PositiveInt | None = Field(
        default=None,
        description="Shorter side before the centre crop, in pixels; null: image_size (no margin)",
    )
    broken: Literal["error", "skip"] = Field(
        default="error",
        description="Where images can't be used: error lists them all and stops; skip leaves them "
        "out, and the records count them",
    )
    max_value: PositiveFloat | None = Field(
        default=None,
        description="The value that is white in images of more than 8 bits a channel, like 4095; "
        "null: 255, 1023, 4095, 16383 or 65535, where the largest value of all images shows which",
    )
    split: SplitSpec | None = Field(
        default=None,
        description="For data without a test part: how test images are chosen. null: the data state "
        "their parts",
    )

    @model_validator(mode="after")
    def _crop_fits(self) -> "PhotoDataset":
        # The images' own size, where it stands for none, has no margin.
        side = self.image_size if self.image_size is not None else self.resize
        if self.resize is not None and side is not None and self.resize < side:
            raise ValueError(
                f"resize must be at least image_size, but {self.resize} is less than {side}"
            )
        return self

    @model_validator(mode="after")
    def _one_test_part(self) -> "PhotoDataset":
        if self.split is not None and self.validation != "ignore":
            raise ValueError(
                "split is for data without parts, and validation for data with parts: remove one of "
                "the two"
            )
        return self
