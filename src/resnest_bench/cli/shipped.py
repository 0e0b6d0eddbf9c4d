"""The project's files outside the package: workflow, dashboard and studies.

A wheel contains a copy of them in `_shipped/` (listed in pyproject.toml). In a checkout, the original
files are used, so that an edit takes effect immediately.
"""

from pathlib import Path

from resnest_bench.digests import PACKAGE


def project_root(package: Path = PACKAGE) -> Path:
    """Return the folder with `workflow/`, `dashboard/`, `config/` and environment.yml."""
    copy = package / "_shipped"
    return copy if copy.is_dir() else package.parents[1]


def snakefile() -> Path:
    return project_root() / "workflow" / "Snakefile"


def dashboard_app() -> Path:
    return project_root() / "dashboard" / "app.py"


def shipped_studies() -> dict[str, Path]:
    """Return name to config file: config/config.yaml is `paper`, config/<name>/config.yaml `<name>`."""
    folder = project_root() / "config"
    others = {path.parent.name: path for path in sorted(folder.glob("*/config.yaml"))}
    return {"paper": folder / "config.yaml", **others}
