"""What a teacher adds: the accuracy with distillation minus that without, paired by seed."""

import pandas as pd

from resnest_bench.frames.rows import RUN_COLUMNS
from resnest_bench.frames.typed import make_frame
from resnest_bench.paths import Experiment
from resnest_bench.specs import StudySpec
from resnest_bench.tables.headline import headline_columns, headline_values
from resnest_bench.tables.selection import RowGroups
from resnest_bench.tables.values import accuracy_values, any_stale, training_status
from resnest_bench.tables.variants import (
    ACCURACY_COLUMNS,
    GAIN_COLUMNS,
    LAST_COLUMNS,
    column_types,
    complete_rows,
    data_columns,
    gain_values,
    variant_columns,
)

TEACHER_COLUMNS = ["teacher", "teacher_recipe", "teacher_accuracy_mean_percent", "base_recipe"]


def distillation_table(study: StudySpec, runs: pd.DataFrame) -> pd.DataFrame:
    """One row per variant that was trained with a teacher, in the study's order; empty without any.

    The gain is relative to `base_recipe`: the recipe of the study that is the same but for the teacher,
    if the variant was trained by it on the same data. `gain_n` is the number of seeds that have both.
    """
    groups = dict.fromkeys(
        (job.experiment, job.variant)
        for job in study.jobs()
        if job.kind == "train" and study.teacher_job(job)
    )
    row_groups = RowGroups(runs, RUN_COLUMNS)
    rows = [_make_row(study, row_groups, *group) for group in groups]
    columns = [*ACCURACY_COLUMNS, *headline_columns(study), *TEACHER_COLUMNS, *GAIN_COLUMNS]
    columns += LAST_COLUMNS
    return make_frame(complete_rows(study, runs, rows), column_types(columns))


def _make_row(
    study: StudySpec, runs: RowGroups, experiment: Experiment, variant: str
) -> dict[str, object]:
    taught = runs.select(experiment, variant)
    teacher = study.recipe(experiment.recipe).teacher
    assert teacher is not None, "the groups are those with a teacher"
    teacher_recipe = teacher.train.partition("/")[2]
    of_teacher = runs.select(experiment._replace(recipe=teacher_recipe), teacher.variant)
    status = training_status(taught)
    row: dict[str, object] = {
        **variant_columns(study.variant(variant)),
        **data_columns(runs, experiment),
        "recipe": experiment.recipe,
        **accuracy_values(taught),
        **headline_values(study, taught),
        "teacher": teacher.variant,
        "teacher_recipe": teacher_recipe,
        "teacher_accuracy_mean_percent": accuracy_values(of_teacher)["accuracy_mean_percent"],
    }
    base = find_base_recipe(study, experiment, variant)
    if base is None:
        status.append(f"no training of {variant} by the same recipe without a teacher")
    else:
        without = runs.select(experiment._replace(recipe=base), variant)
        row |= {"base_recipe": base, **gain_values(taught, without)}
        if any_stale(without):
            status.append(f"the gain is relative to stale values of {base}")
    return {**row, "status": "; ".join(status) or "ok"}


def find_base_recipe(study: StudySpec, experiment: Experiment, variant: str) -> str | None:
    """The recipe that trains `variant` on the same data and differs in the teacher alone, or None."""
    alike = study.recipe(experiment.recipe).model_copy(update={"teacher": None})
    jobs = (job for job in study.jobs() if job.kind == "train")
    recipes = dict.fromkeys(
        job.recipe for job in jobs if (job.dataset, job.variant) == (experiment.dataset, variant)
    )
    return next((name for name in recipes if study.all_recipes.get(name) == alike), None)
