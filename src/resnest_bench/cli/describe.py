"""The size of each variant, without training it."""

from typing import Any

from tabulate import tabulate
from torch import nn

from resnest_bench.errors import UserError, first_line
from resnest_bench.measure.complexity import complexity, count_params
from resnest_bench.models import build_model, check_image, fit_to_image
from resnest_bench.models.image_size import describe_size, patch_grid
from resnest_bench.specs import StudySpec, VariantSpec


def describe_variants(
    study: StudySpec, image_size: int, classes: int, in_chans: int = 3
) -> list[dict[str, Any]]:
    """Return one row per variant that can be built: its parameters, and the MACs and activations for one image.

    A variant that can't take images of `image_size` pixels has None for its counts, and an `error`.
    """
    rows = []
    for variant in study.own_variants:
        fitted, size_args = fit_to_image(variant, image_size)
        model = build_model(fitted, classes, in_chans=in_chans)
        grid = patch_grid(model)
        rows.append(
            {
                "variant": variant.name,
                "family": variant.family,
                "stem": variant.stem,
                "num_params": count_params(model),
                **_counts(variant, model, image_size, in_chans),
                "size_args": size_args,
                "patches": grid,
                "remark": describe_size(variant, size_args, grid, image_size),
                "image_size": image_size,
                "in_chans": in_chans,
                "num_classes": classes,
            }
        )
    return rows


def _counts(
    variant: VariantSpec, model: nn.Module, image_size: int, in_chans: int
) -> dict[str, Any]:
    """The counts for one image, or None and the `error` if the network can't take it."""
    try:
        counts = complexity(model, image_size, in_chans)
    # A network may raise any error at a size that it was not designed for.
    except Exception as error:
        unknown = dict.fromkeys(("num_macs", "num_activations", "uncounted_operators"))
        return {**unknown, "error": _explain(variant, image_size, in_chans, error)}
    return {
        "num_macs": counts.num_macs,
        "num_activations": counts.num_activations,
        "uncounted_operators": counts.uncounted,
        "error": None,
    }


def _explain(variant: VariantSpec, image_size: int, in_chans: int, error: Exception) -> str:
    """The explanation that `plan` gives for a network that can't take the images, or the error itself."""
    try:
        check_image(variant, image_size, in_chans)
    except UserError as refusal:
        return str(refusal)
    return f"{variant.name} can't be counted: {first_line(error)}"


def _millions(count: int | None, digits: int) -> str:
    return "" if count is None else f"{count / 1e6:.{digits}f}"


def variants_text(
    rows: list[dict[str, Any]], image_size: int, classes: int, in_chans: int = 3
) -> str:
    """Format the rows as a table, with MACs and activations in millions."""
    table = [
        {
            "variant": row["variant"],
            "family": row["family"],
            "stem": row["stem"],
            "parameters": f"{row['num_params']:,}",
            "MACs (M)": _millions(row["num_macs"], 2),
            "activations (M)": _millions(row["num_activations"], 3),
        }
        for row in rows
    ]
    text = tabulate(
        table,
        headers="keys",
        disable_numparse=True,
        colalign=("left", "left", "left", "right", "right", "right"),
    )
    failed = [row["error"] for row in rows if row["error"]]
    text = "\n".join([text, *([""] if failed else []), *failed])
    return (
        f"{text}\n\nFor one image of {in_chans}x{image_size}x{image_size}, {classes} classes, in evaluation "
        "mode. MACs are those of\nconvolutions, linear layers and attention. Norms, activations and pooling "
        "are not counted; --json lists them."
        + "".join(f"\n\n{row['remark']}." for row in rows if row["remark"])
    )
