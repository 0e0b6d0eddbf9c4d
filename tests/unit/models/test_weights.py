"""Weights: files that are whole, damaged or foreign; a new head; writing at once or not at all."""

import hashlib
import os
import pickle

import pytest
import timm
import torch
from safetensors.torch import load_file
from torch import nn

from resnest_bench.errors import UserError
from resnest_bench.models import build_model
from resnest_bench.models.weights import (
    apply_weights,
    fetch_hub_weights,
    file_sha256,
    hub_license,
    load_hub_weights,
    load_weights_file,
    save_weights,
)
from resnest_bench.specs import ResNestVariant


def small_net(num_classes: int = 10, **options) -> nn.Module:
    spec = {"layers": [1], "radix": 2, "stem": "deep", **options}
    return build_model(ResNestVariant(name="net", family="resnest", **spec), num_classes)


@pytest.fixture
def model():
    return small_net()


def assert_equal_states(seen, expected):
    assert set(seen) == set(expected)
    assert all(torch.equal(seen[name], expected[name]) for name in expected)


def test_what_is_saved_is_loaded(tmp_path, model):
    path = tmp_path / "new" / "folder" / "seed-0.safetensors"
    sha256 = save_weights(path, model.to(memory_format=torch.channels_last))
    assert_equal_states(load_weights_file(path), model.state_dict())
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest() == file_sha256(path)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert all(tensor.is_contiguous() for tensor in load_file(path).values())


def test_tied_tensors_are_saved(tmp_path):
    tied = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    tied[1].weight = tied[0].weight
    save_weights(tmp_path / "w.safetensors", tied)
    assert_equal_states(load_weights_file(tmp_path / "w.safetensors"), tied.state_dict())


def test_a_saved_file_is_as_readable_as_any_other(tmp_path, model):
    save_weights(tmp_path / "w.safetensors", model)
    (tmp_path / "other").touch()
    modes = [os.stat(tmp_path / name).st_mode for name in ("w.safetensors", "other")]
    assert modes[0] == modes[1]


