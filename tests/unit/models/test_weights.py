"""Weights: files that are whole, damaged or foreign; a new head; writing at once or not at all."""

import argparse
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
from resnest_bench.models.weight_files import load_weights_file, read_weights_file
from resnest_bench.models.weights import (
    apply_weights,
    fetch_hub_weights,
    file_sha256,
    hub_license,
    load_hub_weights,
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
    with pytest.raises(UserError, match=f"{path.name} must be ") as seen:
        load_weights_file(path)
    assert "\n" not in str(seen.value)


@pytest.mark.parametrize(
    ("content", "came"),
    [
        ({}, "nothing"),
        ([torch.zeros(1)], "list"),
        ({"epoch": 3}, "'epoch' is a int"),
        ({0: torch.zeros(1)}, "0 is a Tensor"),
    ],
)
def test_files_without_named_tensors(tmp_path, content, came):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(UserError, match=f"must map names to tensors, but .*{came}"):
        load_weights_file(tmp_path / "w.pt")


@pytest.mark.parametrize("name", ["w.h5", "w", "w.tar", "w.npz"])
def test_other_extensions(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(UserError, match=r"end in \.safetensors"):
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
    for part in (
        "lacks layer1.0.conv1.weight",
        "layer9.weight",
        "bn1.bias (expected [64], got [3])",
    ):
        assert part in str(seen.value)
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


# DDP, torch.compile, Lightning, and stacks of them.
PREFIXES = [
    "module.",
    "_orig_mod.",
    "model.",
    "module._orig_mod.",
    "_orig_mod.module.",
    "model._orig_mod.module.",
]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_prefixes_are_removed_and_counted(prefix):
    source, target = small_net(), small_net(3)
    state = {prefix + name: tensor for name, tensor in source.state_dict().items()}
    match = apply_weights(target, state, "file w.pth")
    assert match.renamed == {prefix: len(state)}
    assert match.ignored == []
    came, wanted = target.state_dict(), source.state_dict()
    assert all(torch.equal(came[k], wanted[k]) for k in wanted if not k.startswith("fc."))


def test_data_parallel_around_a_part(model):
    renamed = {k.replace("layer1.", "layer1.module."): v for k, v in model.state_dict().items()}
    inside = sum(".module." in name for name in renamed)
    assert inside > 10
    assert apply_weights(model, renamed, "file w.pth").renamed == {"module.": inside}


def test_what_lies_beside_lightnings_network_is_ignored(model):
    state = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    state["criterion.weight"] = torch.zeros(3)
    assert apply_weights(model, state, "file w.ckpt").ignored == ["criterion.weight"]
    state["model.extra.weight"] = torch.zeros(3)
    with pytest.raises(UserError, match=r"model\.extra\.weight"):
        apply_weights(model, state, "file w.ckpt")


def test_two_networks_in_one_mapping(model):
    state = model.state_dict()
    both = {**state, **{f"module.{name}": tensor for name, tensor in state.items()}}
    with pytest.raises(UserError, match="two tensors for"):
        apply_weights(model, both, "file w.pth")


def test_names_that_fit_stay(model):
    match = apply_weights(model, model.state_dict(), "file w.pth")
    assert (match.renamed, match.ignored) == ({}, [])


def timm_checkpoint(model: nn.Module) -> dict:
    """The entries of timm's CheckpointSaver with an EMA, in its order."""
    state = model.state_dict()
    return {
        "epoch": 3,
        "arch": "net",
        "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": []},
        "version": 2,
        "args": argparse.Namespace(model="net", lr=0.1, mean=(0.5, 0.5), aa=None),
        "state_dict": state,
        "state_dict_ema": {k: torch.zeros_like(v) for k, v in state.items()},
        "metric": 71.2,
    }


@pytest.mark.parametrize("name", ["w.pth.tar", "w.pth", "w.ckpt"])
def test_timms_training_checkpoints(tmp_path, model, name):
    torch.save(timm_checkpoint(model), tmp_path / name)
    seen = read_weights_file(tmp_path / name)
    assert (seen.key, seen.other_keys) == ("state_dict", ("state_dict_ema",))
    assert_equal_states(seen.tensors, model.state_dict())
    average = read_weights_file(tmp_path / name, "state_dict_ema")
    assert (average.key, average.other_keys) == ("state_dict_ema", ("state_dict",))
    assert all((tensor == 0).all() for tensor in average.tensors.values())


def test_nothing_is_allowed_but_the_namespace_and_only_while_reading(tmp_path, model):
    torch.save(timm_checkpoint(model), tmp_path / "w.pth")
    before = set(torch.serialization.get_safe_globals())
    read_weights_file(tmp_path / "w.pth")
    assert set(torch.serialization.get_safe_globals()) == before
    assert argparse.Namespace not in before
    for other in (Touch(tmp_path / "victim"), tmp_path):
        args = argparse.Namespace(inner=other)
        torch.save({**timm_checkpoint(model), "args": args}, tmp_path / "w.pth")
        with pytest.raises(UserError, match="holds only tensors"):
            read_weights_file(tmp_path / "w.pth")
    assert not (tmp_path / "victim").exists()


@pytest.mark.parametrize("key", ["state_dict_emma", "optimizer", "epoch"])
def test_a_key_that_is_not_there_is_named_with_those_that_are(tmp_path, model, key):
    torch.save(timm_checkpoint(model), tmp_path / "w.pth")
    with pytest.raises(UserError, match=rf"{key}.*state_dict, state_dict_ema"):
        read_weights_file(tmp_path / "w.pth", key)


def test_a_key_of_a_file_without_entries(tmp_path, model):
    save_weights(tmp_path / "w.safetensors", model)
    with pytest.raises(UserError, match="remove `key:`"):
        read_weights_file(tmp_path / "w.safetensors", "state_dict")


def test_entries_of_other_names(tmp_path, model):
    state = model.state_dict()
    torch.save({"generator": state, "epoch": 1}, tmp_path / "w.pth")
    assert read_weights_file(tmp_path / "w.pth").key == "generator"
    torch.save({"student": state, "teacher": state}, tmp_path / "w.pth")
    with pytest.raises(UserError, match=r"student, teacher.*`key:`"):
        read_weights_file(tmp_path / "w.pth")
    assert read_weights_file(tmp_path / "w.pth", "teacher").key == "teacher"


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 102530333\n"


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".ckpt", ".pth.tar"])
@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (LFS, "git lfs pull"),
        (b"\n<!DOCTYPE html><html>", "web page"),
        (b"<html><body>Sign in", "web page"),
        (b"<?xml version='1.0'?><Error>", "web page"),
    ],
)
def test_what_is_downloaded_in_place_of_weights_is_named(tmp_path, suffix, content, what):
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    with pytest.raises(UserError, match=what) as seen:
        load_weights_file(path)
    assert "\n" not in str(seen.value)


def test_files_with_the_other_formats_ending(tmp_path, model):
    save_weights(tmp_path / "w.safetensors", model)
    (tmp_path / "w.safetensors").rename(tmp_path / "w.pth")
    with pytest.raises(UserError, match=r"rename it to \.safetensors"):
        load_weights_file(tmp_path / "w.pth")
    torch.save(model.state_dict(), tmp_path / "x.safetensors")
    with pytest.raises(UserError, match=r"rename it to \.pth"):
        load_weights_file(tmp_path / "x.safetensors")
