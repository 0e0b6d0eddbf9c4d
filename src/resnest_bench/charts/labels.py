"""Positions for the labels of a scatter plot: Vega-Lite would put them on top of each other."""

from collections.abc import Sequence

Box = tuple[float, float, float, float]
LETTER_WIDTH, LINE_HEIGHT, GAP = 5.6, 12.0, 8.0


def _box(x: float, y: float, width: float, align: str, dy: float) -> Box:
    left = {"left": x + GAP, "right": x - GAP - width, "center": x - width / 2}[align]
    return left, y + dy - LINE_HEIGHT / 2, left + width, y + dy + LINE_HEIGHT / 2


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


# Next to the point first, then above and below it.
PLACES = (
    ("left", -7.0),
    ("left", 7.0),
    ("left", 0.0),
    ("right", -7.0),
    ("right", 7.0),
    ("right", 0.0),
    ("center", -15.0),
    ("center", 15.0),
)


def place_labels(
    xs: Sequence[float],
    ys: Sequence[float],
    texts: Sequence[str],
    width: float,
    height: float,
    letter_width: float = LETTER_WIDTH,
) -> list[tuple[str, float] | None]:
    """Choose (align, dy) for each label, or None without a free position: the tooltip has the name.

    `xs` and `ys` are pixels from the top left of a plot of `width` x `height`. Earlier labels are placed
    first. Text widths are estimates; `letter_width` is that of 10-pixel letters.
    """
    dots = [(x - 5, y - 5, x + 5, y + 5) for x, y in zip(xs, ys, strict=True)]
    taken: list[Box] = []
    positions: list[tuple[str, float] | None] = []
    for index, (x, y, text) in enumerate(zip(xs, ys, texts, strict=True)):
        others = [dot for other, dot in enumerate(dots) if other != index]
        chosen = None
        for align, dy in PLACES:
            box = _box(x, y, letter_width * len(text), align, dy)
            inside = box[0] >= 0 and box[2] <= width and box[1] >= 0 and box[3] <= height
            if inside and not any(_overlap(box, other) for other in taken + others):
                chosen = (align, dy)
                taken.append(box)
                break
        positions.append(chosen)
    return positions
