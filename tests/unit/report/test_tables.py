import csv
import re
import shutil
from html import unescape

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt

from resnest_bench import records
from resnest_bench.errors import UserError
from resnest_bench.formats import (
    escape_latex,
    escape_markdown,
    format_binomial,
    format_mean,
    format_millions,
    format_p_value,
    format_probability,
    format_signed,
    format_significant,
    latex_table,
    markdown_bullets,
    markdown_table,
)
from resnest_bench.paths import Job
from resnest_bench.records.metrics import METRICS
from resnest_bench.report import tables as render
from resnest_bench.report.captions import STALE
from resnest_bench.report.tables import summary_text, write_tables
from support.records_factory import (
    GPU,
    make_cell,
    make_failed_record,
    make_record,
    make_study,
    write_study,
)

LATENCY = Job("latency", "low", "fast", "A", 0)


def make_text(paths, name):
    return (paths.tables / name).read_text()


def test_all_files_are_written_and_named(study, paths):
    names = {path.name for path in write_tables(study, paths)}
    tables = {
        f"{t}.{e}"
        for t in ("ablation", "tradeoff", "transfer", "pairs", "stability", "seeds_or_images")
        for e in ("csv", "md", "tex")
    }
    more = {
        "runs.csv",
        "runs.parquet",
        "latency_cells.csv",
        "epochs.csv",
        "noise.csv",
        "roofline.csv",
        "roofline.md",
        "factors.csv",
        "accuracies.csv",
        "standings.csv",
        "recipe_pairs.csv",
        "recipe_pairs.md",
        "effects.csv",
        "effects.md",
        "scores.csv",
        "score_pairs.csv",
        "per_class.md",
    }
    assert names == tables | more
    assert names == {path.name for path in paths.tables.iterdir()}


def test_without_a_tables_block_each_training_has_its_accuracies(tmp_path):
    """And where there is one, an experiment that it does not name."""
    recipes = {name: {"epochs": 2, "learning_rate": 0.1} for name in ("quick", "slow")}
    train = [{"dataset": "low", "recipe": name} for name in recipes]
    for tables, others in (({}, ["quick", "slow"]), ({"tradeoff": {}}, ["slow"])):
        study = make_study(
            recipes={**make_study().model_dump()["recipes"], **recipes},
            train=train,
            tables=tables,
            claims=[],
        )
        paths = study.paths(tmp_path / str(len(tables)))
        write_study(study, paths)
        names = {path.name for path in write_tables(study, paths) if path.suffix == ".csv"}
        assert {n for n in names if n.startswith("accuracies-")} == {
            f"accuracies-low-{recipe}.csv" for recipe in others
        }
        frame = pd.read_csv(paths.tables / f"accuracies-low-{others[-1]}.csv")
        assert frame["accuracy_mean_percent"].notna().all()
        text = summary_text(study, paths)
        assert all(f"recipe {recipe}" in text for recipe in others)
        pairs = pd.read_csv(paths.tables / "pairs.csv")
        places = pairs[["kind", "dataset", "recipe"]].drop_duplicates().to_numpy().tolist()
        assert places[:2] == [["train", "low", "quick"], ["train", "low", "slow"]]


def test_the_paper_is_beside_ours_where_the_study_asks_for_it(study, paths):
    asked = make_study(tables={"ablation": {"paper": True}})
    write_tables(asked, paths)
    paper = pd.read_csv(paths.tables / "paper.csv")
    assert paper.loc[paper["what"] == "accuracy %", "printed"].count() == 18
    factors = pd.read_csv(paths.tables / "factors.csv").set_index(["base", "variant"])
    # B minus A is 10 points in each seed.
    assert factors.loc[("A", "B"), "difference_mean_points"] == pytest.approx(10)


def test_writing_again_changes_no_byte(study, paths):
    first = {path: path.read_bytes() for path in write_tables(study, paths)}
    assert {path: path.read_bytes() for path in write_tables(study, paths)} == first


