"""Who only reads results needs no torch: where it isn't installed, all that reads them works."""

import subprocess
import sys
from pathlib import Path

import pytest

from resnest_bench.cli.packages import TRAINING_PACKAGES
from support.records_factory import make_study, write_study

TESTS = Path(__file__).parents[1]
# Stands for an environment without them.
SCRIPT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
from typer.testing import CliRunner
from resnest_bench.cli.app import app

for words in {commands}:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, (words, done.output, done.exception)

# What trains says which extra it needs.
import contextlib
import io
from resnest_bench.cli.app import main

for words in {training}:
    sys.argv[1:] = words
    with contextlib.redirect_stderr(io.StringIO()) as said:
        try:
            main()
        except SystemExit as end:
            assert end.code == 1, words
    assert "pip install 'resnest-bench[train]'" in said.getvalue(), (words, said.getvalue())

sys.path[:0] = [{tests!r}, {dashboard!r}]
from streamlit.testing.v1 import AppTest

page = AppTest.from_file({dashboard!r} + "/app.py", default_timeout=60)
for name in {pages}:
    page.switch_page(f"app_pages/{{name}}.py").run()
    assert not page.exception, (name, page.exception)
    assert page.header, name
"""
ABSENT = set(TRAINING_PACKAGES)


@pytest.mark.slow
def test_tables_figures_export_import_and_dashboard_work(tmp_path, monkeypatch):
    study = make_study()
    paths = study.paths(tmp_path / "results")
    write_study(study, paths)
    (tmp_path / "theirs.csv").write_text(
        "model,dataset,seed,acc\nx,photos,0,0.90\nx,photos,1,0.91\ny,photos,0,0.80\ny,photos,1,0.82\n"
    )
    file = str(paths.study)
    commands = [
        ["tables", "--study", file],
        ["figures", "--study", file],
        ["show", str(paths.root)],
        ["status", str(paths.root)],
        ["export", str(paths.root), "--out", "page.html"],
        ["import", "theirs.csv"],
    ]
    training = [[name, "--study", file] for name in ("run", "plan", "describe", "doctor")]
    dashboard = TESTS.parent / "dashboard"
    pages = sorted(path.stem for path in (dashboard / "app_pages").glob("*.py"))
    script = SCRIPT.format(
        absent=sorted(ABSENT),
        commands=commands,
        training=training,
        tests=str(TESTS),
        dashboard=str(dashboard),
        pages=pages,
    )
    monkeypatch.setenv("RESNEST_BENCH_RESULTS", str(tmp_path / "results"))
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "page.html").stat().st_size > 100_000
    assert (paths.tables / "tradeoff.md").exists()
