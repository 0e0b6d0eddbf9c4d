"""Claims as tables, as files and as lines on a terminal."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from resnest_bench import records
from resnest_bench.claims.tables import (
    CLAIM_COLUMNS,
    COMPARISON_COLUMNS,
    claims_table,
    comparisons_table,
)
from resnest_bench.claims.wording import figure_text
from resnest_bench.paths import Job
from resnest_bench.report.claims import (
    claims_caption,
    claims_display,
    claims_notes,
    claims_summary,
    count_verdicts,
)
from resnest_bench.report.tables import summary_text, write_tables
from resnest_bench.tables.noise import ALL_ALIKE
from support.claims_study import claim, claims_study, make_results, some_bits, timed, trained
from support.records_factory import CONFIG, make_record, write_study

CLAIMS = [
    claim("greater", name="better", a=["B"], b=["A"]),
    claim("greater", name="worse", a=["A"], b=["B", "T"]),
    claim("equivalent", name="alike", a="A", b="T", margin=1),
    claim("greater", metric="latency", name="slower", a=["B"], b=["A"]),
    claim("greater", metric="params", name="larger", a=["B"], b=["A"]),
    claim("greater", name="nowhere", a=["B"], b=["Gone", "A"]),
    claim("monotone", name="deeper", factor="layers", direction="rising"),
    claim("within", name="level", a="A", value=60.0, margin=20),
]
A_MS, B_MS = [2.0, 2.1, 1.9, 2.0, 2.05], [2.4, 2.6, 2.2, 2.5, 2.3]


@pytest.fixture(scope="module")
def results():
    rng = np.random.default_rng(5)
    bits = {name: some_bits(p, 1.0, rng) for name, p in (("A", 60), ("B", 72), ("T", 60))}
    study = claims_study(*CLAIMS)
    made = trained(study, bits, B={"num_params": 2000}) | timed(study, {"A": A_MS, "B": B_MS})
    return make_results(study, made, stale={Job("train", "low", "quick", "T", s) for s in range(5)})


@pytest.fixture(scope="module")
def table(results):
    return claims_table(results).set_index("name")


def test_a_row_for_each_claim_in_types_that_do_not_depend_on_gaps(results, table):
    assert list(table.index) == [c["name"] for c in CLAIMS]
    empty = claims_table([])
    assert (empty.dtypes == claims_table(results).dtypes).all()
    assert list(empty.columns) == list(CLAIM_COLUMNS)
    assert (comparisons_table([]).dtypes == comparisons_table(results).dtypes).all()
    assert table["verdict"].to_dict() == {
        "better": "supported",
        "worse": "contradicted",
        "alike": "undecided",
        "slower": "supported",
        "larger": "supported",
        "nowhere": "untested",
        "deeper": "untested",
        "level": "supported",
    }


def test_a_latency_is_a_ratio_with_students_interval(results, table):
    row = table.loc["slower"]
    logs = np.log(B_MS) - np.log(A_MS)
    ends = stats.t.interval(0.95, 4, logs.mean(), logs.std(ddof=1) / np.sqrt(5))
    assert (row["unit"], row["n"], row["batch_size"]) == ("ratio", 5, 1)
    assert (row["estimate"], row["low"], row["high"]) == pytest.approx(
        (np.exp(logs.mean()), *np.exp(ends))
    )
    comparison = comparisons_table(results).set_index("name").loc["slower"]
    assert comparison["seed_values"] == pytest.approx(np.divide(B_MS, A_MS).tolist())
    assert (comparison["claimed_low"], comparison["claimed_high"]) == (1.0, np.inf)
    assert comparison["std"] == pytest.approx(logs.std(ddof=1))


def test_a_row_for_each_comparison(results):
    table = comparisons_table(results)
    assert list(table.columns) == list(COMPARISON_COLUMNS)
    worse = table[table["name"] == "worse"]
    assert worse["comparison"].tolist() == ["A > B", "A > T"]
    assert worse["lead"].tolist() == [True, False]
    # Holm's within the claim: twice the smaller one.
    assert worse["holm_p_against"].iloc[0] == pytest.approx(2 * worse["p_against"].iloc[0])
    assert worse["stale"].tolist() == [False, True]
    gone = table[table["comparison"] == "B > Gone"].iloc[0]
    assert gone["status"] == "Gone is not in this study"
    assert pd.isna(gone["estimate"])
    assert gone["seeds"] == []


def test_verdicts_say_data_seeds_and_device(table):
    said = table["explanation"]
    assert said["better"] == (
        f"B > A: {figure_text(table.loc['better'])} (Synthetic low, 2,000 test images, 5 seeds)."
    )
    # The deciding one of two hypotheses is named with its figure.
    assert f" A > B: {figure_text(table.loc['worse'])} (" in said["worse"]
    assert all(part in said["slower"] for part in ("5 rounds", "1, on CPU Testium 3000"))
    assert said["larger"] == "B > A: 2.00 times, counted."
    assert "stale records" in said["alike"]
    assert said["alike"].endswith(f": {table.loc['alike', 'decides']}.")
    assert "Gone is not in this study" in said["nowhere"]
    assert re.search(r"1 of 2 .*B > A: \+1", said["nowhere"])
    assert "layers" in said["deeper"]
    assert re.match(r"A at 60 % ± 20 points: \d\d\.\d\d %, 95 %", said["level"])


def make_noise(study, made, factors):
    """What is said of the claim when these variants' jobs find the reference slower by a factor."""
    for job, record in list(made.items()):
        timings = {name: [10.0 * factors[job.variant]] for name in ("before_ms", "after_ms")}
        reference = record.latency.reference.model_copy(update=timings)
        observed = record.latency.model_copy(update={"reference": reference})
        made[job] = record.model_copy(update={"latency": observed})
    results = make_results(study, made)
    row = comparisons_table(results).iloc[0]
    assert row["noise"] in claims_table(results)["explanation"].item()
    return row["noise"], claims_table(results)["verdict"].item()


