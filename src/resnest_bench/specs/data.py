"""Datasets and weights: where inputs come from (floor 1)."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from resnest_bench.digests import json_digest
from resnest_bench.errors import UserError
from resnest_bench.specs.base import Number, PositiveFloat, PositiveInt, Spec

UnitFloat = Annotated[Number, Field(ge=0, le=1, allow_inf_nan=False)]
Digit = Annotated[int, Field(strict=True)]
ChannelMean = tuple[UnitFloat, UnitFloat, UnitFloat]
ChannelStd = tuple[PositiveFloat, PositiveFloat, PositiveFloat]


def expand_path(path: str) -> Path:
    """A path of a config, with `~` and `~NAME` at its start as a home folder, as shells have it."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(
            f"{path}: '~' at the start of a path must be followed by '/' or a user's name, but "
            "there is no such user: write the whole path"
        ) from error


Leakage = Annotated[
    Literal["error", "warn", "allow"],
    Field(
        description="Where test images are also training images, or one image is under two labels: "
        "error stops before anything is trained; warn says so in the log, under tables, on the "
        "dashboard and in exported pages; allow only counts them in the records",
    ),
]
# What is done about the data, and changes no array and no result.
POLICIES = ("leakage",)


class _Dataset(Spec):
    @property
    def num_channels(self) -> int:
        """Channels of an image, which every network follows (`in_chans`)."""
        return 3

    def as_dict(self) -> dict[str, Any]:
        """As of every spec, but for POLICIES: changing one leaves arrays and records as they are."""
        return {key: value for key, value in super().as_dict().items() if key not in POLICIES}


class Cifar10Dataset(_Dataset):
    """CIFAR-10's official archive: 50,000 + 10,000 images of 32x32 in 10 classes."""

    NO_RESULT: ClassVar[frozenset[str]] = frozenset({"path", "urls"})

    source: Literal["cifar10"]
    path: str | None = Field(
        default=None,
        description="The archive cifar-10-python.tar.gz on this machine; no download then",
    )
    urls: tuple[str, ...] = Field(
        default=("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
        description="Tried in this order until one gives the archive with the official md5",
    )
    leakage: Leakage = "warn"


class ImageFolderDataset(_Dataset):
    """Any tree of `train/<class>/` and `test/<class>/` with images in it."""

    NO_RESULT: ClassVar[frozenset[str]] = frozenset({"path", "urls", "checksum", "label", "broken"})

    source: Literal["imagefolder"]
    path: str | None = Field(
        default=None,
        description="On this machine (`~` is your home folder): the folder that holds train/ and test/, or an archive "
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
    label: str = Field(
        default="", description="How figures must call the data; empty takes the dataset's name"
    )
    leakage: Leakage = "warn"

    @property
    def digest(self) -> str:
        """It names the folder of the arrays: keys that came later count only where they are set."""
        later = ("broken", "max_value")
        return json_digest(
            {k: v for k, v in self.as_dict().items() if k not in later or k in self.as_stated()}
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


class DigitsDataset(_Dataset):
    """scikit-learn's 1,797 handwritten digits of 8x8, shown as 3x32x32. Embedded: no download."""

    source: Literal["digits"]
    classes: tuple[Digit, ...] = Field(
        default=tuple(range(10)), description="Which digits; others are left out"
    )
    leakage: Leakage = "warn"

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


def local_path(spec: DatasetSpec) -> Path | None:
    """Where a dataset's files are on this machine; None where they come from elsewhere."""
    path = getattr(spec, "path", None)
    return expand_path(path) if path else None


def describe_missing(path: Path) -> str:
    """That there is nothing at `path`, and where a relative one begins."""
    return f"{path} does not exist" + ("" if path.is_absolute() else f" in {Path.cwd()}")


class WeightsSpec(Spec):
    """Where a fine-tuning starts: exactly one of hub, file and train."""

    # A file is known by its digest, a training by its own spec.
    NO_RESULT: ClassVar[frozenset[str]] = frozenset({"file", "train"})

    hub: str | None = Field(
        default=None, description="timm's name with its tag, like resnest50d.in1k"
    )
    file: str | None = Field(
        default=None,
        description="A .safetensors file, or a checkpoint (.pth, .pt, .bin, .ckpt, .pth.tar) that "
        "holds tensors and plain values; names may begin with module., _orig_mod. or model.",
    )
    key: str | None = Field(
        default=None,
        min_length=1,
        description="With file: the entry of a checkpoint to take, like state_dict_ema. null: "
        "state_dict before model before the EMA's, or the only one",
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
        if self.key is not None and self.file is None:
            raise ValueError(
                f"key names an entry of a weights file, but {given[0]} is none: remove key, or give "
                "file"
            )
        if self.train is not None and self.train.count("/") != 1:
            raise ValueError(f"train is DATASET/RECIPE, like digits/smoke, but came {self.train!r}")
        return self
