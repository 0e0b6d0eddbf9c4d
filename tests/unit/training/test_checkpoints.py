import os

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from resnest_bench.errors import UserError
from resnest_bench.records.observations import EpochObservation
from resnest_bench.training.checkpoints import FORMAT, Checkpoint, Progress, TrainedState

EPOCH = EpochObservation(
    epoch=1,
    learning_rate=0.1,
    train_loss=1.25,
    train_accuracy=0.5,
    validation_accuracy=None,
    test_accuracy=0.25,
    test_loss=2.0,
    train_seconds=3.0,
    evaluation_seconds=1.0,
    images_per_second=10.0,
)


def make(seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))
    model = model.to(memory_format=torch.channels_last)
    return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def step(model, optimizer):
    generator = torch.Generator().manual_seed(5)
    optimizer.zero_grad()
    model(torch.randn(4, 3, 4, 4, generator=generator)).square().mean().backward()
    optimizer.step()


def same(first, second):
    a, b = first.state_dict(), second.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


def test_a_resumed_step_equals_an_uninterrupted_one(tmp_path):
    model, optimizer = make(0)
    step(model, optimizer)
    Checkpoint(tmp_path / "c").save(TrainedState(model, optimizer), Progress([EPOCH], 4.0, 0))
    resumed, resumed_optimizer = make(1)
    progress = Checkpoint(tmp_path / "c").load(TrainedState(resumed, resumed_optimizer))
    assert progress == Progress([EPOCH], 4.0, 0)
    assert same(model, resumed)
    step(model, optimizer)
    step(resumed, resumed_optimizer)
    assert same(model, resumed)


def test_without_momenta_the_next_step_differs(tmp_path):
    """The test above can fail: the momenta matter."""
    model, optimizer = make(0)
    step(model, optimizer)
    fresh, fresh_optimizer = make(1)
    fresh.load_state_dict(model.state_dict())
    step(model, optimizer)
    step(fresh, fresh_optimizer)
    assert not same(model, fresh)


def test_no_checkpoint_is_no_error(tmp_path):
    assert Checkpoint(tmp_path / "none").load(TrainedState(*make(0))) is None


def damaged(folder, kind):
    checkpoint = Checkpoint(folder)
    checkpoint.save(TrainedState(*make(0)), Progress([EPOCH]))
    content = checkpoint.state.read_bytes()
    if kind == "truncated":
        checkpoint.state.write_bytes(content[: len(content) // 2])
    elif kind == "not safetensors":
        checkpoint.state.write_bytes(b"PK\x03\x04 not what it says")
    elif kind == "foreign":
        save_file({"x": torch.zeros(1)}, checkpoint.state)
    else:
        wrong = {"model.0.weight": torch.zeros(1)}
        metadata = {
            "format": FORMAT,
            "key": checkpoint.key,
            "progress": Progress().as_json(),
            "optimizer": "{}",
        }
        save_file(wrong, checkpoint.state, metadata)
    return checkpoint


@pytest.mark.parametrize("kind", ["truncated", "not safetensors", "foreign", "wrong tensors"])
def test_a_damaged_checkpoint_starts_over(tmp_path, kind, caplog):
    checkpoint = damaged(tmp_path / "c", kind)
    model, optimizer = make(3)
    assert checkpoint.load(TrainedState(model, optimizer)) is None
    assert same(model, make(3)[0])
    assert "starting from epoch 1" in caplog.text
    assert not checkpoint.state.exists()


def test_a_failed_save_keeps_the_state_before(tmp_path, monkeypatch):
    checkpoint = Checkpoint(tmp_path / "c")
    model, optimizer = make(0)
    checkpoint.save(TrainedState(model, optimizer), Progress([EPOCH]))
    before = checkpoint.state.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    step(model, optimizer)
    with pytest.raises(UserError, match="the same command resumes from the checkpoint before"):
        checkpoint.save(TrainedState(model, optimizer), Progress([EPOCH, EPOCH]))
    assert checkpoint.state.read_bytes() == before
    assert [path.name for path in checkpoint.folder.iterdir()] == ["state.safetensors"]
