"""Puts the workflow, the dashboard and the studies that ship into a wheel (run by hatchling)."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# The dashboard shows the glossary.
SHIPPED = ("workflow", "dashboard", "config", "environment.yml", "docs/glossary.md")


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
