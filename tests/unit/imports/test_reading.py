"""From the text of a file to runs: every kind of table that people and trackers write."""

import pytest

from resnest_bench.errors import UserError
from resnest_bench.imports.columns import Choices
from resnest_bench.imports.reading import read_files
from resnest_bench.paths import Job


@pytest.fixture
def read(tmp_path):
    """Read files: name to text."""

    def run(files, **choices):
        if isinstance(files, str):
            files = {"r.csv": files}
        paths = []
        for name, text in files.items():
            paths.append(tmp_path / name)
            paths[-1].write_text(text)
        return read_files(paths, Choices(**choices))

    return run


def accuracies(found):
    """{(variant, seed): accuracy in %}."""
    return {
        (job.variant, job.seed): pytest.approx(100 * results.values["test_accuracy"])
        for job, results in found.results.items()
        if job.kind == "train"
    }


THREE = {("A", 0): 93.1, ("A", 1): 93.4, ("B", 0): 94.2}


@pytest.mark.parametrize(
    "text",
    [
        "model,seed,test_acc\nA,0,93.1\nA,1,93.4\nB,0,94.2\n",
        "Network,Run,Top-1\nA,0,93.1%\nA,1,93.4%\nB,0,94.2%\n",
        "method,trial,Accuracy\nA,0,0.931\nA,1,0.934\nB,0,0.942\n",
        "arch,acc@1,random_seed\nA,93.1,0.0\nA,93.4,1.0\nB,94.2,0.0\n",
        "model,seed,metric,value\nA,0,acc,93.1\nA,1,acc,93.4\nB,0,acc,94.2\n",
        "model,test error\nA,6.9\nA,6.6\nB,5.8\n",
        "variant,acc\nA,93.1\nA,93.4\nB,94.2\n",
        "Name,State,summary.test_acc\nA-seed-0,finished,93.1\nA-seed-1,finished,93.4\nB-seed-0,finished,94.2\n"
        "C-seed-0,crashed,\n",
        "run_id,status,params.model,params.seed,metrics.test_acc\n"
        "f0,FINISHED,A,0,93.1\nf1,FINISHED,A,1,93.4\nf2,FINISHED,B,0,94.2\nf3,FAILED,B,1,\n",
        '"Step","A-seed0 - test_acc","A-seed0 - test_acc__MIN","A-seed1 - test_acc","B-seed0 - test_acc"\n'
        "1,50.0,50.0,51.0,52.0\n2,93.1,93.1,93.4,\n3,,,,94.2\n",
    ],
    ids=[
        "wide",
        "aliases",
        "fractions",
        "floats as seeds",
        "long",
        "errors",
        "no seeds",
        "W&B runs",
        "MLflow",
        "W&B history",
    ],
)
def test_the_same_runs_in_many_tables(read, text):
    assert accuracies(read(text)) == THREE


def test_tensorboard_says_run_and_metric_by_the_name_of_the_file(read):
    found = read(
        {
            f"run-{run}-tag-test_accuracy.csv": f"Wall time,Step,Value\n1.0,1,0.5\n2.0,2,{value}\n"
            for run, value in (("A_seed0", 0.931), ("A_seed1", 0.934), ("B_seed0", 0.942))
        }
    )
    assert accuracies(found) == THREE
    with pytest.raises(UserError, match="rename it"):
        read({"x.csv": "Wall time,Step,Value\n1.0,1,0.5\n"})


def test_a_number_at_the_end_of_a_name_can_be_part_of_it(read):
    found = read("name,acc\nResNet-50,0.9\nResNet-101,0.8\n")
    assert {job.variant for job in found.results} == {"ResNet-50", "ResNet-101"}
    found = read("name,acc\nnet-0,0.9\nnet-1,0.8\n")
    assert {(job.variant, job.seed) for job in found.results} == {("net", 0), ("net", 1)}


def test_timms_results(read):
    found = read(
        {
            "results-imagenet.csv": "model,img_size,top1,top1_err,top5,top5_err,param_count,crop_pct\n"
            "resnet50.a1_in1k,224,80.382,19.618,94.598,5.402,25.56,0.95\n"
            'eva,336,91.078,8.922,98.604,1.396,"1,013.01",1.0\n'
        },
        dataset="ImageNet",
        num_test=50_000,
    )
    results = found.results[Job("train", "ImageNet", "imported", "resnet50.a1_in1k", 0)]
    assert results.values == pytest.approx(
        {"test_accuracy": 0.80382, "top5_accuracy": 0.94598, "num_params": 25_560_000}
    )
    assert results.num_test == 50_000
    eva = found.results[Job("train", "ImageNet", "imported", "eva", 0)]
    assert eva.values["num_params"] == 1_013_010_000


BENCHMARK = (
    "model,infer_img_size,infer_samples_per_sec,infer_step_time,infer_batch_size,param_count,infer_gmacs,"
    "infer_macts\nresnet50,224,3729.86,274.531,1024,25.56,4.11,11.11\nresnet50,288,2211.87,462.946,1024,25.56,"
    "6.8,18.37\n"
)


def test_timms_benchmarks(read):
    name = "benchmark-infer-amp-nhwc-pt240-cu124-rtx3090.csv"
    found = read({name: BENCHMARK}, where={"img_size": "224"})
    ((job, results),) = found.results.items()
    assert (job.kind, job.variant) == ("latency", "resnet50")
    (cell,) = results.cells
    assert (cell.batch_size, cell.precision, cell.layout, cell.mode) == (
        1024,
        "amp",
        "channels_last",
        "eager",
    )
    assert cell.statistics_ms == {"mean": 274.531}
    assert results.device == "rtx3090"
    assert results.values["num_macs"] == 4_110_000_000
    # Both sizes are networks of their own.
    assert {job.variant for job in read({name: BENCHMARK}).results} == {
        "resnet50-224",
        "resnet50-288",
    }


