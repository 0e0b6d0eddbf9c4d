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
    markdown_table,
    millions,
    probability_text,
    row_dicts,
    significant,
)
from resnest_bench.paths import StudyPaths
from resnest_bench.report.claims import counts_text
from resnest_bench.report.differences import (
    effects_notes,
    power_text,
    significance_text,
    spread_text,
)
from resnest_bench.specs import load_study
from resnest_bench.stats.power import ALPHA
from resnest_bench.tables.values import device_texts

HERE = Path(__file__).parent
REFERENCE = HERE.parent / "results" / "reference"
OUT = HERE / "results.md"
# What is shown of each study, in this order; the dashboard and `resnest-bench export` show the rest.
SHOWN = ("tradeoff", "differences", "claims", "ablation", "latency", "transfer")
TITLES = {
    "subset": "Ablation, and accuracy against latency",
    "hotdog": "Fine-tuning on hotdog photos",
}
HEAD = """\
# What this study found

Written by `python docs/make_results.py` from the records in [results/reference/](../results/reference/README.md); no figure is typed. Each stands with its
number of seeds or rounds (n), its data and its device. How it is computed: [methods.md](methods.md). To look closer: `make dashboard`.
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
            cost_text(results),
            markdown_table(cost_table(results)),
            text.rstrip(),
            _limits(results),
        ]
    return "\n\n".join(filter(None, parts)).rstrip() + "\n", figures


def _devices(results: PageResults) -> str:
    known = results.runs[results.runs["device_kind"].notna()]
    pairs = pd.DataFrame({"kind": known["kind"], "device": device_texts(known)}).drop_duplicates()
    return "; ".join(f"{row.device} ({row.kind})" for row in pairs.itertuples())


def _bullets(items: list[str]) -> str:
    return "\n".join(f"- {item}" for item in items if item)


def in_short(results: PageResults) -> list[str]:
    """What the tables say, a sentence each."""
    study, found = results.spec, results.main_differences
    lines = []
    if found is not None and len(found.pairs):
        lines.append(
            f"**{significance_text(found.pairs).capitalize()}**. {power_text(found.pairs)}"
        )
        lines += [_apart_text(found.pairs), _closest_text(found.pairs)]
    lines += _effect_texts(results)
    points = results.tables.get("tradeoff")
    if points is not None and len(points):
        lines += _front_texts(points)
    if study.claims:
        lines.append(f"**{counts_text(results.claims())}**, at 5 % for all claims together.")
    transfer = results.tables.get("transfer")
    if transfer is not None:
        lines += _transfer_texts(transfer)
    return [plain(line).replace(r"\*\*", "**") for line in lines if line]


def _apart_text(pairs: pd.DataFrame) -> str:
    above = pairs[pairs["verdict"].isin(["above", "below"])]
    said = [
        f"{row.variant} {'above' if row.verdict == 'above' else 'below'} {row.base} "
        f"({row.difference_points:+.1f} points)"
        for row in above.itertuples()
    ]
    return f"Told apart: {'; '.join(said)}." if said else ""


def _closest_text(pairs: pd.DataFrame) -> str:
    """The clearest of those that are not significant: what to look at with more seeds."""
    rest = pairs[pairs["verdict"] == "not significant"].nsmallest(3, "all_p")
    said = [
        f"{row.variant} against {row.base}, {row.difference_points:+.1f} points "
        f"[{row.all_low_points:+.1f}, {row.all_high_points:+.1f}]"
        for row in rest.itertuples()
    ]
    if not said:
        return ""
    return (
        f"Clearest of those not significant: {'; '.join(said)} (95 % for new seeds and images, each by "
        f"itself, not corrected for {len(pairs)} pairs)."
    )


def _effect_texts(results: PageResults) -> list[str]:
    found = results.found_effects if results.spec.tables.ablation else ""
    if isinstance(found, str):
        return []
    different = found.table[found.table["by_seed_holm_p"] <= ALPHA]
    said = [
        f"{row.factor} {row.level} against {row.base_level} {row.effect:+.1f} points "
        f"[{row.by_seed_low:+.1f}, {row.by_seed_high:+.1f}], by the mixed model [{row.low:+.1f}, {row.high:+.1f}]"
        for row in different.itertuples()
    ]
    what = (
        f"Of {len(found.table)} effects of factors, all networks together, each seed by itself and "
        "assuming that effects add up, "
    )
    none = "none is significantly different from 0 at 5 % (Holm)."
    model = found.table[
        (found.table["holm_p"] <= ALPHA) & ~(found.table["by_seed_holm_p"] <= ALPHA)
    ]
    doubtful = [
        f"{row.factor} {row.level} against {row.base_level} {row.effect:+.1f} points "
        f"[{row.low:+.1f}, {row.high:+.1f}], by seed [{row.by_seed_low:+.1f}, {row.by_seed_high:+.1f}]"
        for row in model.itertuples()
    ]
    return [
        what
        + (f"significantly different from 0 at 5 % (Holm): {'; '.join(said)}." if said else none),
        f"By the mixed model alone: {'; '.join(doubtful)}. {spread_text(found)}."
        if doubtful
        else "",
    ]


def _front_texts(table: pd.DataFrame) -> list[str]:
    on = table[table["front"].eq(True)]
    said = [f"{row.variant} ({probability_text(row.front_probability)})" for row in on.itertuples()]
    front = f"On the Pareto front of accuracy and latency, with its probability: {', '.join(said)}."
    floors = [
        f"Noise floor of the latencies: {significant(value, 3)} %; smaller differences are not "
        "distinguishable from noise."
        for value in table["noise_floor_percent"].dropna().unique()
    ]
    return [front if said else "", *floors]


def _transfer_texts(table: pd.DataFrame) -> list[str]:
    gains = table.dropna(subset=["gain_mean_points"])
    return [
        f"{row['variant']}, {row['recipe']}: {row['gain_mean_points']:+.1f} points over a start from scratch"
        + _gain_ends(row)
        for row in row_dicts(gains)
    ]


def _gain_ends(row: Mapping[str, Any]) -> str:
    """' [+18.9, +22.6] (95 % interval over n=3 paired seeds).'; without one the seeds' own gains."""
    low, high, n = row["gain_low_points"], row["gain_high_points"], row["gain_n"]
    if pd.notna(low):
        return f" [{low:+.1f}, {high:+.1f}] (95 % interval over n={n} paired seeds)."
    gains = ", ".join(f"{gain:+.1f}" for gain in row["gain_seed_points"])
    return f" (n={n} paired seed{'' if n == 1 else 's'}: {gains}; no interval)."


