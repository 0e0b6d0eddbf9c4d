"""A study's figures as files: SVG and PNG, rendered without a browser and without the network."""

import io
from pathlib import Path

import altair as alt

from resnest_bench import records
from resnest_bench.charts.ablation import ablation_chart
from resnest_bench.charts.curves import training_curves_chart
from resnest_bench.charts.latency import latency_distribution_chart
from resnest_bench.charts.tradeoff import accuracy_latency_chart
from resnest_bench.charts.transfer import transfer_chart
from resnest_bench.paths import StudyPaths
from resnest_bench.specs import StudySpec
from resnest_bench.tables import (
    Outcome,
    ablation_table,
    cells_of,
    epochs_of,
    outcomes,
    prepared_fingerprints,
    runs_of,
    samples_of,
    tradeoff_table,
    transfer_table,
)
from resnest_bench.tables.files import write_bytes

PNG_SCALE = 2


def make_figures(study: StudySpec, found: list[Outcome]) -> dict[str, alt.TopLevelMixin]:
    """Name to chart, for each figure that the study's experiments can give."""
    runs, cells = runs_of(found), cells_of(found)
    charts: dict[str, alt.TopLevelMixin] = {}
    if study.train and study.latency:
        charts["accuracy_latency"] = accuracy_latency_chart(tradeoff_table(study, runs, cells))
    if study.tables.ablation:
        charts["ablation"] = ablation_chart(ablation_table(study, runs, cells))
    if study.train or study.finetune:
        charts["training_curves"] = training_curves_chart(epochs_of(found))
    if study.latency:
        charts["latency_distribution"] = latency_distribution_chart(samples_of(found))
    if study.finetune:
        charts["transfer"] = transfer_chart(transfer_table(study, runs))
    return charts


def write_figures(study: StudySpec, paths: StudyPaths) -> list[Path]:
    """Write every figure to `paths.figures` as .svg and .png; return the files.

    Without a record a figure says 'no data yet'. Raises UserError where a file can't be written.
    """
    found = outcomes(study, paths, prepared_fingerprints(study))
    written = []
    for name, chart in make_figures(study, found).items():
        svg, png = paths.figures / f"{name}.svg", paths.figures / f"{name}.png"
        records.write_text(svg, svg_text(chart))
        write_bytes(png, png_bytes(chart))
        written += [svg, png]
    return written


def svg_text(chart: alt.TopLevelMixin) -> str:
    buffer = io.StringIO()
    chart.save(buffer, format="svg")
    return buffer.getvalue()


def png_bytes(chart: alt.TopLevelMixin) -> bytes:
    buffer = io.BytesIO()
    chart.save(buffer, format="png", scale_factor=PNG_SCALE)
    return buffer.getvalue()
