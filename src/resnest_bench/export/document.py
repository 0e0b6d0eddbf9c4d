"""A study's sections as Markdown with SVG figures: for a forge, a wiki or a supplement."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd
import vl_convert

from resnest_bench import files
from resnest_bench.export.about import PAGE
from resnest_bench.export.blocks import CLICK_TEXT, Block, Bullets, Facts, Figure, Section, Table
from resnest_bench.export.results import PageResults
from resnest_bench.export.sections import list_sections
from resnest_bench.formats import escape_paragraph, markdown_bullets, markdown_table
from resnest_bench.paths import StudyPaths
from resnest_bench.specs import StudySpec


def write_document(
    study: StudySpec, paths: StudyPaths, out: Path, keys: Collection[str] | None = None
) -> list[Path]:
    """Write `out` and its figures to a folder named after it; return the files.

    `keys` are the sections to write, None for all. Raises UserError if a file can't be written.
    """
    sections = [
        s for s in list_sections(PageResults(study, paths)) if keys is None or s.key in keys
    ]
    text, figures = render_markdown(sections, out.stem)
    for name, svg in figures.items():
        files.write_text(out.parent / name, svg)
    files.write_text(out, f"# {plain(study.study)}\n\n{text}")
    return [out, *(out.parent / name for name in figures)]


def render_markdown(
    sections: Iterable[Section], folder: str, level: int = 2
) -> tuple[str, dict[str, str]]:
    """The sections' text, and the SVG figures in `folder` by file name. Same sections, same text."""
    parts, figures = [], {}
    for section in sections:
        texts = [plain(text) for text in section.text if text != CLICK_TEXT]
        parts += [f"{'#' * level} {plain(section.title)}", *texts]
        for number, block in enumerate(section.blocks, start=1):
            if isinstance(block, Figure) and block.spec is not None:
                name = f"{folder}/{section.key}-{number}.svg"
                figures[name] = _svg(block.spec)
                parts.append(_image(block, name))
            else:
                parts += _block(block)
    return "\n\n".join([*filter(None, parts), ""]).rstrip() + "\n", figures


def plain(text: str) -> str:
    """Escape `text` so that Markdown shows it literally, on one line."""
    return escape_paragraph(text)


def _svg(spec: dict[str, Any]) -> str:
    major, minor, _ = alt.SCHEMA_VERSION.removeprefix("v").split(".")
    return vl_convert.vegalite_to_svg(spec, vl_version=f"{major}.{minor}") + "\n"


def _image(figure: Figure, name: str) -> str:
    # The subtitle is in the picture.
    return f"![{plain(figure.head)}]({name})"


def _block(block: Block) -> list[str]:
    """Render a block without its files, which are next to the text."""
    if isinstance(block, Table):
        return [plain(block.caption), _table(block), _bullets(block.notes)]
    if isinstance(block, Facts):
        rows = [(name, lines) for name, lines in block.rows if name != PAGE]
        return ["\n".join(f"- **{plain(name)}:**{_lines(lines)}" for name, lines in rows)]
    if isinstance(block, Bullets):
        return [_bullets(block.items)]
    if isinstance(block, Figure):
        return [f"**{plain(block.head)}**: no data yet.", _bullets(block.lines)]
    return []


def _lines(lines: tuple[str, ...]) -> str:
    if len(lines) == 1:
        return f" {plain(lines[0])}"
    return "".join(f"\n  - {plain(line)}" for line in lines)


def _bullets(items: Iterable[str]) -> str:
    return "\n".join(markdown_bullets(list(items)))


def _table(block: Table) -> str:
    return markdown_table(pd.DataFrame(list(block.rows), columns=list(block.headings)))