def test_the_csv_holds_the_records_doubles(study, paths):
    job = Job("train", "low", "quick", "A", 0)
    record = make_record(study, job, accuracy=1 / 3, num_test=9973)
    records.write(paths.record(job), record)
    write_tables(study, paths)
    with (paths.tables / "runs.csv").open() as file:
        rows = {(r["kind"], r["variant"], r["seed"]): r for r in csv.DictReader(file)}
    row = rows["train", "A", "0"]
    for name in ("test_accuracy", "train_loss", "test_loss", "train_seconds"):
        assert float(row[name]) == METRICS[name].extract(record)
    assert row["num_params"] == "1000"
    assert row["latency_p50_ms"] == ""
    cells = pd.read_csv(paths.tables / "latency_cells.csv")
    samples = records.read(paths.record(LATENCY)).latency.cells[0].samples_ms
    assert cells["p90_ms"][0] == np.percentile(samples, 90)


def test_the_parquet_holds_the_same(study, paths):
    write_tables(study, paths)
    runs = pd.read_parquet(paths.tables / "runs.parquet")
    assert runs["test_accuracy"].dropna().tolist()[:3] == [0.60, 0.61, 0.62]
    assert len(runs) == 24


def test_markdown_says_data_device_software_and_n(study, paths):
    write_tables(study, paths)
    text = make_text(paths, "tradeoff.md")
    for part in (
        "Synthetic low, 100 test images",
        "recipe quick (2 epochs)",
        "torch 2.11.0",
        "CPU Testium 3000",
        "95 % interval",
        "batch size 1, fp32",
        "protocol fast",
        "61.00 [58.49, 63.45] (n=3)",
    ):
        assert part in text
    assert "GPU" not in text
    assert "printed" not in text.lower()
    # No interval and no mean stands without its n.
    rows = [line for line in text.splitlines() if line.startswith("| ") and "variant" not in line]
    assert len(rows) == 3
    for row in rows:
        assert re.search(r"\d+\.\d\d \[\d+\.\d\d, \d+\.\d\d\] \(n=3\)", row)
        assert "CPU" in row


def test_gaps_are_explained_below(study, paths):
    job = Job("train", "low", "quick", "A", 1)
    records.write(paths.record(job), make_failed_record(job, study.job_spec(job), "a | b\nc"))
    shutil.rmtree(paths.record(Job("train", "low", "quick", "T", 0)).parent)
    stale = make_record(study, LATENCY, code_digest="old", cells=[make_cell(1, [1, 1, 2, 3.0])])
    records.write(paths.record(LATENCY), stale)
    write_tables(study, paths)
    text = make_text(paths, "tradeoff.md")
    assert r"- A: seed 1 failed: a \| b c; latency stale: code changed since" in text
    assert "- T: seeds 0, 1, 2 missing: no record yet" in text
    assert "(noisy) (stale)" in text
    assert "- (noisy): " in text
    assert f"- {STALE}" in text
    assert r"code changed since" in make_text(paths, "tradeoff.tex")


def test_one_seed_stands_with_the_interval_of_its_network(study, paths):
    for seed in (1, 2):
        paths.record(Job("train", "low", "quick", "A", seed)).unlink()
    write_tables(study, paths)
    for name in ("ablation", "tradeoff"):
        text = make_text(paths, f"{name}.md")
        assert "60.00 [50.20, 69.06] (n=1, binomial)" in text
        assert "binomial 95 % interval (Wilson) of that one network on new test images" in text
        assert "n=1, binomial" in make_text(paths, f"{name}.tex")
    assert "binomial" not in make_text(paths, "transfer.md")