def test_a_failed_write_leaves_the_old_file(tmp_path, model, monkeypatch):
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"old")

    def full_disk(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(UserError, match=r"No space left on device\. Free space"):
        save_weights(path, model)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_folder_that_cannot_be(tmp_path, model):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        save_weights(tmp_path / "file" / "w.safetensors", model)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin"])
@pytest.mark.parametrize("key", [None, "state_dict", "model"])
def test_pickled_weights(tmp_path, model, suffix, key):
    path = tmp_path / f"w{suffix}"
    state = model.state_dict()
    torch.save(state if key is None else {key: state, "epoch": 3}, path)
    assert_equal_states(load_weights_file(path), state)


class Touch:
    """A pickle that would create a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("writer", ["torch", "torch legacy", "pickle"])
def test_code_in_a_file_is_not_run(tmp_path, writer):
    path, victim = tmp_path / "w.pth", tmp_path / "victim"
    if writer == "pickle":
        path.write_bytes(pickle.dumps({"weight": Touch(victim)}))
    else:
        zipped = writer == "torch"
        torch.save({"weight": Touch(victim)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match="holds only tensors"):
        load_weights_file(path)
    assert not victim.exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.999])
def test_truncated_files(tmp_path, model, suffix, share):
    path = tmp_path / f"w{suffix}"
    if suffix == ".pth":
        torch.save(model.state_dict(), path)
    else:
        save_weights(path, model)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match=f"{path.name} must be a whole file") as seen:
        load_weights_file(path)
    assert "\n" not in str(seen.value)


@pytest.mark.parametrize(
    ("content", "came"),
    [({}, "nothing"), ([torch.zeros(1)], "list"), ({"epoch": 3}, "'epoch' is a int"),
     ({0: torch.zeros(1)}, "0 is a Tensor")],
)  # fmt: skip
def test_files_without_named_tensors(tmp_path, content, came):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(UserError, match=f"must map names to tensors, but .*{came}"):
        load_weights_file(tmp_path / "w.pt")


@pytest.mark.parametrize("name", ["w.ckpt", "w", "w.pth.tar", "w.npz"])
def test_other_extensions(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(UserError, match=r"ends in \.safetensors"):
        load_weights_file(tmp_path / name)


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match="does not: check the path"):
        load_weights_file(tmp_path / "w.pth")
    with pytest.raises(UserError, match="cannot read"):
        file_sha256(tmp_path / "w.pth")


def test_everything_but_the_head_is_loaded():
    source, target = small_net(10), small_net(10)
    head = {k: v.clone() for k, v in target.state_dict().items() if k.startswith("fc.")}
    source.bn1.running_mean.fill_(0.5)
    apply_weights(target, source.state_dict(), "file w.pth")
    expected = {**source.state_dict(), **head}
    assert_equal_states(target.state_dict(), expected)


def test_another_number_of_classes_and_no_head_at_all_are_fine(model):
    state = small_net(1000).state_dict()
    apply_weights(model, state, "hub x")
    apply_weights(model, {k: v for k, v in state.items() if k[:3] != "fc."}, "hub x")


def test_old_files_lack_the_counter_of_batches(model):
    state = {k: v for k, v in model.state_dict().items() if "num_batches" not in k}
    apply_weights(model, state, "file w.pth")


def test_weights_that_do_not_fit_are_named_and_change_nothing(model):
    before = {k: v.clone() for k, v in model.state_dict().items()}
    state = {k: v + 1 for k, v in model.state_dict().items()}
    del state["layer1.0.conv1.weight"]
    state["layer9.weight"] = torch.zeros(1)
    state["bn1.bias"] = torch.zeros(3)
    with pytest.raises(UserError) as seen:
        apply_weights(model, state, "file w.pth")
    assert str(seen.value) == (
        "weights must fit the network, but file w.pth lacks layer1.0.conv1.weight; has no place "
        "for layer9.weight; has other shapes in bn1.bias (expected [64], came [3]): take weights "
        "of the same network and stem"
    )
    assert_equal_states(model.state_dict(), before)


def test_a_long_list_is_counted(model):
    # 30 tensors of the backbone are no counters: 5 are named.
    backbone = [k for k in model.state_dict() if k[:3] != "fc." and "num_batches" not in k]
    with pytest.raises(UserError, match=rf"lacks conv1\.0\.weight.* and {len(backbone) - 5} more"):
        apply_weights(model, {}, "file w.pth")


def test_another_stem_does_not_fit(model):
    with pytest.raises(UserError, match="same network and stem"):
        apply_weights(model, small_net(stem="conv7").state_dict(), "file w.pth")


@pytest.mark.parametrize("name", ["no_such_net", "resnest50d.no_such_tag", "a/b", "resnet10t.x y"])
def test_unknown_hub_names(name):
    with pytest.raises(UserError, match=r"but '.*' failed .*give a local file"):
        load_hub_weights(name)


def test_a_failed_download_is_one_line(monkeypatch):
    def no_network(name, pretrained):
        assert pretrained
        raise ConnectionError("cannot reach the hub\nwith a long story")

    monkeypatch.setattr(timm, "create_model", no_network)
    with pytest.raises(UserError, match=r"cannot reach the hub.*local file") as seen:
        load_hub_weights("resnet18.a1_in1k")
    assert "\n" not in str(seen.value)


def test_hub_weights_are_the_pretrained_state(monkeypatch):
    pretrained = small_net(1000)
    monkeypatch.setattr(timm, "create_model", lambda name, **options: pretrained)
    assert_equal_states(load_hub_weights("resnest50d.in1k"), pretrained.state_dict())


def test_hub_weights_are_fetched_into_a_file(tmp_path, monkeypatch):
    pretrained, path = small_net(1000), tmp_path / "data/weights/w.safetensors"
    monkeypatch.setattr(timm, "create_model", lambda name, **options: pretrained)
    assert fetch_hub_weights("resnest50d.in1k", path) == file_sha256(path)
    assert_equal_states(load_weights_file(path), pretrained.state_dict())


def test_a_failed_download_leaves_no_file(tmp_path, monkeypatch):
    def no_network(name, pretrained):
        raise ConnectionError("cannot reach the hub")

    monkeypatch.setattr(timm, "create_model", no_network)
    with pytest.raises(UserError, match="cannot reach the hub"):
        fetch_hub_weights("resnest50d.in1k", tmp_path / "w.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_licences():
    # timm's model page of resnest50d.in1k says apache-2.0.
    assert hub_license("resnest50d.in1k") == "apache-2.0"
    assert hub_license("resnest50d.no_such_tag") is None
    assert hub_license("no_such_net") is None
