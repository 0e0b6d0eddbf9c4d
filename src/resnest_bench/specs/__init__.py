"""What to run, as frozen, validated values (floor 1). Nothing here imports torch."""

from resnest_bench.specs.claims import ClaimSpec
from resnest_bench.specs.data import (
    Cifar10Dataset,
    DatasetSpec,
    DigitsDataset,
    ImageFolderDataset,
    WeightsSpec,
)
from resnest_bench.specs.latency import LatencySpec
from resnest_bench.specs.load import (
    dump_study,
    load_study,
    read_yaml,
    study_from_config,
    variant_line,
)
from resnest_bench.specs.recipes import RECIPES, RecipeSpec
from resnest_bench.specs.study import PROTOCOLS, StudySpec
from resnest_bench.specs.variants import ResNestVariant, TimmVariant, VariantSpec

__all__ = [
    "PROTOCOLS",
    "RECIPES",
    "Cifar10Dataset",
    "ClaimSpec",
    "DatasetSpec",
    "DigitsDataset",
    "ImageFolderDataset",
    "LatencySpec",
    "RecipeSpec",
    "ResNestVariant",
    "StudySpec",
    "TimmVariant",
    "VariantSpec",
    "WeightsSpec",
    "dump_study",
    "load_study",
    "read_yaml",
    "study_from_config",
    "variant_line",
]
