"""The same networks on two devices: one point each, latency against latency."""

import altair as alt
import pandas as pd

from resnest_bench.charts.palette import GREY, PALETTE
from resnest_bench.charts.style import WIDTH, no_data_chart, title
from resnest_bench.formats import format_significant

HEAD = "Latency on two devices"
CHANGED = "rank changes by more than noise"
KEPT, UNKNOWN = "no change beyond noise", "noise unknown"
MAX_LABELS = 25


def device_ranking_chart(networks: pd.DataFrame) -> alt.LayerChart | alt.Chart:
    """One point per network: x on the first device, y on the second, both logarithmic.

    `networks` has the rows of one pair of devices and batch size, from `compare_devices`. On the line the
    second device is slower by the median ratio.
    """
    if not len(networks):
        return no_data_chart(HEAD, ["Fewer than two networks were measured on two devices"])
    first = networks.iloc[0]
    ratio = float(networks["ratio"].median())
    rank = networks["beyond_noise"].map({True: CHANGED, False: KEPT}).fillna(UNKNOWN).astype(str)
    points = networks.assign(rank_text=rank)[
        ["variant", "a_ms", "b_ms", "ratio", "rank_a", "rank_b", "rank_text"]
    ].astype({"rank_a": int, "rank_b": int})
    ends = [float(networks["a_ms"].min()) / 1.2, float(networks["a_ms"].max()) * 1.2]
    line = pd.DataFrame({"a_ms": ends, "b_ms": [end * ratio for end in ends]})
    scale = alt.Scale(type="log", nice=False, padding=14)
    # To the right there is room for the name of the slowest network.
    wide = alt.Scale(type="log", nice=False, domain=[ends[0], ends[1] * (ends[1] / ends[0]) ** 0.3])
    x = alt.X("a_ms:Q", title=f"{first['device_a']} (ms)", scale=wide)
    y = alt.Y("b_ms:Q", title=f"{first['device_b']} (ms)", scale=scale)
    present = [text for text in (CHANGED, KEPT, UNKNOWN) if (points["rank_text"] == text).any()]
    colours = {CHANGED: PALETTE[1], KEPT: PALETTE[0], UNKNOWN: GREY}
    colour = alt.Color(
        "rank_text:N",
        title=None,
        legend=alt.Legend(orient="top", labelLimit=0),
        scale=alt.Scale(domain=present, range=[colours[text] for text in present]),
    )
    tooltip = [
        "variant:N",
        alt.Tooltip("a_ms:Q", title="first (ms)", format=".3~g"),
        alt.Tooltip("b_ms:Q", title="second (ms)", format=".3~g"),
        alt.Tooltip("ratio:Q", format=".3~g"),
        alt.Tooltip("rank_a:Q", title="rank on the first"),
        alt.Tooltip("rank_b:Q", title="rank on the second"),
    ]
    base = alt.Chart(points).encode(x=x, y=y)
    layers = [
        alt.Chart(line).mark_line(color=GREY, strokeDash=[4, 4]).encode(x=x, y=y),
        base.mark_point(size=90, filled=True, opacity=1).encode(color=colour, tooltip=tooltip),
    ]
    if len(points) <= MAX_LABELS:
        layers.append(
            base.mark_text(align="left", dx=8, dy=-6, fontSize=11).encode(text="variant:N")
        )
    notes = [
        f"Batch {first['batch_size']}, geometric means over rounds. Above the line: slower than others on the second",
        f"Dashed: {format_significant(ratio)} times the first device's latency, the median ratio",
    ]
    return alt.LayerChart(layer=layers).properties(
        title=title(HEAD, notes), width=WIDTH, height=360
    )
