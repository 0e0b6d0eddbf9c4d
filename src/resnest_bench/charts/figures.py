"""A study's figures as files: SVG and PNG, rendered without a browser and without a network connection."""

import io
from collections.abc import Callable, Collection
from pathlib import Path

import altair as alt

from resnest_bench import files
from resnest_bench.charts.ablation import ablation_chart
from resnest_bench.charts.classes import confusion_chart
from resnest_bench.charts.curves import training_curves_chart
from resnest_bench.charts.data_labels import headline_label
from resnest_bench.charts.deployment import deployment_chart
from resnest_bench.charts.distillation import distillation_chart
from resnest_bench.charts.latency import latency_distribution_chart
from resnest_bench.charts.search import confirmation_chart, search_progress_chart
from resnest_bench.charts.tradeoff import tradeoff_chart
from resnest_bench.charts.transfer import transfer_chart
from resnest_bench.comparisons.differences import main_trainings
from resnest_bench.files import write_bytes
from resnest_bench.paths import StudyPaths
from resnest_bench.results import StudyResults
from resnest_bench.specs import StudySpec
from resnest_bench.tables.points import headline_points
from resnest_bench.words import list_names

PNG_SCALE = 2
MAX_MATRICES = 4


def make_figures(
    results: StudyResults, only: Collection[str] | None = None
) -> dict[str, alt.TopLevelMixin]:
    """Charts by name, for each figure of the study's experiments or only those in `only`."""
    study = results.spec
    makers: dict[str, Callable[[], alt.TopLevelMixin]] = {
        "accuracy_latency": lambda: _accuracy_latency(results),
        "ablation": lambda: ablation_chart(results.ablation, study.variant_names),
        "training_curves": lambda: training_curves_chart(
            results.epochs, variants=study.variant_names
        ),
        "confusion": lambda: _confusion(results),
        "latency_distribution": lambda: latency_distribution_chart(results.samples()),
        "deployment": lambda: deployment_chart(results.deployment, results.spec.variant_names),
        "transfer": lambda: transfer_chart(results.transfer),
        "distillation": lambda: distillation_chart(results.distillation),
        "search_confirmed": lambda: confirmation_chart(results.search.finalists),
        "search_progress": lambda: _search_progress(results),
    }
    names = [name for name in _possible(study) if only is None or name in only]
    return {name: makers[name]() for name in names}


def _accuracy_latency(results: StudyResults) -> alt.TopLevelMixin:
    study, runs = results.spec, results.runs
    points, x, y = headline_points(study, runs, results.cells)
    return tradeoff_chart(points, x, y, headline_label(study, runs), variants=study.variant_names)


def _search_progress(results: StudyResults) -> alt.TopLevelMixin:
    search = results.spec.search
    assert search is not None, "the figure is of studies that search"
    in_minutes = search.budget.minutes is not None
    return search_progress_chart(results.search.trials, search.family_names, in_minutes)


def _confusion(results: StudyResults) -> alt.TopLevelMixin:
    """The matrices of the first few networks of the main experiment, two in a row."""
    trainings = main_trainings(results.spec)
    assert trainings is not None, "the figure is of studies that train"
    matrices = results.class_tables(trainings.experiment)["confusion"]
    known = set(matrices["variant"])
    names = [name for name in trainings.variants if name in known][:MAX_MATRICES]
    if not names:
        label = headline_label(results.spec, results.runs)
        return confusion_chart(matrices, list_names(trainings.variants, 1), label)
    charts = [confusion_chart(matrices, name) for name in names]
    return charts[0] if len(charts) == 1 else alt.concat(*charts, columns=2)


def _possible(study: StudySpec) -> list[str]:
    conditions = {
        "accuracy_latency": (study.trained or study.finetune) and study.timed,
        "ablation": study.tables.ablation,
        "training_curves": study.train or study.finetune,
        "confusion": study.trained or study.finetune,
        "latency_distribution": study.timed,
        "deployment": study.deploy and study.timed,
        "transfer": study.finetune,
        "distillation": any(study.teacher_job(job) for job in study.jobs()),
        "search_confirmed": study.search,
        "search_progress": study.search,
    }
    return [name for name, condition in conditions.items() if condition]


def write_figures(study: StudySpec, paths: StudyPaths) -> list[Path]:
    """Write every figure to `paths.figures` as .svg and .png; return the files.

    Without a record a figure says 'no data yet'. Raises UserError if a file can't be written.
    """
    written = []
    for name, chart in make_figures(StudyResults(study, paths)).items():
        svg, png = paths.figures / f"{name}.svg", paths.figures / f"{name}.png"
        files.write_text(svg, render_svg(chart))
        write_bytes(png, render_png(chart))
        written += [svg, png]
    return written


def render_svg(chart: alt.TopLevelMixin) -> str:
    buffer = io.StringIO()
    chart.save(buffer, format="svg")
    return buffer.getvalue()


def render_png(chart: alt.TopLevelMixin) -> bytes:
    buffer = io.BytesIO()
    chart.save(buffer, format="png", scale_factor=PNG_SCALE)
    return buffer.getvalue()
