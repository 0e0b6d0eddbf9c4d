"""What the variants are, before anything is trained."""

from typing import Any

from tabulate import tabulate

from resnest_bench.measure.complexity import complexity
from resnest_bench.models import build_model
from resnest_bench.specs import StudySpec


def describe_variants(study: StudySpec, image_size: int, classes: int) -> list[dict[str, Any]]:
    """One row a variant, with counts of one image and the operators that were not counted."""
    rows = []
    for variant in study.variants:
        counts = complexity(build_model(variant, classes), image_size)
        rows.append(
            {
                "variant": variant.name,
                "family": variant.family,
                "stem": variant.stem,
                "num_params": counts.num_params,
                "num_macs": counts.num_macs,
                "num_activations": counts.num_activations,
                "uncounted_operators": counts.uncounted,
                "image_size": image_size,
                "num_classes": classes,
            }
        )
    return rows


def variants_text(rows: list[dict[str, Any]], image_size: int, classes: int) -> str:
    """The rows as a table; MACs and activations in millions."""
    table = [
        {
            "variant": row["variant"],
            "family": row["family"],
            "stem": row["stem"],
            "parameters": f"{row['num_params']:,}",
            "MACs (M)": f"{row['num_macs'] / 1e6:.2f}",
            "activations (M)": f"{row['num_activations'] / 1e6:.3f}",
        }
        for row in rows
    ]
    text = tabulate(table, headers="keys", disable_numparse=True,
                    colalign=("left", "left", "left", "right", "right", "right"))  # fmt: skip
    return (
        f"{text}\n\nOne image of 3x{image_size}x{image_size}, {classes} classes, evaluation mode. "
        "MACs: convolutions, linear layers and attention;\nnorms, activations and pooling are not "
        "counted (--json lists them by name)."
    )
