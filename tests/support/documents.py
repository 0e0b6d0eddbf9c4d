"""What the tests of the docs read: Markdown files, and the commands, links and names in them."""

import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
# Not of the repository, or (results/<study>/) not written by hand.
NOT_OURS = {".venv", ".git", ".snakemake", "node_modules", "data", "carry", "site-packages"}
COMMANDS = ("make", "resnest-bench", "snakemake")


def documents() -> list[Path]:
    """Every Markdown file of the repository."""
    found = [path for path in ROOT.rglob("*.md") if not NOT_OURS & set(path.parts)]
    results = ROOT / "results"
    own_runs = [
        path
        for path in found
        if path.is_relative_to(results) and path.parent != results and "reference" not in path.parts
    ]
    return sorted(set(found) - set(own_runs))


DOCUMENTS = documents()


@dataclass(frozen=True)
class Fence:
    """A fenced block, and the HTML comment on the line before it ("" if there is none)."""

    language: str
    text: str
    comment: str
    line: int


@cache
def tokens(path: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))


def inline(path: Path) -> list[Token]:
    """The tokens within paragraphs, headings and table cells."""
    return [child for token in tokens(path) for child in token.children or []]


def code_spans(path: Path) -> list[str]:
    return [token.content for token in inline(path) if token.type == "code_inline"]


def fences(path: Path, language: str | None = None) -> list[Fence]:
    found, comment = [], ""
    for token in tokens(path):
        if token.type == "fence":
            name, line = token.info.split(" ")[0], (token.map or [0])[0] + 1
            found.append(Fence(name, token.content, comment, line))
        comment = _comment(token.content) if token.type == "html_block" else ""
    return [fence for fence in found if language in (None, fence.language)]


def _comment(html: str) -> str:
    match = re.fullmatch(r"<!-- (.*) -->", html.strip())
    return match[1] if match else ""


def headings(path: Path) -> list[str]:
    pairs = pairwise(tokens(path))
    return [after.content for token, after in pairs if token.type == "heading_open"]


def anchors(path: Path) -> set[str]:
    """The anchors of a file's headings, as GitHub makes them."""
    seen: dict[str, int] = {}
    for heading in headings(path):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        seen[slug] = seen.get(slug, -1) + 1
        if seen[slug]:
            seen[f"{slug}-{seen[slug]}"] = 0
    return set(seen)


def links(path: Path) -> list[str]:
    """Targets of links and images, as they are written."""
    attributes = {"link_open": "href", "image": "src"}
    return [
        str(token.attrs[attributes[token.type]])
        for token in inline(path)
        if token.type in attributes
    ]


def shell_lines(text: str) -> list[str]:
    """The commands of a shell block: no here-documents, no comments, joined where they go on."""
    text = re.sub(r"<<'?(\w+)'?\n.*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    bare = (re.sub(r"\s+#.*| *&$", "", f" {line}").strip() for line in lines)
    return [part.strip() for line in bare if line for part in line.split(" && ")]


def commands(path: Path) -> list[str]:
    """Lines of shell blocks that call one of COMMANDS."""
    lines = [line for fence in fences(path, "sh") for line in shell_lines(fence.text)]
    return [line for line in lines if line.split(" ")[0] in COMMANDS]


def inline_commands(path: Path) -> list[str]:
    """Code spans that call one of COMMANDS: whole commands, or just the beginning of one."""
    return [span for span in code_spans(path) if span.split(" ")[0] in COMMANDS]
