"""Datasets and weights: where inputs come from (floor 1)."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from resnest_bench.specs.base import Number, PositiveFloat, PositiveInt, Spec

UnitFloat = Annotated[Number, Field(ge=0, le=1, allow_inf_nan=False)]
Digit = Annotated[int, Field(strict=True)]
ChannelMean = tuple[UnitFloat, UnitFloat, UnitFloat]
ChannelStd = tuple[PositiveFloat, PositiveFloat, PositiveFloat]


class Cifar10Dataset(Spec):
    """CIFAR-10's official archive: 50,000 + 10,000 images of 32x32 in 10 classes."""

    source: Literal["cifar10"]
    path: str | None = Field(
        default=None,
        description="The archive cifar-10-python.tar.gz on this machine; no download then",
    )
    urls: tuple[str, ...] = Field(
        default=("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
        description="Tried in this order until one gives the archive with the official md5",
    )


class ImageFolderDataset(Spec):
    """Any tree of `train/<class>/` and `test/<class>/` with images in it."""

    source: Literal["imagefolder"]
    path: str | None = Field(
        default=None,
        description="On this machine: the folder that holds train/ and test/, or an archive "
        "(.zip, .tar, .tar.gz, .tar.xz) of it",
    )
    urls: tuple[str, ...] = Field(
        default=(), description="Instead of path: the archive's addresses, tried in this order"
    )
    checksum: str | None = Field(
        default=None,
        pattern=r"^(md5|sha1|sha256):[0-9a-f]+$",
        description="Of the archive, like sha256:0f3a...; needed with urls",
    )
    image_size: PositiveInt = Field(description="Side of the square that a network sees, in pixels")
    resize: PositiveInt | None = Field(
        default=None,
        description="Shorter side before the centre crop, in pixels; null: image_size (no margin)",
    )
    mean: ChannelMean = Field(default=(0.485, 0.456, 0.406), description="Of RGB in 0 to 1")
    std: ChannelStd = Field(default=(0.229, 0.224, 0.225), description="Of RGB in 0 to 1")
    label: str = Field(
        default="", description="How figures must call the data; empty takes the dataset's name"
    )

    @model_validator(mode="after")
    def _one_origin(self) -> "ImageFolderDataset":
        if bool(self.path) == bool(self.urls):
            raise ValueError("an imagefolder names either path or urls")
        if self.urls and not self.checksum:
            raise ValueError(
                "urls need a checksum, like sha256:0f3a..., to know a whole download by"
            )
        return self

    @model_validator(mode="after")
    def _crop_fits(self) -> "ImageFolderDataset":
        if self.resize is not None and self.resize < self.image_size:
            raise ValueError(
                f"resize must be at least image_size, but {self.resize} is less than "
                f"{self.image_size}"
            )
        return self


class DigitsDataset(Spec):
    """scikit-learn's 1,797 handwritten digits of 8x8, shown as 3x32x32. Embedded: no download."""

    source: Literal["digits"]
    classes: tuple[Digit, ...] = Field(
        default=tuple(range(10)), description="Which digits; others are left out"
    )

    @field_validator("classes")
    @classmethod
    def _digits(cls, classes: tuple[int, ...]) -> tuple[int, ...]:
        if (
            len(set(classes)) != len(classes)
            or len(classes) < 2
            or not set(classes) <= set(range(10))
        ):
            raise ValueError(
                f"classes lists at least two different digits from 0 to 9, but came {list(classes)}"
            )
        return classes


DatasetSpec = Annotated[
    Cifar10Dataset | ImageFolderDataset | DigitsDataset, Field(discriminator="source")
]


class WeightsSpec(Spec):
    """Where a fine-tuning starts: exactly one of hub, file and train."""

    hub: str | None = Field(
        default=None, description="timm's name with its tag, like resnest50d.in1k"
    )
    file: str | None = Field(
        default=None, description="A .safetensors file, or a .pth that holds only weights"
    )
    train: str | None = Field(
        default=None,
        description="DATASET/RECIPE of a train block of this study; same variant and seed",
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> "WeightsSpec":
        given = [name for name in ("hub", "file", "train") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"weights name exactly one of hub, file and train, but came {given or 'none'}"
            )
        if self.train is not None and self.train.count("/") != 1:
            raise ValueError(f"train is DATASET/RECIPE, like digits/smoke, but came {self.train!r}")
        return self
