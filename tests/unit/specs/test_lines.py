"""A message names the file at fault, and the line in it."""

from pathlib import Path

import pytest

from resnest_bench.errors import UserError
from resnest_bench.specs import load_study, study_from_config
from resnest_bench.specs.lines import find_line, read_place

CONFIG = """\
study: small
variants: variants.yaml
seeds: [0, 1]
datasets:
  digits: {source: digits}
train:
  - {dataset: digits, recipe: smoke}
claims: claims.yaml
"""
VARIANTS = """\
- {name: A, family: timm, model: resnet18}
- name: B
  family: timm
  model: resnet34
"""
CLAIMS = """\
- name: c
  claim: A is better.
  test: {kind: greater, metric: accuracy, a: [A], b: [B]}
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in {"config": CONFIG, "variants": VARIANTS, "claims": CLAIMS}.items():
        Path(f"{name}.yaml").write_text(text)
    return Path("config.yaml")


@pytest.mark.parametrize(
    ("file", "old", "new", "line"),
    [
        ("config", "seeds: [0, 1]", "seeds: 3", 3),
        ("config", "seeds: [0, 1]", "sedes: [1]", 3),
        ("config", "source: digits", "source: mnist", 5),
        # Told by a rule over the whole study.
        ("config", "recipe: smoke", "recipe: smok", 7),
        # Refused before any rule of the study.
        ("config", "seeds: [0, 1]", "seeds: [.inf]", 3),
        ("variants", "resnet34", "3", 4),
        ("variants", "model: resnet34", "modl: resnet34", 4),
        ("claims", "kind: greater", "kind: grater", 3),
        ("claims", "- name: c", "- nme: c", 1),
    ],
)
def test_the_file_at_fault_and_its_line(study, file, old, new, line):
    path = Path(f"{file}.yaml")
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(UserError, match=f"^{file}.yaml, line {line}: "):
        load_study(study)


@pytest.mark.parametrize(
    ("file", "text", "line"),
    [
        ("config", "study: a\nseeds: [1]\nstudy: b\n", 3),
        ("variants", "- {name: A, name: B}\n", 1),
        ("claims", "a: 1\nb: c: d\n", 2),
        ("config", "study: a\n\x00\n", 2),
        ("config", "a:\n\tb: 1\n", 2),
    ],
)
def test_what_is_not_strict_yaml_is_named_by_line(study, file, text, line):
    Path(f"{file}.yaml").write_text(text)
    with pytest.raises(UserError, match=f"^{file}.yaml, line {line}\\b") as caught:
        load_study(study)
    assert "unicode string" not in str(caught.value)


def test_a_sheet_that_is_not_there_is_named_with_the_folder_that_it_is_sought_in(study, tmp_path):
    study.write_text(study.read_text().replace("variants.yaml", "nowhere.yaml"))
    with pytest.raises(
        UserError, match=r"^config\.yaml, line 2: variants: cannot read nowhere"
    ) as caught:
        load_study(study)
    assert str(tmp_path) in str(caught.value)


def test_of_several_files_the_last_that_has_the_key_is_named(study):
    """As Snakemake merges them."""
    Path("more.yaml").write_text("seeds: 3\n")
    config = {"study": "small", "variants": "variants.yaml", "seeds": 3, "claims": 5}
    files = [study, Path("more.yaml")]
    with pytest.raises(UserError, match=r"^config\.yaml, line 8: claims"):
        study_from_config(config, "config", files)
    del config["claims"]
    config["datasets"] = {"digits": {"source": "digits"}}
    with pytest.raises(UserError, match=r"^more\.yaml, line 1: seeds"):
        study_from_config(config, "config", files)


def test_a_line_is_of_the_nearest_entry_that_the_file_has(tmp_path):
    file = tmp_path / "a.json"
    file.write_text('{"a": [\n {"b": 1},\n {"b": 2}\n]}')
    assert find_line(file, ["a", 1, "b"]) == 3
    assert find_line(file, ["a", 1, "missing"]) == 3
    assert find_line(file, ["a", 7]) == 1
    assert find_line(file, ["x"]) is None
    assert find_line(tmp_path / "nowhere", ["a"]) is None


@pytest.mark.parametrize(
    ("message", "place"),
    [
        ("train[0].recipe: unknown name", ("train", 0, "recipe")),
        ("finetune[1].weights.ResNet-18: no", ("finetune", 1, "weights", "ResNet-18")),
        ("variants[1] (B).radix: 3", ("variants", 1, "radix")),
        ("two variants are named", ()),
        ("", ()),
    ],
)
def test_a_place_is_read_from_the_start_of_a_message(message, place):
    assert read_place(message) == place
