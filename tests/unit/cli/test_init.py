"""`resnest-bench init`: a copy of a shipped study that stands on its own."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from resnest_bench import files
from resnest_bench.cli.app import app
from resnest_bench.cli.init import write_study
from resnest_bench.cli.shipped import shipped_studies
from resnest_bench.errors import UserError
from resnest_bench.specs import load_study

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("like", sorted(shipped_studies()))
def test_a_copy_is_the_same_study(like, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    shipped = load_study(shipped_studies()[like])
    written = write_study(tmp_path / "mine", like)
    monkeypatch.chdir(tmp_path / "mine")
    copy = load_study(Path("config/config.yaml"))
    # Networks of Python files have them in the new folder, and are compared by their source.
    own = {v.name for v in shipped.variants if v.family == "python"}
    assert all(v.source_digest for v in copy.variants if v.name in own)
    assert copy.study == "mine"
    assert comparable(copy) == comparable(shipped)
    # Nothing in it points to where it was copied from.
    texts = "".join(path.read_text() for path in written)
    assert "yaml-language-server" not in texts
    assert f"config/{like}/" not in "".join(
        path.read_text() for path in written if path.name == "variants.yaml"
    )
    assert f"config/{like}/variants.yaml" not in texts


@pytest.mark.parametrize(
    ("folder", "name"), [("my photos (2)", "my-photos-2"), ("犬", "first"), ("v1.5", "v1.5")]
)
def test_the_study_has_the_name_of_the_folder_where_it_can(folder, name, tmp_path, monkeypatch):
    write_study(tmp_path / folder, "first")
    monkeypatch.chdir(tmp_path / folder)
    assert load_study(Path("config/config.yaml")).study == name


def comparable(study):
    values = study.model_dump(exclude={"study"})
    for variant in values["variants"]:
        if variant["family"] == "python":
            del variant["file"]
    return values


def test_it_says_what_it_wrote_and_what_comes_next(tmp_path):
    done = CliRunner().invoke(app, ["init", str(tmp_path / "mine")])
    assert done.exit_code == 0
    names = {path.name for path in (tmp_path / "mine" / "config").iterdir()}
    assert names == {"config.yaml", "variants.yaml", "claims.yaml"}
    assert "resnest-bench run" in done.output


@pytest.mark.parametrize("name", ["config.yaml", "claims.yaml"])
def test_it_overwrites_nothing_and_then_writes_nothing(name, tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / name).write_text("mine")
    with pytest.raises(UserError, match=name):
        write_study(tmp_path, "first")
    assert [path.name for path in (tmp_path / "config").iterdir()] == [name]
    assert (tmp_path / "config" / name).read_text() == "mine"


def test_a_disk_that_fills_up_leaves_no_half_study(tmp_path, monkeypatch):
    write_text = files.write_text

    def full(path, text):
        if path.name == "claims.yaml":
            raise UserError("the disk is full")
        write_text(path, text)

    monkeypatch.setattr("resnest_bench.cli.init.write_text", full)
    with pytest.raises(UserError, match="full"):
        write_study(tmp_path, "first")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_unknown_study_names_those_that_ship(tmp_path):
    with pytest.raises(UserError, match=r"--like .*paper, .*demo, .*first"):
        write_study(tmp_path, "../secret")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_is_said(tmp_path):
    (tmp_path / "mine").write_text("")
    with pytest.raises(UserError, match="mine"):
        write_study(tmp_path / "mine", "first")
