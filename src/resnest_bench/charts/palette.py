"""Colours, shapes and dashes of all charts, for white paper and for dark pages.

PALETTE is the result of a search. Candidates are the colours of a grid with 16 steps per channel whose
contrast is at least 3:1 on white and on both dark pages (#171614 of the dashboard, #14171A of the
export). The search exchanges one colour at a time and maximises the smallest distance of two colours, by
CIEDE2000, in normal vision and in protanopia, deuteranopia and tritanopia. That distance is 18. One
palette for both themes gives a network the same colour in each. `tests/unit/charts/test_palette.py`
checks all of this.

Sources: contrast by WCAG 2.1, sections 1.4.3 and 1.4.11; vision by Machado, Oliveira and Fernandes
(2009), severity 1; distance by Sharma, Wu and Dalal (2005).
"""

PALETTE = ["#9900EE", "#BB8822", "#556677", "#AA4444", "#779988", "#9988BB"]
# Seven, since they cycle together with six colours. No cross: that marks stale values.
SHAPES = [
    "circle",
    "square",
    "triangle-up",
    "diamond",
    "triangle-down",
    "triangle-right",
    "triangle-left",
]
DASHES = [[1, 0], [6, 3], [2, 2], [8, 2, 2, 2], [12, 4], [4, 6], [1, 4]]
# Lines and ticks: 3:1 on white and on the dark pages. No grey reaches 4.5:1 on both, so texts within a
# plot take the colour of the page.
GREY = "#808080"
# Subtitles, which are drawn only on white.
TEXT_GREY = "#595959"
# Verdicts on claims and differences: Okabe and Ito's blue and vermilion, and the grey of what is open. What
# has not been tested is a hollow mark of that grey.
BLUE, VERMILION = "#0072B2", "#D55E00"
VERDICTS = [BLUE, VERMILION, GREY]
# Fills of cells with a dark text, light enough for it.
DIVERGING = ["#E69F00", "#F3F3F3", "#56B4E9"]
CELL_TEXT = "#111111"
# Text of axes and legends on the dashboard's light and dark pages.
DARK_TEXT, LIGHT_TEXT = "#31333F", "#DDDDDD"
LIGHT_PAGE, DARK_PAGES = "#FFFFFF", ["#171614", "#14171A"]
