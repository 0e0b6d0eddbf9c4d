"""What the docs name exists: files, keys of a config, pages of the dashboard."""

import ast
import re
from itertools import product

import pytest
import yaml
from snakemake.cli import get_argument_parser

from resnest_bench.cli.shipped import shipped_studies
from resnest_bench.digests import PACKAGE
from resnest_bench.specs import study_from_config
from resnest_bench.specs.explain import list_keys
from support.documents import DOCUMENTS, ROOT, code_spans, fences, inline

IDS = {"ids": lambda path: str(path.relative_to(ROOT))}
TOP = {path.name for path in ROOT.iterdir()} - {"data", "results", "carry", ".snakemake"}
IN_PACKAGE = {path.name for path in PACKAGE.iterdir() if path.is_dir()}
A_PATH = re.compile(r"[\w.\-/{},*<>]+/[\w.\-/{},*<>]*")
# The reader's own files, in the tutorial's folder.
THEIRS = re.compile(r"mine|theirs|data/|config/claims\.yaml")


def patterns(span):
    """What to look for: `{a,b}` stands for both, and `<name>` for any name."""
    span = re.sub(r"<[^>]*>", "*", span)
    parts = [
        part.strip("{}").split(",") if part.startswith("{") else [part]
        for part in re.split(r"(\{[^}]*\})", span)
    ]
    return ["".join(choice) for choice in product(*parts)]


def missing_paths(document):
    missing = []
    for span in code_spans(document):
        first = span.split("/")[0]
        if not A_PATH.fullmatch(span) or THEIRS.search(span):
            continue
        bases = [ROOT] if first in TOP or span.startswith("results/reference/") else []
        # `tables/runs.csv` is in a study's results, `tables/` and `tables/scan.py` in the package.
        if first in IN_PACKAGE and span.endswith(("/", ".py")):
            bases.append(PACKAGE)
        for pattern in patterns(span.rstrip("/")) if bases else []:
            if not any(any(base.glob(pattern)) for base in bases):
                missing.append(pattern)
    return missing


@pytest.mark.parametrize("document", DOCUMENTS, **IDS)
def test_paths_exist(document):
    assert missing_paths(document) == []


def test_a_missing_path_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "`src/gone.py` `src/resnest_bench/errors.py` `workflow/{rules,gone}/` `models/nothing.py` "
        "`models/resnest.py` `results/<study>/tables/` `a/b` `config/<study>/config.yaml`\n"
    )
    assert missing_paths(page) == ["src/gone.py", "workflow/gone", "models/nothing.py"]


def snakemake_keys():
    options = [name for action in get_argument_parser()._actions for name in action.option_strings]
    return {name.lstrip("-") for name in options}


# Of the cluster profiles: resources and the plugins' own options.
PROFILE_KEYS = {
    "gpu",
    "gres",
    "gpu_model",
    "lsf_extra",
    "request_gpus",
    "sge_resources",
    "mem_mb",
    "runtime",
    "tasks",
    "slurm_partition",
    "slurm_account",
    "slurm_extra",
    "slurm_requeue",
}
KEYS = list_keys() | snakemake_keys() | PROFILE_KEYS


def unknown_keys(document):
    spans = [re.match(r"\{?([a-z][\w-]*):(?: |$)", span) for span in code_spans(document)]
    return [match[1] for match in spans if match and match[1] not in KEYS]


# The changelog tells of keys that are gone.
@pytest.mark.parametrize("document", sorted(set(DOCUMENTS) - {ROOT / "CHANGELOG.md"}), **IDS)
def test_keys_of_a_config_exist(document):
    assert unknown_keys(document) == []


def test_an_unknown_key_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("`seeds:` `sedes:` `learning_rate: 0.1` `lerning_rate: 0.1` `gpu: 0`\n")
    assert unknown_keys(page) == ["sedes", "lerning_rate"]


def of_another_kind(block):
    """Whether this is a manifest of Kubernetes, or lines of a Snakemake profile."""
    return "apiVersion" in block or set(map(str, block)) <= snakemake_keys() | PROFILE_KEYS


BLOCKS = [
    pytest.param(block, id=f"{path.relative_to(ROOT)}:{fence.line}")
    for path in DOCUMENTS
    for fence in fences(path, "yaml")
    if not of_another_kind(block := yaml.safe_load(fence.text))
]
A_STUDY = {
    "study": "docs",
    "seeds": [0],
    "variants": [{"name": "A", "family": "timm", "model": "resnet10t"}],
    "datasets": {"digits": {"source": "digits"}},
    "train": [{"dataset": "digits", "recipe": "paper20"}],
}


def as_study(block):
    """The block in the smallest study that it could be a part of."""
    if isinstance(block, list) and "family" in block[0]:
        return {**A_STUDY, "variants": block}
    if isinstance(block, list):
        return {**A_STUDY, "claims": block}
    sheets = {key: [] for key in ("claims",) if isinstance(block.get(key), str)}
    if isinstance(block.get("variants"), str):
        named = yaml.safe_dump(block)
        names = sorted(set(re.findall(r"radix-\d|ResNet-10", named)))
        sheets["variants"] = [{"name": n, "family": "timm", "model": "resnet10t"} for n in names]
    datasets = {**A_STUDY["datasets"], **block.get("datasets", {})}
    return {**A_STUDY, **block, **sheets, "datasets": datasets}


@pytest.mark.parametrize("block", BLOCKS)
def test_a_yaml_block_is_a_valid_part_of_a_study(block):
    study_from_config(as_study(block), "docs")


def pages():
    """Titles in the dashboard's navigation."""
    calls = (
        node
        for node in ast.walk(ast.parse((ROOT / "dashboard/pages.py").read_text()))
        if isinstance(node, ast.Call)
    )
    return {
        call.args[1].value
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "Page"
    }


def test_every_page_is_in_the_dashboards_doc():
    # The first table of the page.
    table = re.search(r"(?:^\|.*\n)+", (ROOT / "docs/dashboard.md").read_text(), re.MULTILINE)
    assert table
    rows = re.findall(r"^\| ([^|]+) \|", table[0], re.MULTILINE)
    # The names of the groups are bold.
    assert {row for row in rows if not row.startswith("**")} - {"page"} == pages()


@pytest.mark.parametrize("document", DOCUMENTS, **IDS)
def test_a_page_that_is_named_exists(document):
    text = " ".join(token.content if token.type == "text" else "*" for token in inline(document))
    named = re.findall(r"\* ([A-Z][\w -]+?) \*(?= page)", re.sub(r"\s+", " ", text))
    assert set(named) <= pages()


def test_the_studies_that_ship_are_listed_in_the_catalogues_terms():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment"}
    assert set(usage["software-stack-deployment"]) == {
        "conda",
        "apptainer",
        "apptainer+conda",
        "report",
    }
    get_argument_parser().parse_args(usage["mandatory-flags"]["flags"].split())
    assert (ROOT / "workflow/Snakefile").exists()
    assert (ROOT / "config/README.md").exists()


def test_the_public_forge_runs_what_everybody_runs():
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    steps = [step for job in jobs.values() for step in job["steps"]]
    assert ".ci/run" in [step.get("run") for step in steps]


def test_the_first_study_is_among_those_that_ship():
    assert {"paper", "demo", "first"} <= set(shipped_studies())
