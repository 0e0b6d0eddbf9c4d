import json
import math
import sys
from dataclasses import asdict

import numpy as np
import pytest
import torch

from resnest_bench.data import open_prepared
from resnest_bench.specs import ResNestVariant

TINY = {
    "name": "tiny",
    "family": "resnest",
    "layers": [1],
    "radix": 0,
    "width": 8,
    "stem": "conv7",
    "dropout": 0.2,
}
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def train(benchmark_module):
    return benchmark_module("train")


@pytest.fixture(scope="module")
def contestants(benchmark_module):
    return benchmark_module("contestants")


@pytest.fixture(scope="module")
def setting(train, contestants, tmp_path_factory):
    """64 images of noise in a prepared folder, one step of an epoch."""
    folder = tmp_path_factory.mktemp("noise")
    train.random_images(folder, 64)
    return contestants.Setting(
        contestant="ours",
        variant=TINY,
        precision="fp32",
        device="cpu",
        num_threads=torch.get_num_threads(),
        num_workers=0,
        data=str(folder),
        num_images=64,
        num_epochs=2,
        batch_size=64,
    )


def turn(**seconds):
    """Each contestant's seconds for 100 images."""
    return {
        name.replace("_", "-"): {"seconds": value, "num_images": 100}
        for name, value in seconds.items()
    }


ROUNDS = [
    turn(ours=1.0, plain=2.0, timm=1.5, timm_compiled=1.2),
    turn(ours=2.0, plain=3.0, timm=2.5, timm_compiled=2.2),
    turn(ours=1.0, plain=4.0, timm=1.6, timm_compiled=1.3),
]


def test_a_ratio_compares_within_a_round(train):
    assert train.speeds(ROUNDS, "ours") == [100, 50, 100]
    assert train.ratios(ROUNDS, "plain") == pytest.approx([2, 1.5, 4])


def test_of_several_timm_the_faster_stands_for_it(train):
    assert train.rivals(ROUNDS) == {"plain": "plain", "timm": "timm-compiled"}
    slower = [{**one, "timm-compiled": one["plain"]} for one in ROUNDS]
    assert train.rivals(slower)["timm"] == "timm"
    assert train.rivals([turn(ours=1.0, plain=2.0)]) == {"plain": "plain"}


@pytest.mark.parametrize(
    ("device", "variant", "peer", "goal"),
    [
        ("cpu", "ResNet-18", "plain", 1.5),
        ("cpu", "ResNeSt-101", "timm", 1.2),
        ("cuda", "ResNet-14-0s1x64d", "plain", 10),
        ("cuda", "ResNeSt-14", "timm", 3),
        ("cuda", "ResNeSt-101", "plain", 5),
        ("cuda", "EfficientNet-b3", "timm", 1.5),
        ("cuda", "ResNet-18", "plain", None),
        ("cuda", "ResNeSt-140", "plain", None),
    ],
)
def test_goals(train, device, variant, peer, goal):
    assert train.find_goal(device, variant, peer) == goal


def test_rows_say_median_range_and_goal(train):
    ran = {name: {"execution": "contiguous, eager"} for name in ROUNDS[0]}
    done = train.Race("ResNet-14-0s1x64d", ran, {}, ROUNDS, 0.0, {})
    ours, plain, timm, compiled = train.make_rows(done, "bf16", "cpu")
    assert ours == [
        "ResNet-14-0s1x64d",
        "ours",
        "bf16",
        "contiguous, eager",
        "100",
        "50 to 100",
        "",
        "",
        "",
        "",
    ]
    assert plain[4:] == ["33", "25 to 50", "2.00", "1.50 to 4.00", "1.5", "yes"]
    # Of timm only the faster is held against the goal.
    assert timm[6:] == ["1.50", "1.25 to 1.60", "", ""]
    assert compiled[6:] == ["1.20", "1.10 to 1.30", "1.2", "yes"]
    _, plain, _, compiled = train.make_rows(done, "bf16", "cuda")
    assert (plain[2], plain[-2:], compiled[-2:]) == ("fp32", ["10", "no"], ["3", "no"])


def test_contestants_by_the_peers_names(train):
    assert train.list_contestants("plain,timm", "no") == ["ours", "plain", "timm"]
    assert train.list_contestants("timm", "both") == ["ours", "timm", "timm-compiled"]
    with pytest.raises(SystemExit, match="takes plain and timm, but got keras"):
        train.list_contestants("plain,keras", "no")


def test_only_plain_on_a_gpu_has_a_precision_of_its_own(train, setting):
    variant, names = ResNestVariant(**TINY), ["ours", "plain", "timm"]
    asked = train.replace(setting, precision="bf16")
    told = train.list_settings(variant, asked, names, "cuda")
    assert [one.precision for one in told] == ["bf16", "fp32", "bf16"]
    told = train.list_settings(variant, asked, names, "cpu")
    assert [one.precision for one in told] == ["bf16", "bf16", "bf16"]
    assert [one.contestant for one in told] == names
    # A setting travels as JSON.
    assert type(told[0])(**json.loads(json.dumps(asdict(told[0])))) == told[0]