def test_latencies_are_set_beside_the_noise_floor_of_their_device():
    study = claims_study(claim("greater", metric="latency", name="slower", a=["B"], b=["A"]))
    made = timed(study, {"A": A_MS, "B": B_MS})
    slower = 100 * (np.exp((np.log(B_MS) - np.log(A_MS)).mean()) - 1)
    # Two jobs in each of five rounds, a step apart: five degrees of freedom, t(0.975, 5) = 2.570582.
    # Deviations are half a step in each of 20 timings, of which 2 x 5 are free.
    said = []
    for factor in (1.02, 1.5):
        step = np.log(factor)
        floor = 100 * (np.exp(2.570582 * np.sqrt(20 * (step / 2) ** 2 / 10) * np.sqrt(2 / 5)) - 1)
        word = "below" if slower < floor else "above"
        said.append(word)
        noise, verdict = make_noise(study, made, {"A": 1.0, "B": factor})
        assert noise.startswith(f"{slower:.1f} % slower, {word} ")
        assert noise.endswith(f" {floor:.1f} %")
        # The verdict doesn't rest on it.
        assert verdict == "supported"
    assert said == ["above", "below"]
    assert make_noise(study, made, {"A": 1.0, "B": 1.0})[0].endswith(ALL_ALIKE)