def test_front_and_noise_floor_are_said(paths):
    study = make_study(latency=[{"dataset": "low", "protocol": "fast", "rounds": 2}])
    for job in study.jobs():
        extra = 0.02 * (job.seed == 1) * (job.variant == "B")
        if job.kind == "train":
            base = {"A": 0.6, "B": 0.7, "T": 0.8}[job.variant]
            made = make_record(study, job, accuracy=base + 0.01 * job.seed + extra)
        elif job.kind == "latency":
            made = make_record(study, job, p50_ms=2.0 + job.seed + 2 * "ABT".index(job.variant))
            # 10 ms and 11 ms before and after, 2 % more in every second job.
            factor = 1.02 if job.variant == "B" else 1.0
            timings = {"before_ms": [10.0 * factor], "after_ms": [11.0 * factor]}
            reference = made.latency.reference.model_copy(update=timings)
            made = made.model_copy(
                update={"latency": made.latency.model_copy(update={"reference": reference})}
            )
        else:
            continue
        records.write(paths.record(job), made)
    write_tables(study, paths)
    text = make_text(paths, "tradeoff.md")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    head = [cell.strip() for cell in rows[0].split("|")]
    places = [head.index(name) for name in ("Pareto-optimal", "P(Pareto-optimal)")]
    cells = [[row.split("|")[place].strip() for place in places] for row in rows[1:]]
    assert [cell[0] for cell in cells] == ["yes"] * 3
    assert all(re.fullmatch(r"[01]\.\d\d|[<>]0\.\d\d", cell[1]) for cell in cells)
    assert "3 seeds and 2 rounds" in text
    # Logarithms of 1, 1.02, 1 in each of two rounds, twice (before and after): four degrees of freedom.
    step = np.log(1.02)
    squares = 2 * 2 * (2 * (step / 3) ** 2 + (2 * step / 3) ** 2)
    floor = np.exp(2.776445 * np.sqrt(squares / (2 * 4))) - 1  # t(0.975, 4), sqrt(2 / 2) = 1
    assert f"differs by up to {100 * floor:.1f} % (95 %)" in text
    noise = pd.read_csv(paths.tables / "noise.csv")
    assert noise["floor_percent"].item() == pytest.approx(100 * floor, rel=1e-5)
    assert noise["bias_percent"].item() == pytest.approx(100 * np.log(1.1))


def test_several_devices_are_said_and_settings_listed(study, paths):
    cells = [make_cell(8, [3.0] * 5)]
    records.write(paths.record(LATENCY), make_record(study, LATENCY, cells=cells, device=GPU))
    write_tables(study, paths)
    text = make_text(paths, "tradeoff.md")
    assert "several devices" in text
    assert "- A: latency at batch size 8, fp32, channels_last, eager, on GPU NVIDIA Testla" in text
    assert "- B: latency at batch size 1, fp32, channels_last, eager, on CPU Testium" in text


def test_printed_values_are_called_printed(paths):
    write_tables(
        make_study(tables={"tradeoff": {"paper": True}, "transfer": {"paper": True}}), paths
    )
    assert "not a measurement of ours" in make_text(paths, "tradeoff.md")
    assert "printed ms/image (T4)" in make_text(paths, "tradeoff.md")
    assert "ours − printed" in make_text(paths, "transfer.md")


def test_only_what_applies_is_written(paths):
    study = make_study(finetune=[], tables={"tradeoff": {}})
    names = {path.name for path in write_tables(study, paths)}
    assert "tradeoff.md" in names
    assert not names & {"ablation.md", "transfer.md"}


def test_a_table_without_rows_stands_where_it_was_asked_for(paths):
    study = make_study(
        train=[],
        latency=[],
        tables={"tradeoff": {}},
        finetune=[{"dataset": "high", "recipes": ["fresh"], "weights": {"A": {"hub": "x"}}}],
    )
    names = {path.name for path in write_tables(study, paths)}
    assert {"tradeoff.csv", "tradeoff.md", "tradeoff.tex", "transfer.md"} <= names
    assert "no variant of this study" in make_text(paths, "tradeoff.md")


def test_from_no_record_at_all(study, tmp_path):
    paths = study.paths(tmp_path)
    write_tables(study, paths)
    assert "not measured yet" in make_text(paths, "tradeoff.md")
    assert "24 jobs: 24 missing" in summary_text(study, paths)


def test_the_summary_has_every_table(study, paths):
    text = summary_text(study, paths)
    for part in ("## Ablation", "## Accuracy against latency", "## Transfer", "24 jobs: 24 ok"):
        assert part in text
    assert "+20.00 (n=3, all alike)" in text
    assert "3 records belong to no job" in summary_text(make_study(latency=[]), paths)


def test_a_folder_that_cannot_be_written(study, paths):
    paths.tables.write_text("in the way")
    with pytest.raises(UserError, match="cannot write"):
        write_tables(study, paths)


