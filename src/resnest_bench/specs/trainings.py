"""Rules for trainings that involve several parts of a study (floor 1)."""

from collections.abc import Collection, Iterable, Mapping

from resnest_bench.paths import Job
from resnest_bench.specs.base import check_known
from resnest_bench.specs.blocks import FinetuneBlock, TrainBlock
from resnest_bench.specs.imported import check_runnable
from resnest_bench.specs.recipes import RecipeSpec
from resnest_bench.specs.variants import TimmVariant, VariantSpec


def check_tags(variants: Iterable[VariantSpec]) -> None:
    """Refuse tags of pretrained weights, since a training starts from random ones."""
    for variant in variants:
        if isinstance(variant, TimmVariant) and variant.pretrained_tag:
            raise ValueError(
                f"variant {variant.name}: a train block starts from random weights, but model "
                f"{variant.model!r} names pretrained ones: write "
                f"{variant.model.partition('.')[0]!r}, or load the weights in a finetune block "
                f"(weights: {{{variant.name}: {{hub: {variant.model}}}}})"
            )


def check_teacher(
    block: TrainBlock,
    trained: Collection[tuple[str, str, str]],
    variants: Collection[str],
    datasets: Collection[str],
    recipes: Mapping[str, RecipeSpec],
) -> None:
    """Check that a teacher has the same dataset, is trained by this study, and not by its student.

    `trained` has (dataset, recipe, variant) of every training of the study. Raises UserError or ValueError
    with what to do.
    """
    teacher = recipes[block.recipe].teacher
    if teacher is None:
        return
    where = f"recipe {block.recipe!r}: teacher"
    check_known(f"{where}.variant", teacher.variant, variants)
    dataset, recipe = teacher.train.split("/")
    check_known(f"{where}.train", dataset, datasets)
    check_known(f"{where}.train", recipe, recipes)
    if dataset != block.dataset:
        raise ValueError(
            f"{where} must be trained on the student's dataset {block.dataset!r}, whose images and "
            f"classes both must know, but is trained on {dataset!r}: name {block.dataset}/RECIPE"
        )
    if (dataset, recipe, teacher.variant) not in trained:
        raise ValueError(
            f"{where}: no train block trains {teacher.variant} on {teacher.train}: add one, or name "
            "another teacher"
        )
    chain = [block.recipe]
    following: str | None = recipe
    while following is not None:
        chain.append(following)
        if following in chain[:-1]:
            raise ValueError(f"{where} is taught by its own student: {' by '.join(chain)}")
        next_teacher = recipes[following].teacher
        following = next_teacher.train.split("/")[1] if next_teacher else None


def check_finetune(
    where: str,
    block: FinetuneBlock,
    recipes: Mapping[str, RecipeSpec],
    trained: Collection[tuple[str, str, str]],
    variants: Mapping[str, VariantSpec],
) -> None:
    """Check that a finetune block's recipes and weights exist. Raises UserError or ValueError.

    `trained` as in `check_teacher`.
    """
    for name in block.recipes:
        check_known(f"{where}.recipes", name, recipes)
        if recipes[name].teacher is not None:
            raise ValueError(
                f"{where}: recipe {name!r} has a teacher, which is for train blocks: its images are "
                "normalised as the dataset's, those of a fine-tuning as the pretrained network's"
            )
    for name, weights in block.weights.items():
        check_runnable(f"{where}.weights", name, variants)
        if weights.train and (*weights.train.split("/"), name) not in trained:
            raise ValueError(
                f"{where}.weights.{name}: no train block trains {name} on {weights.train}: add "
                "one, or name another source"
            )


def is_teacher(job: Job, recipes: Iterable[RecipeSpec]) -> bool:
    """Return whether a training by one of these recipes has the network of this training as its teacher."""
    teachers = (recipe.teacher for recipe in recipes)
    return any(
        teacher is not None
        and (teacher.train, teacher.variant) == (f"{job.dataset}/{job.recipe}", job.variant)
        for teacher in teachers
    )
