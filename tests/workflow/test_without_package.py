"""Where Snakemake is installed and our package is not, as in Snakemake's catalogue of workflows."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.warm import SNAKEMAKE, warm_command

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
# The package is installed as a folder on the path: without that folder it is not there.
HIDE = f"import sys; sys.path = [path for path in sys.path if path != {str(ROOT / 'src')!r}]\n"
STUDIES = [
    "config",
    *sorted(f"config/{path.parent.name}" for path in ROOT.glob("config/*/config.yaml")),
]


@pytest.fixture(scope="module")
def hidden(tmp_path_factory):
    """For PYTHONPATH: a Python that starts with it has no resnest_bench."""
    folder = tmp_path_factory.mktemp("hidden")
    (folder / "sitecustomize.py").write_text(HIDE)
    return folder


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A copy of what the catalogue clones."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("workflow", "config", "environment.yml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    return folder


def starts(warm, **variables):
    """Run snakemake in a folder, each time a fork of a process that has imported it."""

    def run(folder, *words):
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return subprocess.run(
            [warm / SNAKEMAKE, *words],
            cwd=folder,
            env=dict(os.environ, PATH=path, **variables),
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


@pytest.fixture(scope="module")
def without(tmp_path_factory, hidden):
    """Snakemake without the package."""
    variables = {"PYTHONPATH": str(hidden)}
    with warm_command(tmp_path_factory.mktemp("without"), package=False, **variables) as folder:
        yield starts(folder, **variables)


@pytest.fixture
def with_package(warm):
    return starts(warm)


def test_it_is_really_hidden(hidden, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", "import resnest_bench"],
        env={**os.environ, "PYTHONPATH": str(hidden)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert "ModuleNotFoundError" in done.stderr


def test_it_lints(without, clone):
    done = without(clone, "--lint")
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
def test_its_graph_is_that_of_the_package(without, with_package, clone, study):
    command = ("--rulegraph", "mermaid-js", "--configfile", f"{study}/config.yaml")
    alone, ours = without(clone, *command), with_package(clone, *command)
    assert alone.returncode == 0, alone.stderr
    assert ours.returncode == 0, ours.stderr
    if "search:" in (ROOT / study / "config.yaml").read_text().splitlines():
        # Until its first round is decided, the package knows no rule behind that checkpoint.
        assert ("propose", "tables") in edges(ours.stdout)
        assert ("train", "tables") in edges(alone.stdout)
    else:
        assert edges(alone.stdout) == edges(ours.stdout)
    assert ("tables", "figures") in edges(alone.stdout)


def test_a_run_says_how_to_install_before_any_rule(without, clone):
    done = without(clone, "--cores", "1")
    assert done.returncode != 0
    assert "make env" in done.stdout + done.stderr
    assert not (clone / "data").exists()
    assert not (clone / "results").exists()
