"""The project's files that are no modules: workflow, dashboard and studies.

A wheel carries a copy of them in `_shipped/` (pyproject.toml says which). In a checkout they are the
checkout's own, so that an edit counts at once.
"""

from pathlib import Path

from resnest_bench.digests import PACKAGE


def project_root(package: Path = PACKAGE) -> Path:
    """The folder that holds `workflow/`, `dashboard/`, `config/` and environment.yml."""
    copy = package / "_shipped"
    return copy if copy.is_dir() else package.parents[1]


def snakefile() -> Path:
    return project_root() / "workflow" / "Snakefile"


def dashboard_app() -> Path:
    return project_root() / "dashboard" / "app.py"


def shipped_studies() -> dict[str, Path]:
    """Name to config file: config/config.yaml is `paper`, config/<name>/config.yaml is `<name>`."""
    folder = project_root() / "config"
    others = {path.parent.name: path for path in sorted(folder.glob("*/config.yaml"))}
    return {"paper": folder / "config.yaml", **others}
