"""Which trainings a side of a claim stands for: a variant by a recipe, perhaps in a deployment mode."""

from typing import NamedTuple

from resnest_bench.paths import Experiment, Job, name_deployment
from resnest_bench.specs import StudySpec
from resnest_bench.specs.claims import Side, TrainedRow
from resnest_bench.tables.selection import Experiments


class Place(NamedTuple):
    """One variant in one experiment."""

    experiment: Experiment
    variant: str

    @classmethod
    def from_job(cls, job: Job) -> "Place":
        return cls(job.experiment, job.variant)

    def job(self, seed: int) -> Job:
        return Job(*self.experiment, self.variant, seed)


def locate_side(study: StudySpec, about: Experiments, side: Side) -> Place | None:
    """The trainings of a side; None if the study trains nothing that the claim could be about.

    A recipe of its own is looked for on the claim's dataset, among trainings and then fine-tunings. A
    place that the study doesn't have is one without records, which is for the caller to find.
    """
    training = about.training
    if training is None:
        return None
    if not isinstance(side, TrainedRow):
        return Place(training, side)
    dataset = training.dataset
    if side.mode is not None:
        recipe = name_deployment(side.recipe or training.recipe, side.mode)
        return Place(Experiment("deploy", dataset, recipe), side.variant)
    if side.recipe is None:
        return Place(training, side.variant)
    tuned = any(b.dataset == dataset and side.recipe in b.recipes for b in study.finetune)
    trained = any((b.dataset, b.recipe) == (dataset, side.recipe) for b in study.trained)
    kind = "finetune" if tuned and not trained else "train"
    return Place(Experiment(kind, dataset, side.recipe), side.variant)


def locate_sides(study: StudySpec, about: Experiments, sides: tuple[Side, ...]) -> list[Place]:
    """The places of those sides that have one."""
    places = (locate_side(study, about, side) for side in sides)
    return [place for place in places if place]
