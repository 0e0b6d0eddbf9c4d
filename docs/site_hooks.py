"""What MkDocs asks while it builds the site (mkdocs.yml): pages that lie outside docs/, and links to files.

On a code host a link leads to any file of the repository. On the site it leads to the page, if the file is
one; to the repository, if REPOSITORY_URL names it; else only its text stays.
"""

import os
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
# File of the repository: page of the site.
OUTSIDE = {
    "config/README.md": "config.md",
    "results/reference/README.md": "reference-results.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "report-a-vulnerability.md",
}
# Folders to which pages link.
FOLDERS = {"docs/decisions": "decisions/index.md", "results/reference": "reference-results.md"}
PYTHON = """# Python functions

[Use results in Python](api.md) shows them at work.

::: resnest_bench.open_study

::: resnest_bench.results.StudyResults
"""
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?![a-z]+:|#)([^)\s#]*)(#[^)\s]*)?\)")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages that lie elsewhere or are made here."""
    for source, page in OUTSIDE.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text("utf-8")))
    files.append(File.generated(config, "python.md", content=PYTHON))
    files.append(File.generated(config, "decisions/index.md", content=list_decisions()))
    return files


def list_decisions() -> str:
    lines = ["# Decisions", "", "What was decided, and what was not done.", ""]
    for path in sorted((ROOT / "docs/decisions").glob("*.md")):
        title = path.read_text("utf-8").splitlines()[0].removeprefix("# ")
        number, _, words = title.partition(". ")
        lines.append(f"- {number}: [{words}]({path.name})")
    return "\n".join(lines) + "\n"


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return the page with links that lead somewhere on the site."""
    here = page.file.src_uri
    of_pages = {page: source for source, page in OUTSIDE.items()}
    source = of_pages.get(here, f"docs/{here}")

    def rewrite(link: re.Match[str]) -> str:
        bang, text, path, anchor = link[1], link[2], link[3], link[4] or ""
        if not path:
            return link[0]
        file = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        target = OUTSIDE.get(file) or FOLDERS.get(file)
        if not target and file.startswith("docs/") and (ROOT / file).is_file():
            target = file.removeprefix("docs/")
        if target and not target.endswith(".py"):
            return f"{bang}[{text}]({posixpath.relpath(target, posixpath.dirname(here) or '.')}{anchor})"
        if repository := os.environ.get("REPOSITORY_URL"):
            return f"[{text}]({repository.rstrip('/')}/blob/main/{file}{anchor})"
        return text

    blocks = re.split(r"(^```.*?^```)", markdown, flags=re.MULTILINE | re.DOTALL)
    blocks[::2] = [LINK.sub(rewrite, text) for text in blocks[::2]]
    return "".join(blocks)