def test_latex_escapes_every_special_character():
    assert escape_latex("a_b & 5% #1 $x {y} ~ ^ \\ ± − < |") == (
        r"a\_b \& 5\% \#1 \$x \{y\} \textasciitilde{} \textasciicircum{} \textbackslash{} $\pm$ $-$ "
        r"\textless{} \textbar{}"
    )
    frame = pd.DataFrame({"a_b": ["5 %"], "c": ["x & y"]})
    text = latex_table(frame, "100 % of_it", "t", ["see #1"])
    assert r"a\_b & c \\" in text
    assert r"5 \% & x \& y \\" in text
    assert r"\caption{100 \% of\_it}" in text
    assert r"see \#1" in text
    assert [text.count(rule) for rule in ("toprule", "midrule", "bottomrule")] == [1, 1, 1]


def test_latex_braces_balance(study, paths):
    write_tables(study, paths)
    for name in ("ablation", "tradeoff", "transfer"):
        text = re.sub(r"\\[{}]", "", make_text(paths, f"{name}.tex"))
        assert text.count("{") == text.count("}")
        assert text.isascii()


@pytest.mark.parametrize(
    ("value", "probability", "p"),
    [
        (0.9955, ">0.99", ">0.99"),
        (0.99999, ">0.99", ">0.99"),
        (0.99, "0.99", "0.99"),
        (1.0, ">0.99", "1"),
        (0.5, "0.50", "0.50"),
        (0.0321, "0.03", "0.032"),
        (0.0004, "<0.01", "<0.001"),
        (0.0, "<0.01", "<0.001"),
    ],
)
def test_no_probability_and_no_p_below_1_is_shown_as_1(value, probability, p):
    assert (format_probability(value), format_p_value(value)) == (probability, p)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("*a* and a*b", r"\*a\* and a\*b"),
        ("<i>x</i>", r"\<i>x\</i>"),
        ("_a_ a_b", r"\_a\_ a_b"),
        ("`x`", r"\`x\`"),
        ("[a](b)", r"[a]\(b)"),
        ("[1.0, 2.0] (n=3)", "[1.0, 2.0] (n=3)"),
        ("~~a~~", r"\~\~a\~\~"),
        ("<0.01", "<0.01"),
        ("a &lt; b & c", r"a \&lt; b & c"),
        (r"a\b", r"a\\b"),
        ("$x$", r"\$x\$"),
        ("<!-- a", r"\<!-- a"),
        ("![a](b)", r"![a]\(b)"),
    ],
)
def test_markdown_shows_a_text_letter_by_letter(text, shown):
    assert escape_markdown(text) == shown
    row = markdown_table(pd.DataFrame({text: [text]})).splitlines()
    assert [shown in row[0], shown in row[2]] == [True, True]
    assert markdown_bullets([f"x {text}"]) == [f"- x {shown}"]


@pytest.mark.parametrize(
    "text",
    [
        "*a*",
        "<i>x</i>",
        "_a_ a_b __c__",
        "`x`",
        "[a](b)",
        "![a](b)",
        "~~a~~",
        "a &lt; b",
        "a|b",
        r"a\b\*c",
        "# a",
        "> a",
        "- a",
        "+ a",
        "1. a",
        "[a]: b",
        "***",
        "---",
        "<http://a.b>",
        "<!-- a -->",
        "&#42;a*",
        "\\",
    ],
)
def test_a_markdown_reader_shows_what_was_written(text):
    reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    html = reader.render("\n".join(markdown_bullets([text])))
    assert unescape(html) == f"<ul>\n<li>{text}</li>\n</ul>\n"
    table = reader.render(markdown_table(pd.DataFrame({"a": [text]})))
    assert f"<td>{text}</td>" in re.sub(r' style="[^"]*"', "", unescape(table))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("# a", r"\# a"),
        ("> a", r"\> a"),
        ("- a", r"\- a"),
        ("1. a", r"1\. a"),
        ("2) a", r"2\) a"),
        ("[x] a", r"\[x] a"),
        ("-3 points", "-3 points"),
        ("[a]: b", r"[a]\: b"),
        ("3.5 ms", "3.5 ms"),
        ("---", r"\---"),
        ("ResNeSt-14", "ResNeSt-14"),
    ],
)
def test_a_note_starts_no_heading_quote_or_list(text, shown):
    assert markdown_bullets([text]) == [f"- {shown}"]