class FakeProcess:
    """A contestant that takes a second an epoch, and a fifth of it in each turn of another."""

    log: list = []  # noqa: RUF012 - shared by all on purpose

    def __init__(self, setting):
        self.name, self.busy = setting.contestant, 0.0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.log.append((self.name, "end"))

    def answer(self):
        return {"num_params": 7, "execution": "contiguous, eager"}

    def train(self, number):
        self.log.append((self.name, number))
        return {"seconds": 1.0, "num_images": 10}

    def cpu_seconds(self):
        self.busy += 0.2
        return self.busy


@pytest.fixture
def faked(train, monkeypatch):
    monkeypatch.setattr(train, "Process", FakeProcess)
    monkeypatch.setattr(FakeProcess, "log", [])
    return train


def test_all_warm_up_then_take_turns(faked, setting):
    settings = [faked.replace(setting, contestant=name) for name in ("ours", "plain")]
    done = faked.race("tiny", settings, num_rounds=2)
    assert FakeProcess.log == [
        ("ours", 1),
        ("plain", 1),
        ("ours", 2),
        ("plain", 2),
        ("ours", 3),
        ("plain", 3),
        ("plain", "end"),
        ("ours", "end"),
    ]
    assert [list(one) for one in done.rounds] == [["ours", "plain"]] * 2
    assert done.idle_share == pytest.approx(0.2)
    assert done.ran["plain"] == {"num_params": 7, "execution": "contiguous, eager"}


def test_a_peer_that_cannot_start_is_left_out_and_ours_never(faked, setting, monkeypatch):
    def fail(self):
        raise faked.ContestantError(f"{self.name} ended with exit code 1")

    broken = type("Broken", (FakeProcess,), {"answer": fail})
    chosen = {"ours": FakeProcess, "plain": FakeProcess, "timm": broken}
    monkeypatch.setattr(faked, "Process", lambda one: chosen[one.contestant](one))
    settings = [faked.replace(setting, contestant=name) for name in chosen]
    done = faked.race("tiny", settings, num_rounds=1)
    assert done.left_out == {"timm": "timm ended with exit code 1"}
    assert list(done.rounds[0]) == ["ours", "plain"]
    chosen["ours"] = broken
    with pytest.raises(faked.ContestantError, match="ours ended"):
        faked.race("tiny", settings, num_rounds=1)


def test_random_images_are_prepared_data(train, setting):
    data = open_prepared(train.Path(setting.data))
    assert data.train.images.shape == (64, 32, 32, 3)
    assert data.meta.label == train.RANDOM_REMARK
    assert len(data.meta.classes) == 10


@pytest.mark.parametrize("name", ["ours", "plain", "timm"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_each_contestant_trains_all_images_in_process(train, contestants, setting, name, precision):
    told = train.replace(setting, contestant=name, precision=precision, batch_size=40)
    contestant = contestants.CONTESTANTS[name](told, CPU)
    before = [parameter.detach().clone() for parameter in contestant.model.parameters()]
    done = contestants.timed(contestant, 1, CPU)
    # The last, smaller batch too.
    assert (done["num_images"], done["num_steps"]) == (64, 2)
    assert math.isfinite(done["loss"])
    assert done["seconds"] > 0
    assert not any(map(torch.equal, before, contestant.model.parameters()))


def test_all_start_from_the_same_network(train, contestants, setting):
    states = [
        contestants.CONTESTANTS[name](
            train.replace(setting, contestant=name), CPU
        ).model.state_dict()
        for name in ("ours", "plain", "timm")
    ]
    for key, tensor in states[0].items():
        assert all(torch.equal(tensor, other[key]) for other in states[1:]), key


def test_the_peers_crop_and_mirror_as_ours(train, contestants, setting):
    loader = contestants.timm_loader(train.replace(setting, contestant="timm"), CPU)
    crop, flip, *_ = loader.dataset.transform.transforms
    assert (crop.size, crop.padding, flip.p) == ((32, 32), 4, 0.5)
    images_BCHW, labels_B = next(iter(loader))
    assert images_BCHW.shape == (64, 3, 32, 32)
    assert images_BCHW.dtype == torch.float32
    wanted_K = np.bincount(open_prepared(train.Path(setting.data)).train.labels)
    assert np.array_equal(np.bincount(labels_B.numpy()), wanted_K)


def test_fewer_images_are_drawn_from_all(train, contestants, setting):
    chosen = contestants.chosen_images(train.replace(setting, num_images=10))
    assert len(chosen) == len(set(chosen)) == 10
    assert chosen.max() > 10
    assert len(contestants.chosen_images(train.replace(setting, num_images=1000))) == 64


@pytest.mark.slow
def test_the_program_with_real_processes(train, monkeypatch, tmp_path, capsys):
    out = tmp_path / "train.json"
    command = [
        "benchmarks/train.py",
        "--device",
        "cpu",
        "--variants",
        "ResNet-18",
        "--rounds",
        "1",
        "--images",
        "64",
        "--out",
        str(out),
    ]
    monkeypatch.setattr(sys, "argv", command)
    train.main()
    printed = capsys.readouterr().out
    assert "- n: 1 rounds of one epoch of 64 images" in printed
    assert train.RANDOM_REMARK in printed
    (done,) = json.loads(out.read_text())["races"]
    assert list(done["rounds"][0]) == ["ours", "plain", "timm"]
    assert len({one["num_params"] for one in done["ran"].values()}) == 1
    assert done["ran"]["plain"]["execution"] == "contiguous, eager"
