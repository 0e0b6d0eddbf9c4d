"""What to run, as frozen, validated values (floor 1). Nothing here imports torch."""

from resnest_bench.specs.adaptive import AdaptiveSpec
from resnest_bench.specs.blocks import ImportedBlock
from resnest_bench.specs.claims import ClaimSpec
from resnest_bench.specs.data import (
    Cifar10Dataset,
    DatasetSpec,
    DigitsDataset,
    HuggingFaceDataset,
    ImageFolderDataset,
    ImportedDataset,
    MedmnistDataset,
    TableDataset,
    TorchvisionDataset,
    WeightsSpec,
    describe_missing,
    expand_path,
    known_side,
    local_path,
)
from resnest_bench.specs.images import PhotoDataset, SplitSpec
from resnest_bench.specs.latency import LatencySpec
from resnest_bench.specs.load import dump_study, load_study, study_from_config, variant_line
from resnest_bench.specs.looks import Look, read_looks
from resnest_bench.specs.reading import read_yaml
from resnest_bench.specs.ready_recipes import RECIPES
from resnest_bench.specs.recipes import RecipeSpec
from resnest_bench.specs.rounds import study_with_looks, study_with_trials
from resnest_bench.specs.search import SearchSpec
from resnest_bench.specs.study import PROTOCOLS, StudySpec
from resnest_bench.specs.variants import (
    AirbenchVariant,
    ClassicVariant,
    ImportedVariant,
    PythonVariant,
    ResNestVariant,
    TimmVariant,
    VariantSpec,
)

__all__ = [
    "PROTOCOLS",
    "RECIPES",
    "AdaptiveSpec",
    "AirbenchVariant",
    "Cifar10Dataset",
    "ClaimSpec",
    "ClassicVariant",
    "DatasetSpec",
    "DigitsDataset",
    "HuggingFaceDataset",
    "ImageFolderDataset",
    "ImportedBlock",
    "ImportedDataset",
    "ImportedVariant",
    "LatencySpec",
    "Look",
    "MedmnistDataset",
    "PhotoDataset",
    "PythonVariant",
    "RecipeSpec",
    "ResNestVariant",
    "SearchSpec",
    "SplitSpec",
    "StudySpec",
    "TableDataset",
    "TimmVariant",
    "TorchvisionDataset",
    "VariantSpec",
    "WeightsSpec",
    "describe_missing",
    "dump_study",
    "expand_path",
    "known_side",
    "load_study",
    "local_path",
    "read_looks",
    "read_yaml",
    "study_from_config",
    "study_with_looks",
    "study_with_trials",
    "variant_line",
]
