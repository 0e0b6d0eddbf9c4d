"""A config is accepted as it stands or refused in one line: never half understood, never a traceback."""

import copy
import json
from pathlib import Path

import pytest
import yaml

from resnest_bench.errors import UserError
from resnest_bench.specs import dump_study, load_study, study_from_config
from support.fuzzing import bent, damaged, fuzzed, list_paths, not_finite, replaced, same_meaning

ROOT = Path(__file__).parents[2]
RESULTS = Path("/results")
CONFIG = {
    "study": "fuzz",
    "seeds": [0, 1],
    "data_dir": "data",
    "variants": [
        {
            "name": "A",
            "family": "resnest",
            "layers": [1, 1],
            "radix": 2,
            "cardinality": 1,
            "width": 16,
            "stem": "deep",
            "stem_width": 16,
            "dropout": 0.1,
            "avd": True,
            "note": "a note",
        },
        {
            "name": "B",
            "family": "timm",
            "model": "resnet18",
            "stem": "small",
            "args": {"drop_path_rate": 0.1, "act_layer": "relu", "x": None, "y": True, "z": 3},
        },
        {"name": "C", "family": "resnest", "layers": [1], "radix": 0, "stem": "small"},
    ],
    "datasets": {
        "low": {"source": "digits", "classes": [0, 1, 2]},
        "photos": {
            "source": "imagefolder",
            "path": "photos.zip",
            "image_size": 64,
            "resize": 72,
            "checksum": "sha256:0f3a",
            "mean": [0.5, 0.5, 0.5],
            "std": [0.2, 0.2, 0.2],
            "label": "P",
        },
        "cifar": {"source": "cifar10", "urls": ["https://example.org/c.tar.gz"]},
    },
    "recipes": {
        "r": {
            "epochs": 3,
            "batch_size": 64,
            "learning_rate": 0.05,
            "momentum": 0.9,
            "warmup_epochs": 1,
            "label_smoothing": 0.1,
            "cutout": 8,
            "flip": True,
            "layout": "contiguous",
            "precision": "bf16",
        },
        "tune": {"epochs": 1, "learning_rate": 0.01, "init": "pretrained", "trainable": "head"},
    },
    "protocols": {
        "fast": {
            "batch_sizes": [1, 8],
            "modes": ["eager", "folded"],
            "min_samples": 5,
            "min_seconds": 0.5,
            "paper_batch_size": None,
        }
    },
    "train": [{"dataset": "low", "recipe": "r", "variants": ["A", "B"], "keep_weights": True}],
    "latency": [{"dataset": "low", "protocol": "fast", "rounds": 2}],
    "finetune": [
        {
            "dataset": "photos",
            "recipes": ["tune"],
            "weights": {"A": {"train": "low/r"}, "B": {"hub": "resnet18.a1_in1k"}},
        }
    ],
    "tables": {"ablation": {"variants": ["A", "C"], "paper": True}, "tradeoff": {"dataset": "low"}},
    "claims": [
        {
            "name": "one",
            "claim": "A beats B.",
            "source": "us",
            "dataset": "low",
            "recipe": "r",
            "test": {"kind": "greater", "metric": "accuracy", "a": ["A"], "b": ["B"]},
        },
        {
            "name": "two",
            "claim": "As fast.",
            "test": {
                "kind": "equivalent",
                "metric": "latency",
                "a": "A",
                "b": "B",
                "margin": 0.1,
                "batch_size": 8,
            },
        },
        {
            "name": "three",
            "claim": "Rises.",
            "test": {
                "kind": "monotone",
                "metric": "params",
                "factor": "radix",
                "direction": "rising",
            },
        },
        {
            "name": "four",
            "claim": "95 %.",
            "test": {
                "kind": "within",
                "metric": "accuracy",
                "a": "A",
                "value": 95.0,
                "margin": 1.0,
            },
        },
    ],
}
SHIPPED = [yaml.safe_load(path.read_text()) for path in sorted(ROOT.glob("config/**/config.yaml"))]
LISTS = sorted(ROOT.glob("config/**/variants.yaml")) + sorted(ROOT.glob("config/claims.yaml"))


