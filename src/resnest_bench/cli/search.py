"""`resnest-bench search`: what a search has found, and the trials of its next round."""

from pathlib import Path
from typing import Annotated

import typer

from resnest_bench import files
from resnest_bench.cli.logs import start_logging
from resnest_bench.cli.options import LogOption, ResultsOption, StudyOption
from resnest_bench.cli.project import DEFAULT_STUDY
from resnest_bench.cli.studies import DEFAULT_RESULTS
from resnest_bench.errors import UserError
from resnest_bench.paths import StudyPaths
from resnest_bench.specs import (
    RecipeSpec,
    StudySpec,
    VariantSpec,
    load_study,
    study_with_looks,
)
from resnest_bench.specs.rounds import SearchRound
from resnest_bench.words import count_noun


def search(
    study: StudyOption = DEFAULT_STUDY,
    results: ResultsOption = DEFAULT_RESULTS,
    round_number: Annotated[
        int | None,
        typer.Option("--round", min=0, help="Decide this round, and write it to --json"),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="With --round: the file to write")
    ] = None,
    log: LogOption = None,
) -> None:
    """Say what a study's search has found so far; with --round, which trials come next."""
    if (round_number is None) != (json_file is None):
        raise UserError("--round and --json go together: give both, or none")
    start_logging(log)
    spec = load_study(study)
    if round_number is None or json_file is None:
        typer.echo(describe_found(spec, spec.paths(results)))
        return
    typer.echo(write_round(spec, spec.paths(results), round_number, json_file))


def write_round(study: StudySpec, paths: StudyPaths, number: int, file: Path) -> str:
    """Decide a round, write it to `file`, and return it as text. Raises UserError as `decide_round`."""
    from resnest_bench.models import check_buildable, check_image
    from resnest_bench.planning.datasets import find_side
    from resnest_bench.search.deciding import decide_round
    from resnest_bench.status.fingerprints import read_fingerprints

    def check(variant: VariantSpec, recipe: RecipeSpec) -> None:
        assert study.search
        dataset = study.search.dataset
        check_buildable(variant)
        check_image(variant, find_side(study, dataset), study.dataset(dataset).num_channels)

    one = decide_round(study, paths, number, read_fingerprints(study), check)
    files.write_text(file, one.model_dump_json(indent=1) + "\n")
    return describe_round(study, one)


def describe_round(study: StudySpec, one: SearchRound) -> str:
    """Say what a round asks for, and what was used before."""
    # It imports pandas, which starts a thread: no job could be a fork of a process that has it.
    from resnest_bench.search.tables import describe_settings

    used = [
        f"- {b.family}: {b.trainings:.3g} trainings, {b.minutes:.3g} minutes used" for b in one.used
    ]
    skipped = [
        f"- {t.family} {t.number} ({describe_settings(t.settings)}): skipped: {t.skipped}"
        for t in one.trials
        if t.skipped
    ]
    names = [f"{f.family} trial {f.number}" for f in one.finalists]
    following = f"Next: {count_noun(len(one.runs), 'training')}."
    if one.stop:
        chosen = ", ".join(names) or "none"
        following = f"The search ends, since {one.stop}. Finalists: {chosen}."
    head = f"Round {one.round} of the search of study {study.study!r}, from validation accuracies alone:"
    return "\n".join([head, *used, *skipped, following])


def describe_found(study: StudySpec, paths: StudyPaths) -> str:
    """Return the search so far as Markdown. Raises UserError if the study has none."""
    if study.search is None:
        raise UserError(
            f"study {study.study!r} has no search: give it a search block (docs/search.md)"
        )
    from resnest_bench.report.search import search_markdown
    from resnest_bench.results import StudyResults

    return search_markdown(StudyResults(study_with_looks(study, paths), paths))
