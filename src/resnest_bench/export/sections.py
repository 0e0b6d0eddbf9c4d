"""A study's results as the sections of a page; there is no section without results."""

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import pandas as pd

from resnest_bench.charts import (
    FACTOR_TITLES,
    ablation_chart,
    batch_sweep_chart,
    distillation_chart,
    drift_chart,
    factor_chart,
    headline_label,
    latency_distribution_panels,
    paper_chart,
    startup_chart,
    tradeoff_chart,
    training_curves_panels,
    transfer_chart,
)
from resnest_bench.comparisons.differences import population
from resnest_bench.export.about import about, coverage, files
from resnest_bench.export.blocks import (
    CLICK_TEXT,
    Block,
    Bullets,
    Section,
    Table,
    make_figure,
    make_table,
)
from resnest_bench.export.claims import claims
from resnest_bench.export.classes import classes
from resnest_bench.export.deployment import deployment
from resnest_bench.export.devices import devices
from resnest_bench.export.differences import differences
from resnest_bench.export.results import PageResults
from resnest_bench.export.search import search
from resnest_bench.export.stability import stability
from resnest_bench.formats import (
    GAP,
    format_cell,
    format_mean,
    format_signed,
    format_significant,
    is_known,
    row_dicts,
)
from resnest_bench.report.captions import caption, notes
from resnest_bench.report.standings import describe_standings
from resnest_bench.report.tables import display_frame
from resnest_bench.tables.axes import Axis
from resnest_bench.tables.fronts import describe_front, describe_front_probabilities
from resnest_bench.tables.noise import NOISE_PARTS, describe_floor
from resnest_bench.tables.paper_comparison import PRINTED_FACTS
from resnest_bench.tables.points import choose_best, headline_points
from resnest_bench.tables.selection import main_experiments

# A point of the trade-off is a dot, two bars and a label: 4,000 marks.
MAX_POINTS = 1000
MAX_PAIRS = 30
MAX_NAMES = 12
RATE, PARAMETERS = "images/s", "parameters"
PAPER_TABLES = {"ablation": "Ablation", "tradeoff": "Trade-off", "transfer": "Transfer"}
# Paragraphs above curves; the second one is only for interactive charts.
CURVES_TEXT = (
    "Bold: mean over seeds. Band: lowest to highest seed. Thin: single seeds.",
    CLICK_TEXT,
)


def list_sections(results: PageResults) -> list[Section]:
    """All sections of the study, in the page's order."""
    makers: list[Callable[[PageResults], Section | None]] = [
        about,
        tradeoff,
        differences,
        classes,
        claims,
        ablation,
        training,
        stability,
        latency,
        deployment,
        devices,
        transfer,
        distillation,
        search,
        paper,
        coverage,
        files,
    ]
    made = [make(results) for make in makers]
    return [section for section in made if section is not None]


def _rounded(name: str, results: PageResults) -> list[Table]:
    """The table as the workflow writes it, with its caption and notes."""
    if name not in results.tables:
        return []
    table = results.tables[name]
    return [
        make_table(
            f"Table: {name}",
            display_frame(table),
            str(caption(name, table, results.spec)),
            notes(table),
        )
    ]


def tradeoff(results: PageResults) -> Section | None:
    """Test accuracy against latency (or size without latencies), the best choice, and the table."""
    study = results.spec
    blocks: list[Block] = []
    text: list[str] = []
    if study.trained or study.finetune:
        points, x, y = headline_points(study, results.runs, results.cells)
        text = _describe_choice(results, points, x, y)
        if len(points) > MAX_POINTS:
            text.append(
                f"The chart shows {MAX_POINTS:,} of {len(points):,} points, with all Pareto-optimal ones first."
            )
            points = points.sort_values("front", ascending=False, kind="stable").head(MAX_POINTS)
        data_label = headline_label(study, results.runs)
        blocks.append(
            make_figure(tradeoff_chart(points, x, y, data_label, variants=study.variant_names))
        )
    if len(results.tables.get("tradeoff", ())):
        blocks += _rounded("tradeoff", results)
    if not blocks:
        return None
    title = f"Accuracy against {'latency' if study.timed else 'size'}"
    return Section("tradeoff", title, tuple(text), tuple(blocks))


def _describe_choice(results: PageResults, points: pd.DataFrame, x: Axis, y: Axis) -> list[str]:
    """Sentences: the front, the network with the best mean, and those not significantly below it."""
    best = choose_best(points, x, y, None, None)
    if best is None:
        return []
    row = best.row
    text = (
        f"Best {y.label.lower()}: {row['variant']}, {row['y']:.4g} {y.unit} at "
        f"{format_significant(row['x'])} {x.unit}."
    )
    training = main_experiments(results.spec).training
    standings = results.rank_candidates(training, y.column, best.candidates)
    if described := describe_standings(standings, population(y.column)):
        text += f" {described}"
    return [*describe_front(points), *describe_front_probabilities(points, x, y), text]