def cost_text(results: PageResults) -> str:
    """What the seconds below are of."""
    return (
        f"Seconds of one training or fine-tuning (one seed, evaluations included) and of one latency job "
        f"(one round, all batch sizes and settings), means over n, on {plain(_devices(results))}. What ran "
        "beside them is said in [results/reference/](../results/reference/README.md)."
    )


def cost_table(results: PageResults) -> pd.DataFrame:
    """A row a variant and recipe: parameters, and seconds by kind of job."""
    runs = results.runs[results.runs["status"].isin(["ok", "stale"])]
    rows = []
    for (kind, recipe, variant), group in runs.groupby(["kind", "recipe", "variant"], sort=False):
        seconds = group["wall_seconds"].dropna() if kind != "latency" else _whole_seconds(group)
        rows.append(
            {
                "job": kind,
                "recipe or protocol": recipe,
                "variant": variant,
                "parameters": millions(group["num_params"].dropna().iloc[0]),
                "seconds": significant(seconds.mean(), 3) if len(seconds) else GAP,
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
    """What can't be said with these data: untested claims, gaps, and what the design can't separate."""
    lines = []
    if results.spec.claims:
        claims = results.claims()
        lines += [
            f"Not tested: {row['claim']} {row['explanation']}"
            for row in row_dicts(claims[claims["verdict"] == "untested"])
        ]
    if results.spec.tables.ablation:
        lines += effects_notes(results.found_effects)
    lines += [f"{status}: {count} jobs" for status, count in _not_ok(results.runs).items()]
    if not lines:
        return ""
    return "\n\n".join(["### What can't be said with these data", _bullets([*map(plain, lines)])])


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
