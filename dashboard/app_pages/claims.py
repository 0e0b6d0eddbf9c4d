"""Do the claims about these networks hold, according to the records?"""

from functools import partial

import pandas as pd
import streamlit as st

import address
import data
import picker
import views
from resnest_bench.charts import claim_chart, claim_forests
from resnest_bench.charts.forest import LOOKS, PICK, SYMBOLS
from resnest_bench.claims.verdicts import VERDICTS
from resnest_bench.claims.wording import figure_text
from resnest_bench.formats import row_dicts
from resnest_bench.report.claims import claims_caption, count_verdicts

# A chip of each verdict: colours that anybody can tell apart, always with the word.
CHIPS = st.column_config.MultiselectColumn(
    "verdict",
    options=list(VERDICTS),
    color=[LOOKS[verdict][0] for verdict in VERDICTS],
    width=120,
)
PILLS = {"supported": "blue", "contradicted": "orange", "undecided": "gray", "untested": "gray"}
SNIPPET = """\
claims:
  - name: mine-is-better
    claim: My network is more accurate than ResNet-18.
    source: a guess
    test: {kind: greater, metric: accuracy, a: [mine], b: [ResNet-18]}
"""
COLUMNS = {
    "verdict": None,
    "claim": None,
    "figure": "observed",
    "n": None,
    "corrected_p": "corrected p",
    "decides": "required to decide",
    "source": None,
    "stale": None,
    "name": None,
}
COMPARISONS = {
    "comparison": "hypothesis",
    "estimate": None,
    "low": "95 % from",
    "high": "95 % to",
    "unit": None,
    "n": None,
    "p_for": "p for",
    "p_against": "p against",
    "holm_p_against": "p against (Holm)",
    "lead": "decides the verdict",
    "stale": None,
    "std": None,
    "device": "on",
    "noise": "compared with the noise floor",
    "status": None,
}


def count_claims(one: data.Loaded) -> dict[str, int]:
    """How many claims have each verdict."""
    if not one.study.claims:
        return {}
    counts = data.claims(one)[0]["verdict"].value_counts()
    return {str(verdict): int(count) for verdict, count in counts.items()}


def name_chip(counts: dict[str, int], verdict: str) -> str:
    """'✓ supported 3' in the colour of the verdict."""
    symbol = f":{PILLS[verdict]}[{SYMBOLS[verdict]}]"
    return f"{symbol} {verdict} **{counts.get(verdict, 0)}**"


def show(one: data.Loaded, wanted: list[str]) -> None:
    name = one.name.replace("/", "_")
    if not one.study.claims:
        st.info("This study has no claims.")
        return
    claims, hypotheses = data.claims(one)
    shown = claims[claims["verdict"].isin(wanted)] if wanted else claims
    for unit, drawn in claim_forests(shown, hypotheses).items():
        key = f"forest_{unit}_{name}".replace("%", "percent")
        views.chart(drawn, key, partial(take_claim, key), [PICK])
    missing = shown.loc[shown["estimate"].isna(), "name"].tolist()
    if missing and len(missing) < len(shown):
        st.caption(f"Without a measurement: {views.few(missing)}.")
    show_table(one, claims, shown, name)


def take_claim(key: str) -> None:
    """A click on a row of the forest opens its claim."""
    picked = st.session_state[key].selection.get(PICK)
    if picked:
        st.session_state["claim"] = picked[0]["name"]


def show_table(one: data.Loaded, claims: pd.DataFrame, shown: pd.DataFrame, name: str) -> None:
    figures = [figure_text(row) for row in row_dicts(shown)]
    frame = shown.assign(figure=figures)[list(COLUMNS)]
    labels = {column: text for column, text in COLUMNS.items() if text}
    text = claims_caption(claims, one.study)
    views.pick_row(
        frame,
        shown["name"].tolist(),
        "claim",
        f"claims_{name}",
        labels=labels,
        note=f"{count_verdicts(claims)}. {text}",
        columns={"verdict": CHIPS},
        shown=lambda rows: rows.assign(verdict=[[verdict] for verdict in rows["verdict"]]),
    )
    views.show_caption(text)


def show_one(one: data.Loaded, chosen: str) -> None:
    """The verdict in words, and the hypotheses of the claim."""
    if not any(claim.name == chosen for claim in one.study.claims):
        st.info("This study does not have this claim.")
        return
    claims, comparisons = data.claims(one)
    row = claims[claims["name"] == chosen].iloc[0]
    rows = comparisons[comparisons["name"] == chosen]
    name = one.name.replace("/", "_")
    stale = " (stale records)" if row["stale"] else ""
    st.markdown(f"**{row['verdict'].capitalize()}{stale}:** {views.plain(row['explanation'])}")
    views.chart(claim_chart(rows, row["claim"]), f"claim_{name}")
    if len(rows):
        show_numbers(rows, name, row["claim"])


def show_numbers(rows: pd.DataFrame, name: str, claim: str) -> None:
    labels = {column: text for column, text in COMPARISONS.items() if text}
    kept = [c for c in COMPARISONS if c == "status" or rows[c].notna().any()]
    with st.expander("Its hypotheses as a table"):
        views.table(rows[kept], f"comparisons_{name}", labels, claim)


st.header("Claims")
first = picker.loaded_study()
if not any(one.study.claims for one in picker.loaded_studies()):
    st.info(
        "This study has no claims. Write one into its config under `claims:`, or name a YAML file with a "
        "list of claims there. Then run the workflow again; it trains no network for them."
    )
    st.code(SNIPPET, language="yaml")
    st.stop()
wanted = address.pick_some(
    "Verdict",
    VERDICTS,
    "verdict",
    draw=st.pills,
    selection_mode="multi",
    format_func=partial(name_chip, count_claims(first)),
    label_visibility="collapsed",
)
overview = st.container()
names = [claim.name for one in picker.loaded_studies() for claim in one.study.claims]
st.subheader("One claim")
# By name: a sentence would make a long address.
chosen = address.pick_one("Claim (or click a row above)", list(dict.fromkeys(names)), "claim")
with overview:
    for one in picker.side_by_side():
        show(one, wanted)
for one in picker.side_by_side():
    show_one(one, chosen)
