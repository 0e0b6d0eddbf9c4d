"""Datasets and weights: where inputs come from (floor 1)."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from resnest_bench.errors import UserError
from resnest_bench.specs.base import PositiveFloat, PositiveInt, Spec
from resnest_bench.specs.images import Dataset, ImageDataset, Leakage, PhotoDataset, UnitFloat

Digit = Annotated[int, Field(strict=True)]
Column = Annotated[str, Field(min_length=1)]


def expand_path(path: str) -> Path:
    """A path of a config, with `~` and `~NAME` at its start as a home folder, as shells have it."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(
            f"{path}: '~' at the start of a path must be followed by '/' or a user's name, but "
            "there is no such user: write the whole path"
        ) from error


class Cifar10Dataset(Dataset):
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


class ImageFolderDataset(PhotoDataset):
    """Any tree of `train/<class>/` and `test/<class>/` with images in it, or of `<class>/` with `split`."""

    NO_RESULT: ClassVar[frozenset[str]] = frozenset({"path", "urls", "checksum", "label", "broken"})

    source: Literal["imagefolder"]
    path: str | None = Field(
        default=None,
        description="On this machine (`~` is your home folder): the folder that holds train/ and "
        "test/ (with `split`: the classes' folders), or an archive (.zip, .tar, .tar.gz, .tar.xz) "
        "of it",
    )
    urls: tuple[str, ...] = Field(
        default=(), description="Instead of path: the archive's addresses, tried in this order"
    )
    checksum: str | None = Field(
        default=None,
        pattern=r"^(md5|sha1|sha256):[0-9a-f]+$",
        description="Of the archive, like sha256:0f3a...; needed with urls",
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


class TableDataset(PhotoDataset):
    """A CSV or Parquet file with the columns `image`, `label` and, where you have them, `split` and `group`."""

    NO_RESULT: ClassVar[frozenset[str]] = frozenset({"path", "root", "label", "broken"})

    source: Literal["table"]
    path: str = Field(
        description="The table: .csv (commas), .tsv (tabs) or .parquet; one row for each image. "
        "`split` is train, test or validation (val, valid); images of one `group` stay in one part"
    )
    root: str | None = Field(
        default=None,
        description="The folder that the paths in column `image` begin at; null: the table's own",
    )


class HuggingFaceDataset(PhotoDataset):
    """A data set of Hugging Face: a folder that `save_to_disk` wrote, Parquet files, or one of the hub."""

    NO_RESULT: ClassVar[frozenset[str]] = frozenset({"path", "label", "broken"})

    source: Literal["huggingface"]
    path: str | None = Field(
        default=None,
        description="On this machine: the folder of `save_to_disk`, or one with Parquet files whose "
        "names or folders say the part, like train-00000-of-00001.parquet or train/0000.parquet",
    )
    hub: str | None = Field(
        default=None, description="Instead of path: the name on the hub, like uoft-cs/cifar10"
    )
    config: str = Field(default="default", description="With hub: the configuration's name")
    revision: str = Field(
        default="refs/convert/parquet",
        description="With hub: a branch or, to pin the data, a commit that holds "
        "Parquet files. The default is the hub's own conversion, which exists for most public data sets",
    )
    image_column: Column = Field(default="image", description="The column of encoded images")
    label_column: Column = Field(
        default="label", description="The column of labels: class numbers, whole numbers or text"
    )
    group_column: Column | None = Field(
        default=None, description="Images with the same value stay in one part"
    )
    train_split: Column = Field(default="train", description="What the data call this part")
    test_split: Column = Field(default="test", description="What the data call this part")

    @model_validator(mode="after")
    def _one_origin(self) -> "HuggingFaceDataset":
        if bool(self.path) == bool(self.hub):
            raise ValueError("a huggingface dataset names either path or hub")
        return self


# Sets of torchvision that are arrays, with their side in pixels, and those with a validation part.
TORCHVISION_ARRAYS = {
    "cifar100": 32,
    "mnist": 28,
    "fashion_mnist": 28,
    "kmnist": 28,
    "svhn": 32,
}
WITH_VALIDATION = ("flowers102", "dtd", "fgvc_aircraft", "country211")
WITHOUT_PARTS = ("eurosat",)


class TorchvisionDataset(PhotoDataset):
    """A data set that torchvision knows by its name: from files on this machine, or downloaded."""

    source: Literal["torchvision"]
    name: Literal[
        "cifar100",
        "mnist",
        "fashion_mnist",
        "kmnist",
        "svhn",
        "flowers102",
        "food101",
        "oxford_iiit_pet",
        "dtd",
        "fgvc_aircraft",
        "eurosat",
        "imagenette",
        "country211",
    ] = Field(description="Which one; docs/data.md has their parts")
    path: str | None = Field(
        default=None,
        description="The folder that torchvision calls `root`, or the one with the files; null: "
        "downloaded once into data_dir",
    )
    image_size: PositiveInt | None = Field(  # type: ignore[assignment]
        default=None,
        description="Side of the square that a network sees, in pixels. Photos need it; null: 32 for "
        "cifar100 and svhn, 28 for mnist, fashion_mnist and kmnist",
    )
    mean: tuple[UnitFloat, ...] | None = Field(
        default=None, description="Of each channel in 0 to 1; null: measured on the training images"
    )
    std: tuple[PositiveFloat, ...] | None = Field(
        default=None, description="Of each channel in 0 to 1; null: measured on the training images"
    )

    @model_validator(mode="after")
    def _keys_fit_the_set(self) -> "TorchvisionDataset":
        name, photos = self.name, self.name not in TORCHVISION_ARRAYS
        if photos and self.image_size is None:
            raise ValueError(f"{name} is of photos of many sizes: state image_size, like 224")
        stated = [k for k in ("resize", "max_value") if getattr(self, k) is not None]
        if stated and not photos:
            raise ValueError(f"{stated[0]} is for photos, but {name} has none: remove it")
        if name in WITHOUT_PARTS and self.split is None:
            raise ValueError(
                f"{name} has no test part: state split, like {{test_fraction: 0.2, seed: 0}}"
            )
        if name not in WITHOUT_PARTS and self.split is not None:
            raise ValueError(f"split is for data without parts, but {name} has them: remove it")
        if self.validation == "test" or (
            self.validation != "ignore" and name not in WITH_VALIDATION
        ):
            raise ValueError(
                f"validation must be ignore for {name}, or hold_out or train for those with a "
                f"validation part ({', '.join(WITH_VALIDATION)}), but got {self.validation!r}"
            )
        return self


class MedmnistDataset(ImageDataset):
    """A file of MedMNIST: `train_images`, `train_labels`, `val_images` and so on in one .npz."""

    source: Literal["medmnist"]
    path: str = Field(description="The .npz file, like pathmnist.npz or pathmnist_64.npz")
    class_names: tuple[str, ...] = Field(
        default=(), description="In the order of the labels; empty: 0, 1, 2, ..."
    )


class DigitsDataset(Dataset):
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
                f"classes lists at least two different digits from 0 to 9, but got {list(classes)}"
            )
        return classes


DatasetSpec = Annotated[
    Cifar10Dataset
    | ImageFolderDataset
    | TableDataset
    | HuggingFaceDataset
    | TorchvisionDataset
    | MedmnistDataset
    | DigitsDataset,
    Field(discriminator="source"),
]


def known_side(spec: DatasetSpec) -> int | None:
    """The side of the images in pixels; None if only the data's file says it."""
    if isinstance(spec, Cifar10Dataset | DigitsDataset):
        return 32
    if isinstance(spec, TorchvisionDataset) and spec.image_size is None:
        return TORCHVISION_ARRAYS[spec.name]
    return spec.image_size


def local_path(spec: DatasetSpec) -> Path | None:
    """Where a dataset's files are on this machine; None if they come from elsewhere."""
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
                f"weights name exactly one of hub, file and train, but got {given or 'none'}"
            )
        if self.key is not None and self.file is None:
            raise ValueError(
                f"key names an entry of a weights file, but {given[0]} is none: remove key, or give "
                "file"
            )
        if self.train is not None and self.train.count("/") != 1:
            raise ValueError(f"train is DATASET/RECIPE, like digits/smoke, but got {self.train!r}")
        return self
