"""What a study's recipes with several GPUs become on this machine."""

from collections.abc import Iterator

import torch

from resnest_bench.specs import RecipeSpec, StudySpec


def list_gpu_recipes(study: StudySpec) -> dict[str, RecipeSpec]:
    """Return the recipes that this study trains by, and that ask for more than one GPU, by name."""
    names = dict.fromkeys(_list_trained_by(study))
    recipes = {name: study.recipe(name) for name in names}
    return {name: recipe for name, recipe in recipes.items() if recipe.gpus > 1}


def _list_trained_by(study: StudySpec) -> Iterator[str]:
    for block in study.train:
        yield block.recipe
    for finetune in study.finetune:
        yield from finetune.recipes
    if study.search is not None:
        yield study.search.recipe


def describe_gpus(study: StudySpec, device: str = "auto") -> list[str]:
    """Return one line for each recipe that asks for more than one GPU. `device` is auto, cuda or cpu."""
    num_here = 0 if device == "cpu" else torch.cuda.device_count()
    return [
        f"Recipe {name} asks for {recipe.gpus} GPUs: {_describe_here(recipe.gpus, num_here)}"
        for name, recipe in list_gpu_recipes(study).items()
    ]


def _describe_here(num_gpus: int, num_here: int) -> str:
    if num_here >= num_gpus:
        return "they share each batch, so that its trainings wait until as many are free."
    where = "on the CPU" if num_here == 0 else f"on the {num_here} here"
    return (
        f"its trainings run {where}, with the same batches and, but for rounding, the same results."
    )
