"""Write docs/results.md from the records under results/reference: no figure in it is typed.

python docs/make_results.py            (a test says when it was forgotten)
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from resnest_bench import files
from resnest_bench.export.document import plain, render_markdown
from resnest_bench.export.results import PageResults
from resnest_bench.export.sections import list_sections
from resnest_bench.formats import (
    GAP,
    format_millions,
    format_probability,
    format_significant,
    markdown_table,
    row_dicts,
)
from resnest_bench.paths import StudyPaths
from resnest_bench.report.claims import count_verdicts
from resnest_bench.report.differences import count_significant, describe_power
from resnest_bench.report.effects import describe_spread, effects_notes
from resnest_bench.specs import load_study
from resnest_bench.stats.power import ALPHA
from resnest_bench.tables.values import name_devices

HERE = Path(__file__).parent
REFERENCE = HERE.parent / "results" / "reference"
OUT = HERE / "results.md"
# The sections of each study, in this order; the dashboard and `resnest-bench export` show the rest.
SHOWN = ("tradeoff", "differences", "claims", "ablation", "latency", "transfer")
TITLES = {
    "subset": "Ablation, and accuracy against latency",
    "hotdog": "Fine-tuning on hotdog photos",
}
HEAD = """\
# What this study found

Written by `python docs/make_results.py` from the records in [results/reference/](../results/reference/README.md); no figure is typed by hand.
Each figure is given with its number of seeds or rounds (n), its data and its device.
[methods.md](methods.md) says how it is computed. `make dashboard` shows more.
"""


def document() -> tuple[str, dict[str, str]]:
    """The text, and its figures by path from docs/."""
    parts = [HEAD.rstrip()]
    figures: dict[str, str] = {}
    # The largest study first.
    found = sorted(REFERENCE.glob("*/*/study.json"), key=lambda p: (-p.stat().st_size, p))
    for root in (path.parent for path in found):
        study, paths = load_study(root / "study.json"), StudyPaths(root)
        results = PageResults(study, paths)
        sections = {section.key: section for section in list_sections(results)}
        name = f"{root.parent.name}/{study.study}"
        title = TITLES.get(study.study, study.study)
        shown = [sections[key] for key in SHOWN if key in sections]
        text, made = render_markdown(shown, f"results/{name}", level=3)
        figures |= made
        parts += [
            f"## {title}",
            f"Study `{study.study}` on {plain(_devices(results))}.",
            _bullets(in_short(results)),
            "### How long it took",
            describe_cost(results),
            markdown_table(cost_table(results)),
            text.rstrip(),
            _limits(results),
        ]
    return "\n\n".join(filter(None, parts)).rstrip() + "\n", figures


def _devices(results: PageResults) -> str:
    known = results.runs[results.runs["device_kind"].notna()]
    pairs = pd.DataFrame({"kind": known["kind"], "device": name_devices(known)}).drop_duplicates()
    return "; ".join(f"{row.device} ({row.kind})" for row in pairs.itertuples())


def _bullets(items: list[str]) -> str:
    return "\n".join(f"- {item}" for item in items if item)


def in_short(results: PageResults) -> list[str]:
    """The results of the tables in sentences."""
    study, differences = results.spec, results.main_differences
    lines = []
    if differences is not None and len(differences.pairs):
        lines.append(
            f"**{count_significant(differences.pairs)}**. {describe_power(differences.pairs)}"
        )
        lines += [_name_significant(differences.pairs), _name_clearest(differences.pairs)]
    lines += _describe_effects(results)
    points = results.tables.get("tradeoff")
    if points is not None and len(points):
        lines += _describe_tradeoff(points)
    if study.claims:
        lines.append(
            f"**{count_verdicts(results.claims())}**, at 5 % for all claims on trained networks, or on latencies, together."
        )
    transfer = results.tables.get("transfer")
    if transfer is not None:
        lines += _describe_transfer(transfer)
    return [plain(line).replace(r"\*\*", "**") for line in lines if line]


def _name_significant(pairs: pd.DataFrame) -> str:
    above = pairs[pairs["verdict"].isin(["above", "below"])]
    said = [
        f"{row.variant} {'above' if row.verdict == 'above' else 'below'} {row.base} "
        f"({row.difference_points:+.1f} points)"
        for row in above.itertuples()
    ]
    return f"Significantly different: {'; '.join(said)}." if said else ""


def _name_clearest(pairs: pd.DataFrame) -> str:
    """The clearest differences that are not significant: candidates for more seeds."""
    rest = pairs[pairs["verdict"] == "not significant"].nsmallest(3, "all_p")
    said = [
        f"{row.variant} against {row.base}, {row.difference_points:+.1f} points "
        f"[{row.all_low_points:+.1f}, {row.all_high_points:+.1f}]"
        for row in rest.itertuples()
    ]
    if not said:
        return ""
    return (
        f"The clearest differences that are not significant: {'; '.join(said)} (95 % intervals for new "
        f"seeds and images, not corrected for {len(pairs)} pairs)."
    )


def _describe_effects(results: PageResults) -> list[str]:
    effects = results.factor_effects if results.spec.tables.ablation else ""
    if isinstance(effects, str):
        return []
    different = effects.table[effects.table["welch_holm_p"] <= ALPHA]
    said = [
        f"{row.factor} {row.level} against {row.base_level} {row.effect:+.1f} points "
        f"[{row.welch_low:+.1f}, {row.welch_high:+.1f}], by the mixed model [{row.low:+.1f}, {row.high:+.1f}]"
        for row in different.itertuples()
    ]
    what = f"Of {len(effects.table)} effects of factors, over all networks and assuming that effects add up, "
    none = "no effect is significantly different from 0 at 5 % (Holm)."
    model = effects.table[
        (effects.table["holm_p"] <= ALPHA) & ~(effects.table["welch_holm_p"] <= ALPHA)
    ]
    doubtful = [
        f"{row.factor} {row.level} against {row.base_level} {row.effect:+.1f} points "
        f"[{row.low:+.1f}, {row.high:+.1f}], Welch [{row.welch_low:+.1f}, {row.welch_high:+.1f}]"
        for row in model.itertuples()
    ]
    return [
        what
        + (
            f"these are significantly different from 0 at 5 % (Holm): {'; '.join(said)}."
            if said
            else none
        ),
        f"Only by the mixed model: {'; '.join(doubtful)}. {'. '.join(describe_spread(effects))}."
        if doubtful
        else "",
    ]


def _describe_tradeoff(table: pd.DataFrame) -> list[str]:
    on = table[table["front"].eq(True)]
    said = [
        f"{row.variant} ({format_probability(row.front_probability)})" for row in on.itertuples()
    ]
    front = f"Pareto-optimal in accuracy and latency, with the probability: {', '.join(said)}."
    floors = [
        f"Noise floor of the latencies: {format_significant(value, 3)} %; smaller differences are not "
        "distinguishable from noise."
        for value in table["noise_floor_percent"].dropna().unique()
    ]
    return [front if said else "", *floors]


def _describe_transfer(table: pd.DataFrame) -> list[str]:
    gains = table.dropna(subset=["gain_mean_points"])
    return [
        f"{row['variant']}, {row['recipe']}: {row['gain_mean_points']:+.1f} points over training from scratch"
        + _describe_gain(row)
        for row in row_dicts(gains)
    ]


def _describe_gain(row: Mapping[str, Any]) -> str:
    """' [+18.9, +22.6] (95 % interval over n=3 paired seeds).', or the gains of the single seeds."""
    low, high, n = row["gain_low_points"], row["gain_high_points"], row["gain_n"]
    if pd.notna(low):
        return f" [{low:+.1f}, {high:+.1f}] (95 % interval over n={n} paired seeds)."
    gains = ", ".join(f"{gain:+.1f}" for gain in row["gain_seed_points"])
    return f" (n={n} paired seed{'' if n == 1 else 's'}: {gains}; no interval)."


def describe_cost(results: PageResults) -> str:
    """Say what the seconds in the table are."""
    return (
        f"Seconds per training or fine-tuning (one seed, with evaluations) and per latency job (one round, "
        f"all batch sizes and settings). Values are means over n, on {plain(_devices(results))}. "
        "[results/reference/](../results/reference/README.md) says what ran at the same time."
    )


def cost_table(results: PageResults) -> pd.DataFrame:
    """One row per variant and recipe: parameters, and seconds by kind of job."""
    runs = results.runs[results.runs["status"].isin(["ok", "stale"])]
    rows = []
    for (kind, recipe, variant), group in runs.groupby(["kind", "recipe", "variant"], sort=False):
        seconds = group["wall_seconds"].dropna() if kind != "latency" else _whole_seconds(group)
        rows.append(
            {
                "job": kind,
                "recipe or protocol": recipe,
                "variant": variant,
                "parameters": format_millions(group["num_params"].dropna().iloc[0]),
                "seconds": format_significant(seconds.mean(), 3) if len(seconds) else GAP,
                "n": str(len(seconds)),
            }
        )
    return pd.DataFrame(rows)


def _whole_seconds(group: pd.DataFrame) -> pd.Series:
    """From the start of each job to its end."""
    start, end = (
        pd.to_datetime(group[name], format="ISO8601") for name in ("started_at", "finished_at")
    )
    return (end - start).dt.total_seconds().dropna()


def _limits(results: PageResults) -> str:
    """The limits of these data: untested claims, gaps, and what the design can't separate."""
    lines = []
    if results.spec.claims:
        claims = results.claims()
        lines += [
            f"Not tested: {row['claim'].rstrip('.')}: {row['explanation']}"
            for row in row_dicts(claims[claims["verdict"] == "untested"])
        ]
    if results.spec.tables.ablation:
        lines += effects_notes(results.factor_effects)
    lines += [f"{status}: {count} jobs" for status, count in _not_ok(results.runs).items()]
    if not lines:
        return ""
    return "\n\n".join(["### Limits of these data", _bullets([*map(plain, lines)])])


def _not_ok(runs: pd.DataFrame) -> dict[str, int]:
    counts = runs.loc[runs["status"] != "ok", "status"].value_counts()
    return {str(status): int(count) for status, count in counts.items()}


def main() -> None:
    text, figures = document()
    files.write_text(OUT, text)
    for name, svg in figures.items():
        files.write_text(HERE / name, svg)
    for old in (HERE / "results").rglob("*.svg"):
        if old.relative_to(HERE).as_posix() not in figures:
            old.unlink()
    sys.stdout.write(f"{OUT} and {len(figures)} figures\n")


if __name__ == "__main__":
    main()