def ablation(results: PageResults) -> Section | None:
    """Accuracies of the ablation's networks, then the effect of each factor with the others fixed."""
    factors = results.factors
    if "ablation" not in results.tables and not len(factors):
        return None
    blocks: list[Block] = []
    if "ablation" in results.tables:
        table = results.select_drawn(results.tables["ablation"])
        blocks.append(make_figure(ablation_chart(table, results.spec.variant_names)))
        blocks += _rounded("ablation", results)
    for factor in dict.fromkeys(factors["factor"]):
        # Pairs of networks that no chart shows are only in the table.
        rows = factors[factors["factor"] == factor]
        drawn = rows[rows["base"].isin(results.drawn) & rows["variant"].isin(results.drawn)]
        blocks.append(make_figure(factor_chart(drawn.head(MAX_PAIRS), factor)))
    text = [*results.cut_text]
    if len(factors):
        text.append(
            "Each difference is between two networks that differ in only one factor, paired by seed. If an "
            "interval contains 0, these seeds can't distinguish the difference from 0."
        )
        blocks.append(_factor_rows(factors))
    return Section("ablation", "Ablation", tuple(text), tuple(blocks))


def _factor_rows(factors: pd.DataFrame) -> Table:
    rows = [
        {
            "factor": FACTOR_TITLES[row["factor"]],
            "from": row["base"],
            "to": row["variant"],
            "levels": f"{row['base_level']} → {row['level']}",
            "held fixed": row["held"],
            "difference (points)": format_mean(
                row["difference_mean_points"],
                row["difference_low_points"],
                row["difference_high_points"],
                row["n"],
                row["seed_differences_points"],
                format_signed,
            ),
            "paper's (points)": _format_printed(row["printed_difference_points"]),
            "parameters, ratio": format_cell(row["params_ratio"]),
            "status": row["status"],
        }
        for row in factors.to_dict("records")
    ]
    display = pd.DataFrame(rows)
    if factors["printed_difference_points"].isna().all():
        display = display.drop(columns="paper's (points)")
    note = [f"The chart of a factor shows its first {MAX_PAIRS} pairs"]
    longest = factors["factor"].value_counts().max()
    return make_table(
        "Table: factors",
        display,
        "Test accuracy of the second network minus the first, in percentage points: mean over n paired "
        "seeds with its 95 % t-interval; with n=2 both differences, without an interval.",
        note if longest > MAX_PAIRS else [],
    )


def _format_printed(value: float | None) -> str:
    return GAP if value is None or not is_known(value) else format_signed(value)


def _curves(results: PageResults, kind: str) -> list[Block]:
    epochs = results.select_drawn(results.epochs)
    panels = training_curves_panels(
        epochs[epochs["kind"] == kind], variants=results.spec.variant_names
    )
    return [make_figure(panel) for panel in panels]


def training(results: PageResults) -> Section | None:
    """The test accuracy of each training over its epochs."""
    if not results.spec.train:
        return None
    blocks = _curves(results, "train")
    text = (*results.cut_text, *CURVES_TEXT) if blocks else ("No data yet.",)
    return Section("training", "Training curves", text, tuple(blocks))


def latency(results: PageResults) -> Section | None:
    """Batch sizes, the raw samples at the smallest one, cold start, and drift of the machine."""
    if not results.spec.timed:
        return None
    runs, cells = results.select_drawn(results.runs), results.select_drawn(results.cells)
    samples = latency_distribution_panels(_smallest_batch(results))
    noise = results.noise
    text = [*map(describe_floor, row_dicts(noise)), *results.cut_text]
    if len(samples) > 1:
        text.append(f"The raw samples are those of the first of {len(samples)} settings.")
    sweep = batch_sweep_chart(cells, variants=results.spec.variant_names)
    charts = [sweep, samples[0], startup_chart(runs), drift_chart(runs)]
    blocks: list[Block] = [*map(make_figure, charts), _noise_rows(noise)]
    return Section("latency", "Latency", tuple(text), tuple(blocks))


def _noise_rows(noise: pd.DataFrame) -> Table:
    parts = {
        "floor_percent": "noise floor %",
        "job_percent": "job to job %",
        "round_percent": "round to round %",
        "drift_percent": "within a job %",
        "bias_percent": "before to after %",
    }
    rows = [
        {
            "device": format_cell(row["device"]),
            "protocol": row["protocol"],
            "images as in": row["dataset"],
            "reference network": format_cell(row["reference_model"]),
            "jobs": format_cell(row["num_jobs"]),
            "rounds": format_cell(row["num_rounds"]),
            **{text: format_significant(row[name], 2) for name, text in parts.items()},
        }
        for row in noise.to_dict("records")
    ]
    return make_table("Table: noise floor", pd.DataFrame(rows), NOISE_PARTS)


