"""The paper's figures next to ours, and whether the two can be compared."""

import streamlit as st

import address
import data
import picker
import views
from resnest_bench.charts import paper_chart
from resnest_bench.tables.paper_comparison import PRINTED_FACTS

TABLES = {"ablation": "Ablation", "tradeoff": "Trade-off", "transfer": "Transfer"}
COLUMNS = {
    "table": None,
    "variant": None,
    "printed_text": "printed",
    "ours": "ours",
    "low": "95 % from",
    "high": "95 % to",
    "n": None,
    "difference": "ours − printed",
    "ratio": "ours / printed",
    "covered": "interval contains printed",
    "run_covered": "interval of one more run does",
    "comparable": None,
    "differs": "differs in",
    "status": None,
    "device": "on",
    "data": None,
}


def show(one: data.Loaded, table: str, what: str) -> None:
    rows = one.results.paper
    rows = rows[(rows["table"] == table) & (rows["what"] == what)]
    name = one.name.replace("/", "_")
    views.chart(paper_chart(rows, what), f"paper_{table}_{name}")
    labels = {column: text for column, text in COLUMNS.items() if text}
    kept = [c for c in COLUMNS if rows[c].notna().any() or c in ("ours", "difference")]
    views.table(
        rows[kept], f"paper_table_{name}", labels, f"{TABLES[table]}: {what}, paper and ours"
    )


st.header("Paper and ours")
first = picker.loaded_study()
rows = first.results.paper
left, right = st.columns(2)
table = address.pick_one(
    "Table", list(TABLES), "table", TABLES.__getitem__, draw=left.segmented_control, required=True
)
quantities = list(dict.fromkeys(rows.loc[rows["table"] == table, "what"]))
what = address.pick_one("Quantity", quantities, "what", draw=right.segmented_control, required=True)
for one in picker.side_by_side():
    show(one, table, what if what in quantities else quantities[0])
with st.expander("Facts about the printed figures", expanded=True):
    st.markdown("\n".join(f"- {views.plain(fact)}" for fact in PRINTED_FACTS))
    st.markdown(
        "- *Interval contains printed*: our 95 % interval of the mean contains the printed figure.\n"
        "- *Interval of one more run does*: so does the wider interval of a single further run. A paper "
        "prints a single run.\n"
        "- If data, recipe or device are not the paper's, the difference says little. The table says what "
        "differs."
    )
