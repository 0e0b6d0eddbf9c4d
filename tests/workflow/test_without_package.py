"""Where Snakemake is installed and our package is not, as in Snakemake's catalogue of workflows."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
# The package is installed as a folder on the path: without that folder it is not there.
HIDE = f"import sys; sys.path = [path for path in sys.path if path != {str(ROOT / 'src')!r}]\n"
STUDIES = [
    "config",
    *sorted(f"config/{path.parent.name}" for path in ROOT.glob("config/*/config.yaml")),
]


@pytest.fixture
def without(tmp_path):
    """Run snakemake in a copy of what the catalogue clones, without the package or with it."""
    for name in ("workflow", "config", "environment.yml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(HIDE)

    def run(*words, package=False):
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environ = dict(os.environ, PATH=path)
        if not package:
            environ["PYTHONPATH"] = str(hidden)
        return subprocess.run(
            ["snakemake", *words],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


def test_it_is_really_hidden(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(HIDE)
    done = subprocess.run(
        [sys.executable, "-c", "import resnest_bench"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert "ModuleNotFoundError" in done.stderr


def test_it_lints(without):
    done = without("--lint")
    assert done.returncode == 0, done.stdout + done.stderr


def edges(graph):
    """{('train', 'all'), ...} of a graph in mermaid's language."""
    names, pairs = {}, set()
    for line in graph.splitlines():
        if "[" in line:
            number, _, name = line.strip().partition("[")
            names[number] = name.rstrip("]")
        elif "-->" in line:
            pairs.add(tuple(line.split(" --> ")))
    return {(names[a.strip()], names[b.strip()]) for a, b in pairs}


@pytest.mark.parametrize("study", STUDIES)
def test_its_graph_is_that_of_the_package(without, study):
    command = ("--rulegraph", "mermaid-js", "--configfile", f"{study}/config.yaml")
    alone, ours = without(*command), without(*command, package=True)
    assert alone.returncode == 0, alone.stderr
    assert edges(alone.stdout) == edges(ours.stdout)
    assert ("tables", "figures") in edges(alone.stdout)


def test_a_run_says_how_to_install_before_any_rule(without, tmp_path):
    done = without("--cores", "1")
    assert done.returncode != 0
    assert "make env" in done.stdout + done.stderr
    assert not (tmp_path / "data").exists()
    assert not (tmp_path / "results").exists()
