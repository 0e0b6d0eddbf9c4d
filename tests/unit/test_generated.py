"""Files that follow from others are in step with them; a failure prints the difference."""

import re
import tomllib
from pathlib import Path

import jsonschema
import pytest
import yaml

from resnest_bench.generate import claims_schema, config_schema, generated_files, variants_schema

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", sorted(generated_files()))
def test_generated_file_is_in_step(path):
    assert (ROOT / path).read_text() == generated_files()[path], f"run `make generated` for {path}"


@pytest.mark.parametrize(
    "config",
    [
        "config/config.yaml",
        "config/demo/config.yaml",
        "config/subset/config.yaml",
        "config/hotdog/config.yaml",
    ],
)
def test_shipped_configs_satisfy_the_published_schema(config):
    jsonschema.validate(yaml.safe_load((ROOT / config).read_text()), config_schema())


@pytest.mark.parametrize("sheet", ["config/variants.yaml", "config/demo/variants.yaml"])
def test_shipped_variants_satisfy_the_published_schema(sheet):
    jsonschema.validate(yaml.safe_load((ROOT / sheet).read_text()), variants_schema())


def test_shipped_claims_satisfy_the_published_schema():
    claims = yaml.safe_load((ROOT / "config/claims.yaml").read_text())
    jsonschema.validate(claims, claims_schema())
    claims[0]["test"]["metrik"] = "accuracy"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(claims, claims_schema())


def test_the_published_schema_is_closed():
    config = yaml.safe_load((ROOT / "config/demo/config.yaml").read_text())
    config["recipes"]["demo"]["lerning_rate"] = 1
    with pytest.raises(jsonschema.ValidationError, match="lerning_rate"):
        jsonschema.validate(config, config_schema())


def pins() -> dict[str, str]:
    text = (ROOT / "requirements.txt").read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", text, re.MULTILINE))


def test_every_requirement_is_pinned_with_a_hash_and_without_a_host():
    text = (ROOT / "requirements.txt").read_text()
    assert "://" not in text
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)
    assert all("--hash=sha256:" in block for block in blocks if block.strip())


def test_environment_yml_has_the_pinned_versions():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    names = {"pytorch": "torch", "snakemake-minimal": "snakemake"}
    conda = {}
    for line in listed:
        if isinstance(line, str) and " =" in line and not line.startswith("python "):
            name, version = line.split(" =")
            conda[names.get(name, name)] = version
    # conda-forge packages a post-release under the version it repairs.
    expected = {name: pins()[name].split(".post")[0] for name in conda}
    assert conda == expected
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"]]
    # What a rule of the workflow or a command on its results calls. An extra for one machine is not in it.
    for name in ("train", "cluster", "search", "provenance"):
        needed += [line for line in extras[name] if not line.startswith("resnest-bench")]
    assert {re.split(r"[<>=;\[ ]", line)[0] for line in needed} <= set(conda)


def test_the_makefile_names_no_version():
    assert "==" not in re.sub(r"\^uv==", "", (ROOT / "Makefile").read_text())