def _smallest_batch(results: PageResults) -> pd.DataFrame:
    """Raw samples at the smallest batch size, read from the records."""
    samples = results.samples(results.drawn)
    smallest: pd.DataFrame = samples[samples["batch_size"] == samples["batch_size"].min()]
    return smallest


def transfer(results: PageResults) -> Section | None:
    """Fine-tunings by recipe: one chart per dataset, the table and the curves."""
    if not results.spec.finetune:
        return None
    table = results.select_drawn(results.tables["transfer"])
    charts = [transfer_chart(rows) for _, rows in table.groupby("dataset", sort=False)]
    curves = _curves(results, "finetune")
    text = (*results.cut_text, *(CURVES_TEXT if curves else []))
    blocks: list[Block] = [*map(make_figure, charts), *_rounded("transfer", results), *curves]
    return Section("transfer", "Transfer", text, tuple(blocks))


def distillation(results: PageResults) -> Section | None:
    """What a teacher adds to the accuracy of each variant that has one."""
    tables = _rounded("distillation", results)
    if not tables:
        return None
    table = results.select_drawn(results.distillation)
    charts = [distillation_chart(rows) for _, rows in table.groupby("dataset", sort=False)]
    blocks: list[Block] = [*map(make_figure, charts), *tables]
    return Section("distillation", "Distillation", tuple(results.cut_text), tuple(blocks))


def paper(results: PageResults) -> Section | None:
    """The paper's printed figures next to ours, for the tables that show them."""
    tables = results.spec.tables
    with_paper = [name for name in PAPER_TABLES if (spec := getattr(tables, name)) and spec.paper]
    if not with_paper:
        return None
    rows = results.paper
    blocks: list[Block] = []
    for key, group in rows.groupby(["table", "what"], sort=False):
        table, what = cast("tuple[str, str]", key)
        if table not in with_paper:
            continue
        name = f"{PAPER_TABLES[table]}, {what}"
        # Images per second are the reciprocal of ms/image, and parameters need no chart.
        if what not in (RATE, PARAMETERS):
            blocks.append(replace(make_figure(paper_chart(group, what)), head=name))
        blocks.append(_paper_rows(name, group))
    text = (
        "Contains printed: our 95 % interval of the mean contains the printed figure. One more run: so does "
        "the wider interval of a single further run; a paper prints a single run. If data, recipe or "
        "device are not the paper's, the difference says little; the notes say what differs.",
    )
    blocks.append(Bullets(PRINTED_FACTS))
    return Section("paper", "The paper's figures and ours", text, tuple(blocks))


def _paper_rows(name: str, rows: pd.DataFrame) -> Table:
    display = pd.DataFrame(
        [
            {
                "variant": row["variant"],
                "printed": row["printed_text"],
                "ours": _format_ours(row),
                "ours − printed": _format_difference(row),
                "ours / printed": format_cell(row["ratio"]),
                "contains printed": format_cell(row["covered"]),
                "one more run": format_cell(row["run_covered"]),
                "comparable": format_cell(row["comparable"]),
                "status": "ok" if row["status"] == "ok" else "see notes",
            }
            for row in rows.to_dict("records")
        ]
    )
    empty = [c for c in ("ours / printed", "one more run") if display[c].eq(GAP).all()]
    caption = (
        f"{name}: mean of ours over n seeds or rounds with its 95 % interval; with n=2 both values, "
        "without an interval."
    )
    notes = [*_group_texts(rows, "differs"), *_group_texts(rows, "status")]
    return make_table(f"Table: {name}, paper and ours", display.drop(columns=empty), caption, notes)


def _format_ours(row: dict) -> str:
    if not is_known(row["ours"]):
        return GAP
    if row["what"] == PARAMETERS:
        return f"{int(row['ours']):,}"
    return format_mean(
        row["ours"],
        row["low"],
        row["high"],
        row["n"],
        row["our_values"],
        lambda value: format_significant(value, 4),
    )


def _format_difference(row: dict) -> str:
    value = row["difference"]
    if not is_known(value):
        return GAP
    text = f"{round(value):,}" if row["what"] == PARAMETERS else format_significant(value)
    return text if value < 0 else f"+{text}"


def _group_texts(rows: pd.DataFrame, column: str) -> list[str]:
    """'NAMES: TEXT' for each text of a column that reports a problem."""
    problems = rows[rows[column].notna() & ~rows[column].isin(["", "ok"])]
    return [
        f"{'all' if len(names) == len(rows) > 1 else ', '.join(names)}: {text}"
        for text, names in problems.groupby(column, sort=False)["variant"]
    ]