def test_seeds_needed_stand_beside_undecided_claims_alone(table):
    undecided = table["verdict"] == "undecided"
    assert table.loc[undecided, "seeds_needed"].notna().all()
    assert table.loc[~undecided, ["seeds_needed", "decides"]].isna().all(axis=None)
    row = table.loc["alike"]
    assert row["seeds_needed_low"] <= row["seeds_needed"]
    # What these data would have supported is more than the margin of 1 point.
    assert row["least_margin"] > 1
    assert table.drop("alike")["least_margin"].dropna().index.tolist() == ["level"]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (
            {"estimate": 1.7421, "low": -0.3, "high": 3, "unit": "points", "n": 5},
            "+1.74 points, 95 % interval [-0.30, +3.00]",
        ),
        (
            {"estimate": 0.9134, "low": 0.8, "high": 1.04, "unit": "ratio", "n": 3},
            "0.913 times, 95 % interval [0.800, 1.04]",
        ),
        (
            {"estimate": 94.5, "low": float("nan"), "high": float("nan"), "unit": "%", "n": 1},
            "94.50 %",
        ),
        (
            {
                "estimate": 8583178.0,
                "low": 8583178.0,
                "high": 8583178.0,
                "unit": "parameters",
                "n": pd.NA,
            },
            "8,583,000 parameters, counted",
        ),
        ({"estimate": float("nan")}, "–"),
        ({}, "–"),
    ],
)
def test_figures_as_texts(row, text):
    assert figure_text(row) == text


def test_what_readers_see(results, table):
    whole = claims_table(results)
    assert count_verdicts(whole) == (
        "8 claims: 4 supported, 1 contradicted, 1 undecided, 2 untested"
    )
    caption = str(claims_caption(whole, claims_study(*CLAIMS)))
    # Two families have tested claims: five on trained networks, one on latencies.
    assert re.search(r"\b5 on trained networks and 1 on latencies\b", caption)
    assert "5 %" in caption
    display = claims_display(whole).set_index("claim")
    assert display.loc["It is said that alike", "verdict"] == "undecided (stale)"
    notes = claims_notes(whole)
    assert notes[0].startswith("better: B > A: ")
    assert notes[-1].startswith("(stale): ")
    assert claims_notes(whole, whole.iloc[:0]) == notes[-1:]
    summary = claims_summary(whole)
    assert "- contradicted: It is said that worse" in summary
    assert "nowhere" not in summary
    none = claims_summary(whole[whole["verdict"] == "untested"])
    assert "2 claims: 2 untested" in none
    assert "- " not in none


@pytest.fixture
def written(tmp_path):
    """A study on disk, with every record."""
    study = claims_study(*CLAIMS, variants=CONFIG["variants"])
    paths = study.paths(tmp_path)
    write_study(study, paths)
    # Records of the factory differ by the same in each seed.
    job = Job("train", "low", "quick", "B", 0)
    records.write(paths.record(job), make_record(study, job, accuracy=0.73))
    return study, paths


def test_files_are_written_beside_the_other_tables(written):
    study, paths = written
    names = {path.name for path in write_tables(study, paths)}
    assert {"claims.csv", "claims.md", "claims.tex", "claim_comparisons.csv"} <= names
    claims = pd.read_csv(paths.tables / "claims.csv")
    assert claims["name"].tolist() == [c["name"] for c in CLAIMS]
    comparisons = pd.read_csv(paths.tables / "claim_comparisons.csv")
    assert comparisons.loc[comparisons["name"] == "better", "seeds"].tolist() == ["0 1 2 3 4"]
    text = (paths.tables / "claims.md").read_text()
    assert "## Claims" in text
    assert "| supported | It is said that better" in " ".join(text.split())
    latex = (paths.tables / "claims.tex").read_text()
    assert latex.isascii()
    assert r"\label{tab:synthetic-claims}" in latex
    again = {path: path.read_bytes() for path in write_tables(study, paths)}
    assert all(path.read_bytes() == content for path, content in again.items())


def test_the_summary_has_the_verdicts(written):
    text = summary_text(*written)
    assert "8 claims: " in text
    assert "- supported: It is said that better" in text


def test_a_study_without_claims_has_no_such_file(tmp_path):
    study = claims_study()
    paths = study.paths(tmp_path)
    names = {path.name for path in write_tables(study, paths)}
    assert not any(name.startswith("claim") for name in names)
    assert "Claims" not in summary_text(study, paths)