def test_markup_in_names_and_reasons_is_shown_in_every_markdown_file(study, paths):
    for kind, dataset, recipe in (("train", "low", "quick"), ("latency", "low", "fast")):
        job = Job(kind, dataset, recipe, "A", 0)
        failed = make_failed_record(job, study.job_spec(job), "*bold* <i>x</i> [a](b)")
        records.write(paths.record(job), failed)
    write_tables(study, paths)
    files = sorted(paths.tables.glob("*.md"))
    assert len(files) > 3
    for file in files:
        text = file.read_text()
        assert not re.search(r"(?<!\\)\*bold|(?<!\\)<i>|\[a\]\(b", text), file.name
    assert r"\*bold\* \<i>x\</i> [a]\(b)" in make_text(paths, "tradeoff.md")


def test_a_pipe_cannot_break_a_markdown_row():
    text = markdown_table(pd.DataFrame({"a": ["x|y"], "b": ["two\nlines"]}))
    assert r"x\|y" in text
    assert len(text.splitlines()) == 3


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12345, "0.123"),
        (12.345, "12.3"),
        (1234.5, "1,230"),
        (0, "0"),
        (None, "–"),
        (float("nan"), "–"),
        (pd.NA, "–"),
        (0.000123456, "0.000123"),
        (999.9, "1,000"),
    ],
)
def test_three_significant_digits(value, text):
    assert format_significant(value) == text


def test_uncertain_texts():
    assert format_mean(62.637, 62.1, 63.18, 5, []) == "62.64 [62.10, 63.18] (n=5)"
    assert format_mean(62.637, None, None, 1, [62.637]) == "62.64 (n=1)"
    assert format_mean(62.637, None, None, 3, [62.637] * 3) == "62.64 (n=3, all alike)"
    assert format_mean(44.05, None, None, 2, [43.1, 45.0]) == "43.10, 45.00 (n=2)"
    assert format_binomial(60, 50.2003, 69.0599) == "60.00 [50.20, 69.06] (n=1, binomial)"
    assert [format_probability(p) for p in (0.614, 0.001, 0.9999, float("nan"))] == [
        "0.61",
        "<0.01",
        ">0.99",
        "–",
    ]
    assert format_mean(float("nan"), None, None, 0, []) == "–"
    assert format_mean(1.0, -1.0, 3.0, 3, [], format_signed) == "+1.00 [-1.00, +3.00] (n=3)"
    assert format_mean(12.0, None, None, 2, [4.0, 20.0], format_significant) == "4.00, 20.0 (n=2)"
    assert (format_millions(8_583_178), format_millions(85_831), format_millions(pd.NA)) == (
        "8.58M",
        "85.8k",
        "–",
    )


def test_many_jobs_of_one_reason_are_one_line_in_the_log(study, paths, monkeypatch, caplog):
    monkeypatch.setattr(render, "MAX_LOGGED", 2)
    for seed in (0, 1, 2):
        paths.record(Job("train", "low", "quick", "A", seed)).unlink()
    failed = Job("train", "low", "quick", "B", 0)
    records.write(
        paths.record(failed), make_failed_record(failed, study.job_spec(failed), "it diverged")
    )
    write_tables(study, paths)
    assert [r.getMessage() for r in caplog.records] == [
        "3 jobs: missing: no record yet",
        "train B on low (quick, seed 0): failed: it diverged",
    ]


@pytest.mark.parametrize(("dataset", "says"), [("low", True), ("cifar", False)])
def test_the_caption_says_where_the_paper_had_other_data(paths, dataset, says):
    study = make_study(
        datasets={"low": {"source": "digits"}, "cifar": {"source": "cifar10"}},
        train=[{"dataset": dataset, "recipe": "paper20"}],
        latency=[],
        finetune=[],
        tables={"ablation": {"paper": True}},
    )
    write_tables(study, paths)
    assert ("are not the paper's" in make_text(paths, "ablation.md")) is says
