"""A step: sums by hand, the fast path against the plain one, and recording by plain calls."""

import copy

import pytest
import torch
from torch.nn import functional

from resnest_bench.errors import UserError
from resnest_bench.models import build_model
from resnest_bench.specs import RecipeSpec, ResNestVariant
from resnest_bench.training.execution import Execution
from resnest_bench.training.schedules import learning_rate
from resnest_bench.training.step import make_step, probe_step_maker
from resnest_bench.training.sums import EpochSums

CPU = torch.device("cpu")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
# A small learning rate: at a large one, rounding grows tenfold every few steps, whoever computes.
RECIPE = RecipeSpec(epochs=4, batch_size=32, learning_rate=0.002, dropout=0.2)
VARIANTS = {
    name: ResNestVariant(
        name=name,
        family="resnest",
        layers=[1, 1, 1, 1],
        radix=radix,
        width=16,
        stem="deep",
        stem_width=8,
    )
    for name, radix in (("A", 2), ("B", 0))
}


def build(name="A", seed=0):
    torch.manual_seed(seed)
    return build_model(VARIANTS[name], 3, dropout=RECIPE.dropout)


def digits(num=96):
    """Real images: digits of scikit-learn at 32x32 pixels, classes 0 to 2."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(n_class=3, return_X_y=True)
    images = torch.tensor(images[:num] / 16, dtype=torch.float32).view(-1, 1, 8, 8)
    images = functional.interpolate(images, size=32).expand(-1, 3, -1, -1).contiguous()
    return images, torch.tensor(labels[:num])


def run(step, num_steps, batch=32):
    """Losses of `num_steps` steps over the digits, with dropout seeded by the step."""
    images, labels = digits()
    losses = []
    step.model.train()
    for index in range(num_steps):
        chosen = torch.arange(batch * index, batch * (index + 1)) % len(labels)
        step.sums.reset()
        step(images[chosen], labels[chosen], learning_rate(index, 50, RECIPE), index)
        losses.append(step.sums.means()[0])
    return torch.tensor(losses)


def plain_losses(model, num_steps, batch=32):
    """The loop that anyone would write: contiguous, eager, torch's own SGD."""
    images, labels = digits()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9, weight_decay=1e-4)
    losses = []
    model.train()
    for index in range(num_steps):
        chosen = torch.arange(batch * index, batch * (index + 1)) % len(labels)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(index, 50, RECIPE)
        torch.manual_seed(index)
        loss = functional.cross_entropy(
            model(images[chosen].to(next(model.parameters()))), labels[chosen]
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return torch.tensor(losses)


@pytest.mark.slow
def test_the_fast_path_follows_the_plain_one_over_60_steps():
    """In fp32, whose rounding every step amplifies: the first two losses agree to 0.1 %.

    Later ones part no further than those of the plain loop do when its memory layout is all that
    changes (five times that, since both are one draw of a rounding), and by 0.1 nats at most, of a
    loss that falls from 1.2.
    """
    model = build()
    plain = plain_losses(copy.deepcopy(model), 60)
    other_layout = plain_losses(copy.deepcopy(model).to(memory_format=torch.channels_last), 60)
    fast = run(make_step(model, RECIPE, CPU, Execution("channels_last", "eager")), 60)
    assert plain[0] > 0.9
    assert plain[-10:].mean() < 0.05, "it learned"
    torch.testing.assert_close(fast[:2], plain[:2], rtol=1e-3, atol=1e-3)
    rounding = (other_layout - plain).abs().max()
    assert (fast - plain).abs().max() < min(5 * rounding + 1e-3, 0.1)


@pytest.mark.parametrize("name", ["A", "B"])
def test_in_double_precision_the_fast_path_is_the_plain_one(name):
    model = build(name).double()
    plain = plain_losses(copy.deepcopy(model), 10)
    step = make_step(model, RECIPE, CPU, Execution("channels_last", "eager"))
    images, labels = digits()
    step.model.train()
    for index in range(10):
        chosen = torch.arange(32 * index, 32 * (index + 1)) % len(labels)
        step.sums.reset()
        step(images[chosen].double(), labels[chosen], learning_rate(index, 50, RECIPE), index)
        # The step's own loss is fp32, as `logits.float()` says, and so is its gradient.
        assert step.sums.means()[0] == pytest.approx(float(plain[index]), abs=1e-5)


def test_sums_by_hand():
    sums = EpochSums.on(CPU)
    logits = torch.tensor([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    sums.add(torch.tensor(0.5), logits, torch.tensor([0, 1, 1]))
    sums.num_images += 3
    sums.add(torch.tensor(2.0), logits[:1], torch.tensor([[0.3, 0.7]]))
    sums.num_images += 1
    assert sums.means() == ((3 * 0.5 + 2.0) / 4, 2 / 4)
    assert int(sums.bad_step) == 0
    sums.reset()
    assert [int(t) for t in sums.tensors] == [0, 0, 0, 0]


def test_the_first_bad_step_is_remembered():
    sums, logits, label = EpochSums.on(CPU), torch.zeros(1, 2), torch.tensor([0])
    for loss in (1.0, 2.0, float("nan"), 1.0, float("inf")):
        sums.add(torch.tensor(loss), logits, label)
    assert int(sums.bad_step) == 3


def recorded_step(model, capture):
    step = make_step(model, RECIPE, CPU, Execution("contiguous", "cudagraph"))
    step.capture = capture
    return step


def warmed_up(body):
    for _ in range(3):
        body()
    return body


def test_recorded_steps_are_eager_steps(monkeypatch):
    """The warm-up before a recording leaves no trace, and every later step replays."""
    model = build()
    eager = make_step(copy.deepcopy(model), RECIPE, CPU, Execution("contiguous", "eager"))
    recorded = recorded_step(model, warmed_up)
    assert torch.equal(run(eager, 12), run(recorded, 12))
    assert torch.equal(run(eager, 3, batch=20), run(recorded, 3, batch=20))
    for a, b in zip(
        eager.model.state_dict().values(), recorded.model.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b)
    assert len(recorded.recorded) == 2
    for parameter in eager.model.parameters():
        theirs = eager.optimizer.state[parameter]["momentum_buffer"]
        assert theirs.any()


def test_the_learning_rate_of_a_recording_is_read_not_recorded():
    recorded = recorded_step(build(), warmed_up)
    run(recorded, 2)
    rate = recorded.optimizer.param_groups[0]["lr"]
    assert isinstance(rate, torch.Tensor)
    assert float(rate) == pytest.approx(learning_rate(1, 50, RECIPE))


def test_where_recording_fails_steps_are_eager_and_say_so(caplog):
    def fails(body):
        body()
        raise RuntimeError("operation not permitted when stream is capturing")

    model = build()
    eager = make_step(copy.deepcopy(model), RECIPE, CPU, Execution("contiguous", "eager"))
    failing = recorded_step(model, fails)
    torch.testing.assert_close(run(failing, 3), run(eager, 3), rtol=1e-5, atol=1e-5)
    assert failing.execution == Execution("contiguous", "eager")
    assert "not permitted when stream is capturing" in caplog.text


def test_a_probe_leaves_the_model_alone():
    model = build()
    before = copy.deepcopy(model.state_dict())
    state = {type(m) for m in model.modules()}
    make = probe_step_maker(model, RECIPE, CPU, 8, 32, 3)
    for layout in ("contiguous", "channels_last"):
        make(Execution(layout, "eager"))()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert {type(m) for m in model.modules()} == state
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.slow
def test_a_compiled_step_follows_the_eager_one():
    # One stage: what is compiled is one kernel for each kind of layer, however many there are.
    torch.manual_seed(0)
    model = build_model(VARIANTS["B"].model_copy(update={"layers": [1]}), 3, dropout=0.2)
    compiled = make_step(copy.deepcopy(model), RECIPE, CPU, Execution("channels_last", "compiled"))
    eager = make_step(model, RECIPE, CPU, Execution("channels_last", "eager"))
    # Without dropout, whose masks a compiler draws in its own way.
    for step in (compiled, eager):
        step.model.drop_rate = 0.0
    torch.testing.assert_close(run(compiled, 2), run(eager, 2), rtol=1e-3, atol=1e-3)
    # Another size of a batch is not compiled anew.
    assert len(run(compiled, 1, batch=20)) == 1


@needs_gpu
@pytest.mark.parametrize("name", ["A", "B"])
def test_on_a_gpu_a_recorded_step_follows_the_eager_one(name):
    device = torch.device("cuda", torch.cuda.current_device())
    model = build(name)
    images, labels = (x.to(device) for x in digits(96))
    losses = {}
    for mode in ("eager", "cudagraph"):
        step = make_step(copy.deepcopy(model), RECIPE, device, Execution("channels_last", mode))
        step.model.train()
        seen = losses.setdefault(mode, [])
        for index in range(30):
            chosen = torch.arange(32 * index, 32 * (index + 1), device=device) % len(labels)
            step.sums.reset()
            step(images[chosen], labels[chosen], learning_rate(index, 50, RECIPE), index)
            seen.append(step.sums.means()[0])
        assert step.execution.mode == mode
    # Dropout's masks may differ between the two: the course is compared, not each loss.
    assert losses["cudagraph"][0] == pytest.approx(losses["eager"][0], rel=0.3)
    assert sum(losses["cudagraph"][-5:]) < 0.3 * sum(losses["cudagraph"][:5])


def test_batch_norm_on_a_single_value_says_what_to_do():
    step = make_step(build(), RECIPE, CPU, Execution("contiguous", "eager"))
    with pytest.raises(UserError, match="batch_size"):
        step(torch.randn(1, 3, 32, 32), torch.tensor([0]), 0.1, 0)