def accepted(make):
    """The study, or None where it is refused in one printable line."""
    try:
        return make()
    except UserError as error:
        message = str(error)
        assert message.strip()
        assert "\n" not in message
        message.encode()
        return None


def check(study):
    """What must hold of every study that is accepted."""
    text = dump_study(study)
    text.encode()
    assert not_finite(study.as_dict()) == []
    assert study_from_config(json.loads(text), "again") == study
    assert len(study.digest) == 64
    jobs = study.jobs()
    assert jobs
    paths = study.paths(RESULTS)
    inside = [paths.root, *map(paths.record, jobs), *map(paths.progress, jobs)]
    inside += [paths.weights(job) for job in jobs]
    for path in inside:
        assert path.is_relative_to(RESULTS)
        assert ".." not in path.parts
        assert "\0" not in str(path)
    assert len({str(paths.record(job)).lower() for job in jobs}) == len(jobs)
    for job in jobs:
        json.dumps(study.job_spec(job), allow_nan=False)
    for name in study.datasets:
        assert study.prepared(name).parent == Path(study.data_dir) / "prepared"


def test_the_config_that_is_bent_is_valid():
    check(study_from_config(copy.deepcopy(CONFIG), "test"))


@fuzzed(2.0, mutation=replaced(CONFIG))
def test_a_changed_value_is_kept_as_it_was_given_or_refused(mutation):
    config, path, value = mutation
    study = accepted(lambda: study_from_config(config, "test"))
    if study is None:
        return
    check(study)
    kept = study.as_dict()
    for key in path:
        kept = kept[key]
    # Null stands for a default; what is left out of a mapping is filled in.
    assert value is None or same_meaning(value, kept), (path, value, kept)


@fuzzed(1.5, config=bent(CONFIG))
def test_a_bent_config_is_consistent_or_refused(config):
    study = accepted(lambda: study_from_config(config, "test"))
    if study is not None:
        check(study)


@fuzzed(0.5, text=damaged(yaml.safe_dump(CONFIG, sort_keys=False).encode()))
def test_a_damaged_yaml_file_is_consistent_or_refused(tmp_path_factory, text):
    file = tmp_path_factory.getbasetemp() / "config.yaml"
    file.write_bytes(text)
    study = accepted(lambda: load_study(file))
    if study is not None:
        check(study)


@fuzzed(1.0, text=damaged(json.dumps(CONFIG).encode()))
def test_a_damaged_study_json_is_consistent_or_refused(tmp_path_factory, text):
    file = tmp_path_factory.getbasetemp() / "study.json"
    file.write_bytes(text)
    study = accepted(lambda: load_study(file))
    if study is not None:
        check(study)


@pytest.mark.parametrize("sheet", LISTS, ids=lambda p: "-".join(p.relative_to(ROOT).parts))
def test_the_shipped_lists_are_there(sheet):
    assert list_paths(yaml.safe_load(sheet.read_text()))


@fuzzed(0.5, text=damaged((ROOT / "config/demo/variants.yaml").read_bytes()))
def test_a_damaged_list_of_variants_is_consistent_or_refused(tmp_path_factory, text):
    sheet = tmp_path_factory.getbasetemp() / "variants.yaml"
    sheet.write_bytes(text)
    config = {
        **SHIPPED[0],
        "study": "x",
        "variants": str(sheet),
        "claims": [],
        "datasets": {"digits": {"source": "digits"}},
        "recipes": {},
        "protocols": {},
        "latency": [],
        "finetune": [],
        "tables": {},
        "train": [{"dataset": "digits", "recipe": "smoke"}],
    }
    config.pop("adaptive", None)
    study = accepted(lambda: study_from_config(config, "test"))
    if study is not None:
        check(study)


@fuzzed(0.2, text=damaged((ROOT / "config/claims.yaml").read_bytes()[:1500]))
def test_a_damaged_list_of_claims_is_consistent_or_refused(tmp_path_factory, text):
    sheet = tmp_path_factory.getbasetemp() / "claims.yaml"
    sheet.write_bytes(text)
    study = accepted(lambda: study_from_config({**CONFIG, "claims": str(sheet)}, "test"))
    if study is not None:
        check(study)
