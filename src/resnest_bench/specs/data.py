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
    """Expand `~` and `~NAME` at the start of a path in a config, like a shell."""
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
        description="The archive cifar-10-python.tar.gz on this machine, instead of a download",
    )
    urls: tuple[str, ...] = Field(
        default=("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
        description="Addresses in order of preference; the archive must have the official md5",
    )
    leakage: Leakage = "warn"


class ImageFolderDataset(PhotoDataset):
    """Images in `train/<class>/` and `test/<class>/`, or in `<class>/` with `split`."""

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
        description="Checksum of the archive, like sha256:0f3a...; required with urls",
    )

    @model_validator(mode="after")
    def _one_origin(self) -> "ImageFolderDataset":
        if bool(self.path) == bool(self.urls):
            raise ValueError("an imagefolder must have either path or urls")
        if self.urls and not self.checksum:
            raise ValueError("urls need a checksum, like sha256:0f3a..., to verify the download")
        return self


class TableDataset(PhotoDataset):
    """A CSV or Parquet file with the columns `image`, `label`, and optionally `split` and `group`."""

    NO_RESULT: ClassVar[frozenset[str]] = frozenset({"path", "root", "label", "broken"})

    source: Literal["table"]
    path: str = Field(
        description="The table: .csv (commas), .tsv (tabs) or .parquet; one row for each image. "
        "`split` is train, test or validation (val, valid); images of one `group` stay in one part"
    )
    root: str | None = Field(
        default=None,
        description="The folder that paths in column `image` are relative to; null: the table's folder",
    )


class HuggingFaceDataset(PhotoDataset):
    """A Hugging Face dataset: a folder written by `save_to_disk`, Parquet files, or a dataset on the hub."""

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
    train_split: Column = Field(default="train", description="Name of this part in the data")
    test_split: Column = Field(default="test", description="Name of this part in the data")

    @model_validator(mode="after")
    def _one_origin(self) -> "HuggingFaceDataset":
        if bool(self.path) == bool(self.hub):
            raise ValueError("a huggingface dataset must have either path or hub")
        return self


# torchvision datasets of arrays, with their side in pixels, and those with a validation part.
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
    """A torchvision dataset by name: from local files, or downloaded."""

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
    ] = Field(description="Name of the dataset; docs/data.md describes the parts")
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
        default=None,
        description="One value per channel, from 0 to 1; null: measured on the training images",
    )
    std: tuple[PositiveFloat, ...] | None = Field(
        default=None,
        description="One value per channel, from 0 to 1; null: measured on the training images",
    )

    @model_validator(mode="after")
    def _keys_fit_the_set(self) -> "TorchvisionDataset":
        name, photos = self.name, self.name not in TORCHVISION_ARRAYS
        if photos and self.image_size is None:
            raise ValueError(f"{name} has photos of many sizes: set image_size, like 224")
        stated = [k for k in ("resize", "max_value") if getattr(self, k) is not None]
        if stated and not photos:
            raise ValueError(f"{stated[0]} is for photos, but {name} has none: remove it")
        if name in WITHOUT_PARTS and self.split is None:
            raise ValueError(
                f"{name} has no test part: set split, like {{test_fraction: 0.2, seed: 0}}"
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
        default=(), description="Names in the order of the labels; empty: 0, 1, 2, ..."
    )


class DigitsDataset(Dataset):
    """scikit-learn's 1,797 handwritten digits of 8x8, shown as 3x32x32. Embedded: no download."""

    source: Literal["digits"]
    classes: tuple[Digit, ...] = Field(default=tuple(range(10)), description="The digits to use")
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
                f"classes must be at least two different digits from 0 to 9, but got {list(classes)}"
            )
        return classes


class ImportedDataset(Dataset):
    """Data of which only results are known (docs/import.md): there are no images here."""

    NO_RESULT: ClassVar[frozenset[str]] = frozenset({"label"})

    source: Literal["imported"]
    label: str = Field(
        default="", description="How figures must call the data; empty takes the dataset's name"
    )
    leakage: Leakage = "warn"


DatasetSpec = Annotated[
    Cifar10Dataset
    | ImageFolderDataset
    | TableDataset
    | HuggingFaceDataset
    | TorchvisionDataset
    | MedmnistDataset
    | DigitsDataset
    | ImportedDataset,
    Field(discriminator="source"),
]


def known_side(spec: DatasetSpec) -> int | None:
    """Return the side of the images in pixels; None if it is only known from the files."""
    if isinstance(spec, Cifar10Dataset | DigitsDataset):
        return 32
    if isinstance(spec, TorchvisionDataset) and spec.image_size is None:
        return TORCHVISION_ARRAYS[spec.name]
    return None if isinstance(spec, ImportedDataset) else spec.image_size


def local_path(spec: DatasetSpec) -> Path | None:
    """Return the path of a dataset's files on this machine; None if they are downloaded."""
    path = getattr(spec, "path", None)
    return expand_path(path) if path else None


def describe_missing(path: Path) -> str:
    """Say that `path` doesn't exist, and what a relative path is relative to."""
    return f"{path} does not exist" + ("" if path.is_absolute() else f" in {Path.cwd()}")


class WeightsSpec(Spec):
    """The initial weights of a fine-tuning: exactly one of hub, file and train."""

    # Records compare the digest of a file, and the spec of a training.
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
                f"weights must have exactly one of hub, file and train, but got {given or 'none'}"
            )
        if self.key is not None and self.file is None:
            raise ValueError(
                f"key names an entry of a weights file, but {given[0]} is none: remove key, or give "
                "file"
            )
        if self.train is not None and self.train.count("/") != 1:
            raise ValueError(
                f"train must be DATASET/RECIPE, like digits/smoke, but got {self.train!r}"
            )
        return self
