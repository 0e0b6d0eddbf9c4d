"""The budget's slider and the answer in large type: a component that needs no message to the server.

Every budget's sentences are sent once. The chart below is bound to the slider's element, so that it too is
redrawn in the browser. What the reader releases the slider at comes back, for the address and the tables.
"""

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from resnest_bench.report.answer import Answer, format_limit
from resnest_bench.tables.axes import Axis

HTML = """
<div class="answer">
  <p class="answer-lines" role="status" aria-live="polite"></p>
  <div class="answer-budget">
    <label></label>
    <input type="range" min="0" step="1">
    <output></output>
  </div>
</div>
"""
# Streamlit gives the theme's colours to components as variables; those of the page are the fallback.
CSS = """
.answer { color: var(--st-text-color, inherit); font-family: var(--st-font, inherit) }
.answer-lines { margin: 0 0 0.6rem; font-size: 1.05rem; line-height: 1.45; max-width: 68rem }
.answer-lines strong { display: block; font-size: 1.7rem; font-weight: 650; line-height: 1.25;
  margin-bottom: 0.25rem; overflow-wrap: anywhere }
.answer-budget { display: flex; gap: 0.8rem; align-items: center; flex-wrap: wrap }
.answer-budget label { font-weight: 600 }
.answer-budget input { flex: 1 1 12rem; height: 1.6rem; accent-color: #9900EE; cursor: pointer }
.answer-budget output { min-width: 6.5rem; font-variant-numeric: tabular-nums }
.answer-budget[hidden] { display: none }
@media (max-width: 640px) {
  .answer-lines { font-size: 0.95rem; line-height: 1.35 }
  .answer-lines strong { font-size: 1.25rem }
  .answer-budget { gap: 0.1rem 0.6rem }
  .answer-budget input { flex-basis: 100%; order: 3 }
}
"""
JS = """
export default function ({ parentElement, data, setStateValue }) {
  const find = (selector) => parentElement.querySelector(selector)
  const lines = find('.answer-lines'), slider = find('input'), output = find('output')
  const label = find('label')
  slider.id = data.element
  label.htmlFor = data.element
  label.textContent = data.label
  find('.answer-budget').hidden = data.texts.length < 2
  const show = () => {
    const step = Math.min(Number(slider.value), data.texts.length - 1)
    const [first, ...others] = data.lines[step]
    const strong = document.createElement('strong')
    strong.textContent = first
    lines.replaceChildren(strong, others.join(' '))
    output.textContent = data.texts[step]
    slider.setAttribute('aria-valuetext', data.texts[step])
  }
  slider.max = data.texts.length - 1
  // The server decides on the first run, and whenever it changes its mind: after Back, or a reset.
  const told = `${data.step} of ${data.texts.length}`
  if (slider.dataset.told !== told) {
    slider.dataset.told = told
    slider.value = data.step
    slider.dispatchEvent(new Event('input'))
  }
  slider.oninput = show
  slider.onchange = () => {
    slider.dataset.told = `${slider.value} of ${data.texts.length}`
    setStateValue('step', Number(slider.value))
  }
  show()
}
"""
component = st.components.v2.component(
    "answer_budget", html=HTML, css=CSS, js=JS, isolate_styles=False
)


def show(
    key: str,
    answers: Sequence[Answer],
    step: int,
    x: Axis | None,
    take: Callable[[float | None], None],
) -> None:
    """The answer at `step`, with a slider over all of them; `take` gets the budget that is chosen."""
    limits = [one.limit for one in answers]
    texts = [
        "no limit" if limit is None or x is None else format_limit(limit, x) for limit in limits
    ]

    def chosen() -> None:
        state: Any = st.session_state[key]
        value = state.get("step")
        if isinstance(value, int | float) and 0 <= int(value) < len(limits):
            take(limits[int(value)])

    component(
        key=key,
        data={
            "element": element_id(key),
            "label": "" if x is None else f"Budget: {x.label[:1].lower()}{x.label[1:]} at most",
            "texts": texts,
            "lines": [list(one.lines) for one in answers],
            "step": step,
        },
        on_step_change=chosen,
    )


def element_id(key: str) -> str:
    """The id of the slider, by which a chart is bound to it."""
    return f"slider-{key}"
