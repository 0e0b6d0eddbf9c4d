"""A network in a user's file: what is built, what its record is compared by, and what goes wrong."""

import os

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from resnest_bench.errors import UserError
from resnest_bench.models import build_model, check_buildable, head_module, python_family
from resnest_bench.specs import VariantSpec
from resnest_bench.specs.variants import PythonVariant
from resnest_bench.status.changes import find_change

NET = """\
from torch import nn
from parts import conv


class Net(nn.Module):
    def __init__(self, num_classes, width=4):
        super().__init__()
        print("this must not stand in a table")
        self.conv = conv(3, width)
        self.fc = nn.Linear(width, num_classes)

    def forward(self, x):
        return self.fc(self.conv(x).mean((2, 3)))


def dropping(num_classes, drop_rate):
    return nn.Sequential(nn.Flatten(), nn.Dropout(drop_rate), nn.Linear(12, num_classes))
"""
PARTS = "from torch import nn\n\n\ndef conv(i, o):\n    return nn.Conv2d(i, o, 3)\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "parts.py").write_text(PARTS)
    return tmp_path


def variant(**changes) -> PythonVariant:
    raw = {"name": "mine", "family": "python", "file": "net.py", "build": "Net", **changes}
    return TypeAdapter(VariantSpec).validate_python(raw)


def test_a_class_of_the_file_is_built_with_its_arguments(folder, capsys):
    check_buildable(variant(args={"width": 6}))
    model = build_model(variant(args={"width": 6}), 7)
    assert model(torch.zeros(2, 3, 8, 8)).shape == (2, 7)
    assert head_module(model) is model.fc
    assert model.conv.out_channels == 6
    assert capsys.readouterr().out == ""


def test_a_function_gets_the_dropout_that_it_takes(folder):
    model = build_model(variant(build="dropping"), 5, dropout=0.25)
    assert model[1].p == 0.25
    with pytest.raises(UserError, match="takes no drop_rate"):
        build_model(variant(), 5, dropout=0.25)


def test_what_is_in_the_file_and_its_imports_counts_and_not_where_it_is(folder):
    before = {"variant": variant().as_dict()}
    (folder / "elsewhere").mkdir()
    for name in ("net.py", "parts.py"):
        (folder / "elsewhere" / name).write_text((folder / name).read_text())
    moved = {"variant": variant(file="elsewhere/net.py", name="renamed").as_dict()}
    assert find_change(before, moved) == ""
    (folder / "parts.py").write_text(PARTS.replace("3)", "5)"))
    assert find_change(before, {"variant": variant().as_dict()}).startswith("variant.source_digest")
    # What nobody imports changes nothing.
    (folder / "parts.py").write_text(PARTS)
    (folder / "notes.py").write_text("x = 1\n")
    assert find_change(before, {"variant": variant().as_dict()}) == ""


def test_a_file_that_changed_after_the_plan_is_refused(folder):
    planned = TypeAdapter(VariantSpec).validate_python(variant().as_dict())
    (folder / "parts.py").write_text(PARTS + "# another comment\n")
    with pytest.raises(UserError, match="has changed since the run was planned"):
        build_model(planned, 3)


def test_to_read_a_study_runs_nothing(folder):
    (folder / "net.py").write_text("raise SystemExit('it was run')\n")
    assert variant().source_digest


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import torch\n\nraise ValueError('no\\nluck')\n", r"net\.py, line 3: ValueError: no"),
        (
            "def Net(num_classes):\n    return 1 / 0\n",
            r"line 2: ZeroDivisionError: division by zero",
        ),
        ("def Net(:\n", r"line 1: "),
        ("import sys\nsys.exit(3)\n", r"line 2: SystemExit: 3"),
        ("def Net(num_classes):\n    return 'text'\n", "an nn.Module, but got a str"),
        ("x = 1\n", "must define Net"),
        ("def Net():\n    pass\n", r"TypeError: .*num_classes"),
        (
            "from torch import nn\ndef Net(num_classes):\n    return nn.Flatten()\n",
            "get_classifier",
        ),
        (
            "from torch import nn\ndef Net(num_classes):\n    return nn.Linear(3, 1000)\n",
            "has 1000 outputs, but 4 classes",
        ),
        ("import parts_that_are_not_there\n", r"line 1: ModuleNotFoundError"),
        ("import time\nwhile True:\n    time.sleep(0.01)\n", "takes more than 1 s"),
    ],
)
def test_what_goes_wrong_in_a_file_is_one_line_with_its_place(folder, monkeypatch, source, says):
    monkeypatch.setattr(python_family, "SECONDS", 1)
    (folder / "net.py").write_text(source)
    with pytest.raises(UserError, match=says) as caught:
        build_model(variant(), 4)
    assert "\n" not in str(caught.value)


def test_an_error_in_what_the_file_imports_names_that_file(folder):
    (folder / "parts.py").write_text("def conv(i, o):\n    raise KeyError('gone')\n")
    with pytest.raises(UserError, match=r"net\.py: parts\.py, line 2: KeyError"):
        build_model(variant(), 4)


def test_a_missing_file_is_said_to_be_missing_from_where(folder):
    with pytest.raises(UserError, match=f"no file gone.py .from {os.getcwd()}"):
        build_model(variant(file="gone.py"), 4)


@pytest.mark.parametrize(
    "changes", [{"file": "net.txt"}, {"build": "a b"}, {"args": {"num_classes": 3}}]
)
def test_a_variant_that_breaks_a_rule_is_refused(folder, changes):
    with pytest.raises(ValidationError):
        variant(**changes)
