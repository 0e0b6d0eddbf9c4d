import pandas as pd
import pytest

from resnest_bench.report.siunitx import BEST, TIED, siunitx_table

FRAME = pd.DataFrame(
    {"name": ["A_1", "B"], "mean": [48.6234, 7.5], "n": [5, 5], "gap": [None, -1.25]}
)


@pytest.fixture
def text():
    marks = {"mean": [BEST, TIED]}
    return siunitx_table(FRAME, "Accuracy in %", "acc", {"mean": "mean (%)"}, marks)


def test_numbers_are_in_columns_of_siunitx_and_texts_are_not(text):
    # Four digits of the largest: 48.62, and -1.250 of the last.
    assert r"\begin{tabular}{lS[table-format=2.2]S[table-format=1]S[table-format=-1.3]}" in text
    assert r"name & {mean (\%)} & {n} & {gap} \\" in text


def test_the_best_is_bold_and_a_tie_has_a_dagger(text):
    assert r"A\_1 & \bfseries 48.62 & 5 & {--} \\" in text
    assert r"B & 7.50{\textsuperscript{\textdagger}} & 5 & -1.250 \\" in text
    assert (
        r"\caption{Accuracy in \%. Bold: the best mean; \textdagger{}: may be the best too.}"
        in text
    )


def test_without_marks_the_caption_says_nothing_of_them():
    assert "Bold" not in siunitx_table(FRAME, "Accuracy.", "acc")


def test_every_row_has_every_column(text):
    rows = [line for line in text.split("\n") if line.endswith(r"\\")]
    assert {line.count("&") for line in rows} == {3}
