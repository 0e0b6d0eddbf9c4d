"""What hatchling asks while it builds: the files that ship in a wheel, and the addresses of the project."""

import os
import re
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

# The dashboard shows the glossary.
SHIPPED = ("workflow", "dashboard", "config", "environment.yml", "docs/glossary.md")
# [text](path) and ![text](path), where the path is none of a host or of this page.
RELATIVE_LINK = re.compile(r"(!?)(\[[^\]]*\])\((?![a-z]+:|#)([^)]+)\)")


class ShippedFiles(BuildHookInterface):
    """`resnest_bench/_shipped/` in a wheel; see src/resnest_bench/cli/shipped.py.

    A hook and no line in pyproject.toml, since an editable install must not get a copy: it would
    hide the checkout's own files, and never be up to date with them.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "standard":
            build_data["force_include"] |= {
                name: f"resnest_bench/_shipped/{name}" for name in SHIPPED
            }


class ProjectAddresses(MetadataHookInterface):
    """Project URLs and the readme's links, at the host that builds the release.

    The repository may lie on any host, so no file names one: the release workflow knows it by
    GITHUB_SERVER_URL and GITHUB_REPOSITORY. Without them there are no URLs, and links stay relative.
    """

    def update(self, metadata: dict[str, Any]) -> None:
        readme = Path(self.root, "README.md").read_text(encoding="utf-8")
        metadata["urls"] = {}
        if repository := os.environ.get("GITHUB_REPOSITORY"):
            address = f"{os.environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{repository}"
            tag = f"v{metadata['version']}"
            metadata["urls"] = {
                "Source": address,
                "Documentation": f"{address}/tree/{tag}/docs",
                "Changelog": f"{address}/blob/{tag}/CHANGELOG.md",
                "Issues": f"{address}/issues",
            }
            readme = make_links_absolute(readme, address, tag)
        metadata["readme"] = {"content-type": "text/markdown", "text": readme}


def make_links_absolute(markdown: str, address: str, tag: str) -> str:
    """Return `markdown` with its relative links at `address`: pages at the tag, pictures as raw files."""

    def absolute(link: re.Match) -> str:
        kind = "raw" if link[1] else "blob"
        return f"{link[1]}{link[2]}({address}/{kind}/{tag}/{link[3]})"

    return RELATIVE_LINK.sub(absolute, markdown)
