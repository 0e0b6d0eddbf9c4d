"""The interim analyses ("looks") of an adaptive study: results/<study>/adaptive/look-<k>.json (floor 1).

These files are checked like all input: a look can only add trainings that the config allows. A look that
doesn't follow from the one before, such as one for older claims, is ignored, and so are all after it.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import AliasChoices, Field, ValidationError

from resnest_bench.errors import UserError, first_problem
from resnest_bench.paths import Job, StudyPaths
from resnest_bench.specs.base import CountInt, Name, NonNegativeFloat, PositiveInt, Spec
from resnest_bench.specs.study import StudySpec

Step = TypeVar("Step", bound=Spec)


class WantedSeeds(Spec):
    """Trainings of one variant that a look adds."""

    kind: Literal["train"] = "train"
    dataset: Name
    recipe: Name
    variant: Name
    seeds: tuple[CountInt, ...] = Field(min_length=1)

    @property
    def jobs(self) -> list[Job]:
        return [Job(self.kind, self.dataset, self.recipe, self.variant, s) for s in self.seeds]


class ClaimAtLook(Spec):
    """The state of a claim at a look, and what follows from it. NaN is written as null."""

    name: Name
    verdict: str
    comparison: str | None = Field(description="The one that the verdict hangs on")
    num_seeds: CountInt | None = Field(description="Of that comparison, on the side that has fewer")
    look: CountInt | None = Field(
        description="Of the looks planned, the first is 1; null: fixed seeds"
    )
    p_for: float | None
    p_against: float | None
    corrected_p: float | None = Field(validation_alias=AliasChoices("corrected_p", "holm_p"))
    reason: str = Field(description="Why seeds are added for it, or why not")
    minutes: float | None = Field(default=None, description="Estimated minutes of its next step")
    probability: float | None = Field(
        default=None,
        description="Probability that its next step decides it, if the observed difference continues",
    )


class Spent(Spec):
    """Trainings added by all looks before this one. Null if there is no limit."""

    used_seeds: CountInt
    used_minutes: NonNegativeFloat
    left_seeds: CountInt | None
    left_minutes: NonNegativeFloat | None


class Look(Spec):
    """One decision. The same records give the same bytes."""

    schema_version: Literal[1] = 1
    study: Name
    look: CountInt = Field(description="Number of this decision, from 0")
    previous: str | None = Field(description="SHA-256 (hex) of the file of the look before it")
    num_looks: PositiveInt = Field(description="Looks planned at each comparison")
    nominal_level: float = Field(description="One-sided, of this look at one comparison")
    records: dict[str, str] = Field(description="Record of a training to its SHA-256 (hex)")
    claims: tuple[ClaimAtLook, ...]
    wanted: tuple[WantedSeeds, ...]
    budget: Spent
    stop: str = Field(description="Why no seeds are added; empty if some are")

    @property
    def jobs(self) -> list[Job]:
        return [job for wanted in self.wanted for job in wanted.jobs]


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes. Raises OSError."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_step(path: Path, kind: type[Step], name: str) -> Step:
    """Read and check one file that was decided between trainings; errors call it `name`.

    Raises UserError with the file, the reason and what to do.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{name} {path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise UserError(
            f"{name} {path}: {first_problem(error)}: delete {path.parent} and run the workflow "
            "again; trainings are kept"
        ) from error


def read_look(path: Path) -> Look:
    """Read one look, as `read_step` does."""
    return read_step(path, Look, "look")


def read_looks(study: StudySpec, paths: StudyPaths, before: int | None = None) -> list[Look]:
    """The looks so far in their order; only those numbered below `before`, if it is given.

    Empty of a study that isn't adaptive. Raises UserError for a damaged file.
    """
    found: list[Look] = []
    while study.adaptive and (before is None or len(found) < before):
        number, path = len(found), paths.look(len(found))
        if (found and found[-1].stop) or not path.exists():
            break
        look = read_look(path)
        previous = file_digest(paths.look(number - 1)) if number else None
        if (look.study, look.look, look.previous) != (study.study, number, previous):
            break
        found.append(look)
    return found


def extended(study: StudySpec, looks: Sequence[Look]) -> StudySpec:
    """Return the study with the trainings that looks added, if its config allows them.

    The teacher of each added student is added with the same seed, even if no look names it.
    """
    more: dict[tuple[str, str, str], tuple[int, ...]] = {}
    if study.adaptive is None:
        return study
    trained = {_place(job) for job in study.jobs() if job.kind == "train"}
    allowed = study.adaptive.order(study.seeds)[len(study.seeds) :]
    jobs = [job for look in looks for job in look.jobs if _place(job) in trained]
    asked = {(*_place(job), job.seed) for job in with_teachers(study, jobs)}
    for place in sorted(trained):
        seeds = tuple(seed for seed in allowed if (*place, seed) in asked)
        if seeds:
            more[place] = seeds
    return study.with_seeds(more)


def _place(job: Job) -> tuple[str, str, str]:
    return job.dataset, job.recipe, job.variant


def with_teachers(study: StudySpec, jobs: Iterable[Job]) -> list[Job]:
    """These trainings, and those that they learn from, directly or through their teacher's teacher."""
    found = dict.fromkeys(jobs)
    for job in list(found):
        teacher = study.teacher_job(job)
        while teacher is not None and teacher not in found:
            found[teacher] = None
            teacher = study.teacher_job(teacher)
    return list(found)


def with_looks(study: StudySpec, paths: StudyPaths, before: int | None = None) -> StudySpec:
    """`extended` by `read_looks`. Raises UserError for a damaged file."""
    return extended(study, read_looks(study, paths, before))


def planned_looks(study: StudySpec) -> int:
    """Return K, the number of planned looks: 1 if seeds are fixed."""
    return len(study.adaptive.schedule(len(study.seeds))) if study.adaptive else 1
