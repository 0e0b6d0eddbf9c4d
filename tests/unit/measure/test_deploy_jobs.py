"""The deploy job on the digits 0, 1 and 2: one tiny training, then each mode of its weights."""

import copy

import numpy as np
import pytest
import torch

from resnest_bench import records
from resnest_bench.data import prepare
from resnest_bench.deploy import problems
from resnest_bench.errors import UserError
from resnest_bench.measure import deploy_jobs
from resnest_bench.measure.deploy_jobs import run_deploy_job
from resnest_bench.paths import DataPaths, Job
from resnest_bench.records.predictions import read_predictions
from resnest_bench.results import StudyResults
from resnest_bench.specs import study_from_config
from resnest_bench.status.outcomes import judge
from resnest_bench.training.jobs import run_job

CPU = torch.device("cpu")
# Tiny, without a norm that a few steps don't fill.
NETWORK = {"family": "resnest", "layers": [1], "radix": 0, "width": 16, "stem": "deep"}
CONFIG = {
    "study": "deployed",
    "seeds": [0, 1, 2],
    "variants": [{"name": "A", **NETWORK, "stem_width": 16}],
    "datasets": {"digits": {"source": "digits", "classes": [0, 1, 2]}},
    "recipes": {
        "r": {
            "epochs": 1,
            "batch_size": 32,
            "learning_rate": 0.05,
            "layout": "contiguous",
            "mode": "eager",
        }
    },
    "train": [{"dataset": "digits", "recipe": "r"}],
    "deploy": [
        {
            "dataset": "digits",
            "recipe": "r",
            "modes": ["folded", "bf16", "onnxruntime", "onnxruntime-int8", "openvino"],
            "calibration_images": 40,
        }
    ],
    "claims": [
        {
            "name": "cheap",
            "claim": "int8 costs at most 50 points and is a tenth as fast at least",
            "test": {
                "kind": "saves",
                "a": {"variant": "A", "mode": "onnxruntime-int8"},
                "b": {"variant": "A", "mode": "eager"},
                "at_most": 50,
                "times": 0.1,
            },
        }
    ],
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A study whose training is done, and the folder of its results."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("deployed")
    config = copy.deepcopy(CONFIG) | {"data_dir": str(folder / "data")}
    study = study_from_config(config, "test")
    downloads = DataPaths(folder / "data").downloads
    prepare(study.dataset("digits"), "digits", study.prepared("digits"), downloads)
    run_job(study, "train", "digits", "r", "A", CPU, folder / "results")
    return study, folder / "results"


def deploy(trained, mode):
    study, results = trained
    return run_deploy_job(study, "digits", f"r+{mode}", "A", CPU, results)


@pytest.fixture(scope="module")
def eager(trained):
    return deploy(trained, "eager")


def test_eager_mode_answers_as_the_training_did(trained, eager):
    study, results = trained
    for record in eager:
        source = study.source_job(record.job.job)
        train = records.read(study.paths(results).record(source), source).train
        assert record.deploy.test_correct == train.test_correct
        assert record.deploy.weights.sha256 == train.final_weights_sha256
        assert record.deploy.output_error == 0
        assert record.deploy.agreement == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "error"), [("folded", 1e-5), ("bf16", 0.1), ("onnxruntime", 1e-5)]
)
def test_a_mode_with_little_rounding_gives_the_same_accuracy(trained, eager, mode, error):
    for record, base in zip(deploy(trained, mode), eager, strict=True):
        assert record.status == "ok", record.failure
        assert record.deploy.output_error < error
        assert record.deploy.num_calibration == 0
        difference = unpack(record) != unpack(base)
        assert difference.mean() <= (0.05 if mode == "bf16" else 0)


def unpack(record):
    return records.unpack_bits(record.deploy.test_correct, record.deploy.num_test)


@pytest.mark.slow
def test_int8_keeps_its_answers_for_each_image(trained, eager):
    study, results = trained
    done = deploy(trained, "onnxruntime-int8")
    for record, base in zip(done, eager, strict=True):
        assert record.status == "ok", record.failure
        assert record.deploy.num_calibration == 40
        assert record.deploy.output_error > 1e-5
        assert record.deploy.file_bytes < 2 * base.deploy.file_bytes
        path = study.paths(results).predictions(record.job.job)
        assert np.array_equal(read_predictions(path, record).correct_N, unpack(record))
    # Each seed draws its own calibration images.
    context = deploy_jobs.Context(study, study.paths(results), None, CPU)
    assert context.study.job_spec(done[0].job.job)["deploy"] == {
        "mode": "onnxruntime-int8",
        "calibration_images": 40,
    }


def test_a_second_run_keeps_what_is_current(trained, eager, monkeypatch):
    monkeypatch.setattr(deploy_jobs, "_evaluate", lambda *args: pytest.fail("evaluated again"))
    assert deploy(trained, "eager") == eager


def test_a_missing_package_is_a_failed_record_and_the_others_go_on(trained, monkeypatch):
    monkeypatch.setattr(problems, "find_spec", lambda name: None)
    study, results = trained
    for record in deploy(trained, "openvino"):
        assert record.status == "failed"
        assert "pip install" in record.failure.reason
        outcome = judge(study, study.paths(results), record.job.job, {})
        assert (outcome.status, outcome.to_do) == ("failed", False)


def test_a_mode_that_computes_something_else_is_refused(trained, eager, monkeypatch):
    wrong = {"folded": lambda network, image: lambda: network(image) + 1}
    monkeypatch.setattr(deploy_jobs, "MODES", wrong)
    study, results = trained
    context = deploy_jobs.Context(study, study.paths(results), open_data(study), CPU)
    record = deploy_jobs._run_seed(context, Job("deploy", "digits", "r+folded", "A", 0))
    assert "outputs differ from eager mode" in record.failure.reason


def open_data(study):
    from resnest_bench.data import open_prepared

    return open_prepared(study.prepared("digits"))


def test_a_job_that_the_study_does_not_have(trained):
    with pytest.raises(UserError, match="RECIPE\\+MODE"):
        deploy(trained, "executorch")


def test_the_table_pairs_each_mode_with_eager_mode(trained, eager):
    study, results = trained
    table = StudyResults(study, study.paths(results)).deployment.set_index("mode")
    row = table.loc["eager"]
    assert row["n"] == 3
    assert row["accuracy_percent"] == pytest.approx(
        100 * np.mean([unpack(r).mean() for r in eager])
    )
    assert row["latency_status"] == "this study measures no latency"
    assert (
        "pip install" in table.loc["openvino", "accuracy_status"] or table.loc["openvino", "n"] > 0
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recipe": "paper20"}, "no train block trains on digits/paper20"),
        ({"variants": ["B"]}, "no train block trains B"),
        ({"modes": ["eager", "eager"]}, "none twice"),
        ({"modes": ["tflite"]}, "tflite"),
        ({"calibration_images": 0}, "calibration_images"),
    ],
)
def test_a_block_that_can_not_be_run(change, message):
    config = copy.deepcopy(CONFIG)
    config["deploy"][0] |= change
    with pytest.raises(UserError, match=message):
        study_from_config(config, "test")


def test_the_training_keeps_its_weights(trained):
    study, _ = trained
    assert study.keeps_weights(Job("train", "digits", "r", "A", 0))
    without = study_from_config({**CONFIG, "deploy": [], "claims": []}, "test")
    assert not without.keeps_weights(Job("train", "digits", "r", "A", 0))