def test_rows_of_one_round_are_samples(read):
    found = read("model,round,batch_size,latency_ms\nA,0,1,4.1\nA,0,1,4.2\nA,1,1,4.0\nA,0,8,9\n")
    by_round = {job.seed: results.cells for job, results in found.results.items()}
    assert [(cell.batch_size, cell.samples_ms) for cell in by_round[0]] == [
        (1, [4.1, 4.2]),
        (8, [9.0]),
    ]
    assert by_round[1][0].samples_ms == [4.0]


def test_a_list_of_samples_in_one_cell(read):
    found = read('model,batch_size,samples_ms\nA,1,"[4.1, 4.2]"\n')
    (results,) = found.results.values()
    assert results.cells[0].samples_ms == [4.1, 4.2]


def test_accuracy_and_latency_in_one_row_are_two_records(read):
    found = read("model,seed,acc,p50_ms\nA,0,0.9,4.1\nA,1,0.8,4.2\n", batch_size=8, dataset="D")
    assert {(job.kind, job.dataset, job.seed) for job in found.results} == {
        ("train", "D", 0),
        ("latency", "D", 0),
        ("train", "D", 1),
        ("latency", "D", 1),
    }


def test_several_files_say_more_of_the_same_runs(read):
    found = read(
        {
            "a.csv": "model,seed,acc\nA,0,0.9\nA,1,0.8\n",
            "b.csv": "model,seed,macro_f1\nA,0,0.7\nA,1,0.6\n",
        }
    )
    values = [results.values for results in found.results.values()]
    assert values == [
        {"test_accuracy": 0.9, "macro_f1": 0.7},
        {"test_accuracy": 0.8, "macro_f1": 0.6},
    ]
    assert [source.file for source in next(iter(found.results.values())).sources] == [
        "a.csv",
        "b.csv",
    ]


def test_runs_that_are_no_numbers_are_numbered(read):
    found = read("model,run,acc\nA,f3a,0.9\nA,9b1,0.8\n")
    assert {job.seed: results.run for job, results in found.results.items()} == {0: "f3a", 1: "9b1"}


def test_names_become_folders_and_are_said(read):
    found = read("model,dataset,acc\nResNet 50 (ours),CIFAR-10 / small,0.9\n")
    ((job, _),) = found.results.items()
    assert (job.variant, job.dataset) == ("ResNet-50-ours", "CIFAR-10-small")
    assert found.labels["CIFAR-10-small"] == "CIFAR-10 / small"
    assert any("ResNet-50-ours" in note for note in found.notes)


def test_words_of_other_things_are_no_times(read):
    found = read("model,seed,acc,mean,time,samples,task,schedule\nA,0,0.9,0.8,3600,512,x,cosine\n")
    ((job, results),) = found.results.items()
    assert (job.kind, job.recipe) == ("train", "imported")
    assert results.values == {"test_accuracy": 0.9}
    assert any("mean, time, samples, task, schedule" in note for note in found.notes)


def test_some_networks_under_other_names(read):
    found = read("model,acc\nA,0.9\nB,0.8\nC,0.7\n", only=("A", "B"), rename={"A": "ours"})
    assert {job.variant for job in found.results} == {"ours", "B"}


def test_a_metric_of_another_name(read):
    text = "model,acc_clean,acc_noisy\nA,0.9,0.5\n"
    with pytest.raises(UserError, match="known"):
        read(text)
    found = read(text, columns={"test_accuracy": "acc_noisy"})
    assert next(iter(found.results.values())).values == {"test_accuracy": 0.5}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model,seed,acc\nA,0,0.9\nA,0,0.8\n", "line 3.*one row for each seed"),
        ("model,seed,acc\nA,0,0.9\nA,,0.8\n", "must have a seed"),
        ("model,seed,metric,value\nA,0,acc,0.9\nA,0,acc,0.8\n", "comes twice"),
        ("seed,acc\n0,0.9\n", "--variant COLUMN"),
        ("model,seed\nA,0\n", "must hold a metric"),
        ("model,acc\n,0.9\n", "name its network"),
        ("model,acc\nA,\n", "must have a value"),
        ("model,acc,top1\nA,0.9,0.9\n", "could both be"),
        ("model,acc\nA,0.9\na,0.8\n", "differ in more than case"),
        ("model,acc\nA b,0.9\nA-b,0.8\n", "differ in more than case"),
        ("model,acc\n///,0.9\n", "rename it"),
        ("model,latency_ms\nA,4\n", "batch size"),
        ("model,batch_size,latency\nA,1,4\n", "--unit latency=ms"),
        ("model,batch_size,p50_ms\nA,1,4\nA,1,5\n", "one latency for each round"),
        ("model,batch_size,p99_ms\nA,1,4\n", "median or a mean"),
        ("model,batch_size,p50_ms\nA,x,4\n", "whole number"),
        ("model,acc\nA,80.1 ± 0.3\n", "one value per seed"),
    ],
)
def test_what_can_not_be_understood_says_what_to_do(read, text, words):
    with pytest.raises(UserError, match=words):
        read(text)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"columns": {"variant": "modle"}}, "did you mean 'model'"),
        ({"where": {"size": "1"}}, "must have the column"),
        ({"where": {"seed": "7"}}, "leaves none"),
        ({"only": ("Z",)}, "must name networks"),
        ({"rename": {"Z": "Y"}}, "must name networks"),
    ],
)
def test_what_the_user_names_must_be_there(read, choices, words):
    with pytest.raises(UserError, match=words):
        read("model,seed,acc\nA,0,0.9\n", **choices)
