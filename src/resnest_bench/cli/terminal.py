"""Tables that fit the width of a terminal. Columns and captions may be cut; the files have all of them."""

import re
import textwrap

# Columns to drop on a narrow terminal, in this order. The others are essential; variant and recipe
# identify the row.
DISPENSABLE = (
    "ms/image",
    "images/s",
    "std",
    "MACs",
    "on",
    "weights",
    "setting",
    "parameters",
    "P",
)
# A caption says in detail how each figure was measured; a terminal shows only its beginning.
MAX_CAPTION_LENGTH = 300


def fit_markdown(text: str, width: int) -> tuple[str, bool]:
    """Wrap Markdown `text` to `width` characters. Also returns whether anything was omitted."""
    blocks = re.split(r"\n{2,}", text)
    fitted = [_fit_table(b, width) if b.startswith("|") else _fit_prose(b, width) for b in blocks]
    return "\n\n".join(block for block, _ in fitted), any(left_out for _, left_out in fitted)


def _fit_table(block: str, width: int) -> tuple[str, bool]:
    """A pipe table without padding, and with as few columns dropped as possible."""
    head, _, *body = block.splitlines()
    columns = list(zip(*map(_cells, [head, *body]), strict=True))
    kept = columns
    for name in DISPENSABLE:
        if _table_width(kept) <= width:
            break
        kept = [column for column in kept if not _is_named(column[0], name)]
    widths = [max(map(len, column)) for column in kept]
    rows = [
        [cell.ljust(w) for cell, w in zip(row, widths, strict=True)]
        for row in zip(*kept, strict=True)
    ]
    rows.insert(1, ["-" * w for w in widths])
    lines = [" | ".join(row).rstrip() for row in rows]
    cut = [line if len(line) <= width else line[: width - 1] + "…" for line in lines]
    return "\n".join(cut), len(kept) < len(columns) or cut != lines


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def _table_width(columns: list[tuple[str, ...]]) -> int:
    return sum(max(map(len, column)) for column in columns) + 3 * (len(columns) - 1)


def _is_named(heading: str, name: str) -> bool:
    """Whether a heading is `name`, possibly followed by a unit or an explanation."""
    return heading == name or heading.startswith((f"{name},", f"{name}(", f"{name} (", f"{name} ["))


def _fit_prose(block: str, width: int) -> tuple[str, bool]:
    """Paragraphs and lists, wrapped between words; a long paragraph is cut after a sentence."""
    left_out = len(block) > MAX_CAPTION_LENGTH and not block.startswith("- ")
    if left_out:
        end = block.rfind(". ", 0, MAX_CAPTION_LENGTH) + 1
        block = block[:end] or block[:MAX_CAPTION_LENGTH] + "…"
    lines = [
        textwrap.fill(
            line,
            width,
            subsequent_indent="  " if line.startswith("- ") else "",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in block.splitlines()
    ]
    return "\n".join(lines), left_out
