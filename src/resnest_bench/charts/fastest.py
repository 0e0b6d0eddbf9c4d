"""Which network is the fastest: latencies with their intervals, next to the noise floor."""

import altair as alt
import pandas as pd

from resnest_bench.charts.marks import NUMBER
from resnest_bench.charts.palette import BLUE, GREY, PALETTE
from resnest_bench.charts.style import WIDTH, no_data_chart, title

HEAD = "Which is the fastest?"
MAX_ROWS = 60
ROW_HEIGHT = 24
FASTEST, IN_NOISE, SLOWER = "the fastest", "within the noise floor of it", "beyond the noise floor"
LOOKS = {FASTEST: (BLUE, "diamond"), IN_NOISE: (PALETTE[0], "circle"), SLOWER: (GREY, "square")}


def fastest_chart(table: pd.DataFrame, floor_percent: float | None) -> alt.LayerChart | alt.Chart:
    """One row per network of `latencies_table`: mean of the rounds' p50, its interval, and single rounds.

    The band is the noise floor: what is in it can't be told from the fastest. A noisy latency is open.
    """
    if not len(table):
        return no_data_chart(HEAD, ["No network has a latency yet"])
    rows = table.head(MAX_ROWS)
    kinds = [FASTEST] + [
        IN_NOISE if pd.notna(value) and value else SLOWER for value in rows["in_noise"].iloc[1:]
    ]
    rows = rows.assign(kind=kinds, noisy=rows["latency_noisy"].fillna(False).astype(bool))
    order = rows["variant"].tolist()
    y = alt.Y(
        "variant:N",
        sort=order,
        title=None,
        scale=alt.Scale(domain=order),
        axis=alt.Axis(labelLimit=0, tickBand="extent", grid=True, gridOpacity=0.5, ticks=False),
    )
    scale = alt.Scale(type="log", nice=False, padding=20)
    first = rows.iloc[0]
    x = alt.X("latency_p50_ms:Q", title="Latency, p50 (ms, log scale)", scale=scale)
    known = [kind for kind in LOOKS if kind in kinds]
    colours = alt.Scale(domain=known, range=[LOOKS[kind][0] for kind in known])
    legend = alt.Legend(orient="top", labelLimit=0, columns=1)
    colour = alt.Color("kind:N", title=None, scale=colours, legend=legend)
    shapes = alt.Scale(domain=known, range=[LOOKS[kind][1] for kind in known])
    layers: list[alt.Chart] = []
    if floor_percent is not None and pd.notna(floor_percent):
        start = float(first["latency_p50_ms"])
        band = pd.DataFrame([{"start": start, "end": start * (1 + floor_percent / 100)}])
        layers.append(
            alt.Chart(band)
            .mark_rect(color=GREY, opacity=0.18)
            .encode(x=alt.X("start:Q", scale=scale), x2="end:Q")
        )
    columns = ["variant", "kind", "noisy", "latency_p50_ms", "latency_low_ms", "latency_high_ms"]
    more = ["latency_rounds", "relative_to_fastest", "latency_setting", "status"]
    shown = rows[[*columns, *more]]
    rounds = rows[["variant", "latency_round_p50_ms"]].explode("latency_round_p50_ms")
    rounds = rounds.dropna().astype({"latency_round_p50_ms": float})
    layers += [
        alt.Chart(rounds)
        .mark_tick(thickness=1.5, size=12, color=GREY)
        .encode(x=alt.X("latency_round_p50_ms:Q", scale=scale), y=y),
        alt.Chart(shown.dropna(subset=["latency_low_ms"]))
        .mark_rule(strokeWidth=2.5)
        .encode(
            x=alt.X("latency_low_ms:Q", scale=scale), x2="latency_high_ms:Q", y=y, color=colour
        ),
        alt.Chart(shown)
        .mark_point(size=90, opacity=1, strokeWidth=2)
        .encode(
            x=x,
            y=y,
            color=colour,
            shape=alt.Shape("kind:N", title=None, scale=shapes, legend=legend),
            fill=alt.when(alt.datum.noisy)
            .then(alt.value("transparent"))
            .otherwise(alt.Fill("kind:N", scale=colours, legend=None)),
            tooltip=[
                alt.Tooltip("variant:N"),
                alt.Tooltip("latency_p50_ms:Q", title="p50 (ms)", format=NUMBER),
                alt.Tooltip("latency_low_ms:Q", title="95 % from", format=NUMBER),
                alt.Tooltip("latency_high_ms:Q", title="95 % to", format=NUMBER),
                alt.Tooltip("latency_rounds:Q", title="rounds (n)"),
                alt.Tooltip("relative_to_fastest:Q", title="times the fastest", format=".2f"),
                alt.Tooltip("latency_setting:N", title="setting"),
                alt.Tooltip("status:N"),
            ],
        ),
    ]
    device = " and ".join(dict.fromkeys(rows["latency_device"].dropna()))
    sizes = " or ".join(str(size) for size in sorted(rows["latency_batch_size"].dropna().unique()))
    counts = " or ".join(str(n) for n in sorted(rows["latency_rounds"].dropna().unique()))
    cut = f"The {MAX_ROWS} fastest of {len(table):,}" if len(table) > MAX_ROWS else ""
    notes = [
        ", ".join(filter(None, [f"batch size {sizes}", device, f"n={counts} rounds"])),
        "Dots and bars: mean of the rounds' p50 with its 95 % interval. Ticks: rounds. Open: noisy. Band: "
        "the noise floor above the fastest",
        cut,
    ]
    return alt.LayerChart(layer=layers).properties(
        title=title(HEAD, notes), width=WIDTH, height=max(ROW_HEIGHT * len(rows), 60)
    )
