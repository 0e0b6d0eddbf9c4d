"""What an installation without the extra `train` lacks (docs/decisions/025), in words."""

from importlib.util import find_spec

from resnest_bench.errors import UserError

# The packages of the extra `train` in pyproject.toml; a test compares the two.
TRAINING_PACKAGES = (
    "onnx",
    "onnxruntime",
    "onnxscript",
    "safetensors",
    "snakemake",
    "timm",
    "torch",
    "torchvision",
)


def explain_missing(package: str | None) -> str | None:
    """Return what to do about an import of `package` that failed, or None if it is not one of `train`'s."""
    top = (package or "").partition(".")[0]
    if top not in TRAINING_PACKAGES:
        return None
    return (
        f"this command needs {top}, which is not installed: this installation only reads results. "
        "Install what trains and measures as well: pip install 'resnest-bench[train]'"
    )


def check_installed(*packages: str) -> None:
    """Raise UserError if one of the `packages`, which are of the extra `train`, can't be imported."""
    for package in packages:
        if find_spec(package) is None:
            raise UserError(explain_missing(package) or f"{package} is not installed")
