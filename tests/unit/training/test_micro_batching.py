"""A batch in pieces: gradients add up to the batch's, a failed step leaves no trace, jobs go on."""

import dataclasses
import logging

import pytest
import torch
from torch import nn

from resnest_bench.errors import UserError
from resnest_bench.models import build_model
from resnest_bench.paths import Job
from resnest_bench.records import read
from resnest_bench.records.observations import ExecutionObservation, ShortageObservation
from resnest_bench.specs import RecipeSpec, ResNestVariant
from resnest_bench.training import jobs as jobs_module
from resnest_bench.training import loop
from resnest_bench.training.execution import Execution, choose, keep
from resnest_bench.training.jobs import open_checkpoint, run_job
from resnest_bench.training.micro_batching import MIN_MICRO_BATCH, halve_micro_batch, split_batch
from resnest_bench.training.step import TrainStep, probe_step_maker
from support.shortage import MESSAGE, Shortage

CPU = torch.device("cpu")
EAGER = Execution("contiguous", "eager")
RECIPE = RecipeSpec(epochs=1, batch_size=64, learning_rate=0.1, dropout=0.0)
JOB = Job("train", "low", "r", "A", 0)


def norm_free():
    """A convolution, an attention over the map and a classifier: nothing looks at other images."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.GroupNorm(2, 8), nn.SiLU(), nn.Flatten(), nn.Linear(72, 3)
    ).double()


def with_norm(dropout=0.2):
    torch.manual_seed(0)
    variant = ResNestVariant(
        name="A", family="resnest", layers=[1], radix=2, width=16, stem="deep", stem_width=8
    )
    return build_model(variant, 3, dropout=dropout)


def batch(num=64, size=8, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(num, 3, size, size, generator=generator, dtype=dtype)
    return images, torch.randint(3, (num,), generator=generator)


def build_step(model, limit=None, recipe=RECIPE, execution=EAGER, **options):
    """A step of `model` with torch's own SGD, and its shortage."""
    optimizer = torch.optim.SGD(
        [{"params": list(model.parameters()), "factor": 1.0}],
        lr=0.1,
        momentum=0.9,
        weight_decay=1e-3,
        nesterov=True,
    )
    shortage = Shortage(limit, model) if limit else None
    model.train()
    return TrainStep(model, optimizer, recipe, CPU, execution, **options), shortage


def state(step):
    """All that a step may change, but the epoch's count of images."""
    momenta = [s["momentum_buffer"] for s in step.optimizer.state.values()]
    return [t.clone() for t in (*step.model.state_dict().values(), *momenta, *step.sums.tensors)]


@pytest.mark.parametrize(
    ("num", "at_once", "sizes"),
    [
        (64, None, [64]),
        (64, 64, [64]),
        (64, 32, [32, 32]),
        (65, 32, [22, 22, 21]),  # the odd last batch that one image has joined
        (9, 8, [5, 4]),
        (50, 64, [50]),
    ],
)
def test_pieces_are_equal_and_few(num, at_once, sizes):
    images, labels = torch.arange(num), torch.arange(num)
    found = list(split_batch(images, labels, at_once))
    assert [len(part) for part, _ in found] == sizes
    assert torch.equal(torch.cat([part for part, _ in found]), images)
    assert all(torch.equal(part, target) for part, target in found)


def test_halving_ends_at_the_stated_minimum():
    assert [halve_micro_batch(n, MemoryError()) for n in (256, 17, 16)] == [128, 8, 8]
    with pytest.raises(UserError, match=r"a step of 15 images does not fit into memory \(CUDA out"):
        halve_micro_batch(2 * MIN_MICRO_BATCH - 1, torch.OutOfMemoryError(MESSAGE))


@pytest.mark.parametrize("targets", ["labels", "mixed"])
@pytest.mark.parametrize("num", [64, 50])
def test_gradients_of_pieces_add_up_to_the_batchs(num, targets):
    """In float64 up to the loss, whose own gradient is rounded to float32 once a piece."""
    images, target = batch(num)
    if targets == "mixed":
        target = torch.softmax(torch.randn(num, 3, generator=torch.Generator().manual_seed(2)), 1)
    recipe = RECIPE.model_copy(update={"label_smoothing": 0.1})
    model = norm_free()
    loss = nn.functional.cross_entropy(model(images).float(), target, label_smoothing=0.1)
    expected = torch.autograd.grad(loss, list(model.parameters()))
    step, shortage = build_step(model, limit=20, recipe=recipe)
    step(images, target, 0.1, 0)
    assert shortage.sizes[-4:] == [16] * 4 if num == 64 else max(shortage.sizes[-3:]) <= 20
    for parameter, wanted in zip(model.parameters(), expected, strict=True):
        scale = float(wanted.abs().max())
        torch.testing.assert_close(parameter.grad, wanted, rtol=1e-6, atol=1e-6 * scale)
    assert step.sums.means()[0] == pytest.approx(loss.item(), rel=1e-6)


def test_many_steps_in_pieces_follow_whole_ones():
    images, labels = batch()
    (whole, _), (cut, _) = build_step(norm_free()), build_step(norm_free(), limit=16)
    for number in range(20):
        for step in (whole, cut):
            step(images, labels, 0.1, number)
    for ours, theirs in zip(state(cut), state(whole), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    assert cut.sums.num_images == whole.sums.num_images == 20 * 64
    assert int(cut.sums.num_steps) == 20
    assert cut.execution == Execution("contiguous", "eager", 16)


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_a_failed_step_leaves_no_trace(where):
    """Norm statistics, momenta, sums, dropout's draws: as if pieces had been taken from the start."""
    images, labels = batch(size=32, dtype=torch.float32)
    started = build_step(with_norm(), execution=dataclasses.replace(EAGER, micro_batch_size=32))[0]
    model = with_norm()
    failing, _ = build_step(model)
    if where == "forward":
        Shortage(32, model)
    else:
        first = next(m for m in model.modules() if isinstance(m, nn.Conv2d))

        def run_out(module, grad_output):
            if len(grad_output[0]) > 32:
                raise torch.OutOfMemoryError(MESSAGE)

        # The last thing of a backward pass: most gradients are there by then.
        first.register_full_backward_pre_hook(run_out)
    for number in range(3):
        for step in (started, failing):
            step(images, labels, 0.1, number)
    assert failing.execution.micro_batch_size == 32
    for ours, theirs in zip(state(failing), state(started), strict=True):
        assert torch.equal(ours, theirs)


def test_a_later_shortage_undoes_its_step_alone():
    images, labels = batch(size=32, dtype=torch.float32)
    model = with_norm()
    step, shortage = build_step(model, limit=64)
    step(images, labels, 0.1, 0)
    before = state(step)
    shortage.limit = 7
    with pytest.raises(UserError, match="fewer than 8 at once are not tried"):
        step(images, labels, 0.1, 1)
    # It has given up at 8 images; the step before it stands.
    step.undo.restore()
    for ours, theirs in zip(state(step), before, strict=True):
        assert torch.equal(ours, theirs)


def test_the_optimizer_asks_for_no_memory_after_the_gradients():
    """Its step can't be undone, so its momenta are there before anything is computed."""
    model = norm_free()
    step, _ = build_step(model)
    seen = []
    first = next(model.children())
    first.register_forward_pre_hook(
        lambda *_: seen.append(
            sum(s.get("momentum_buffer") is not None for s in step.optimizer.state.values())
        )
    )
    step(*batch(), 0.1, 0)
    assert seen == [len(list(model.parameters()))]


def test_another_error_is_not_taken_for_a_shortage():
    model = norm_free()
    step, _ = build_step(model)
    with pytest.raises(RuntimeError, match="expected input"):
        step(torch.randn(64, 5, 8, 8).double(), batch()[1], 0.1, 0)
    assert step.execution == EAGER


def test_a_recording_that_runs_out_falls_back_to_whole_eager_steps_first():
    """A graph keeps the memory of a whole step beside that of its warm-up."""
    images, labels = batch(size=32, dtype=torch.float32)
    plain, _ = build_step(with_norm())
    step, _ = build_step(
        with_norm(), execution=Execution("contiguous", "cudagraph"), capture=run_out
    )
    for number in range(3):
        plain(images, labels, 0.1, number)
        step(images, labels, 0.1, number)
    assert step.execution == EAGER
    assert step.recorded == {}
    for ours, theirs in zip(state(step), state(plain), strict=True):
        assert torch.equal(ours, theirs)


def run_out(body):
    body()
    raise torch.OutOfMemoryError("while capturing")


def test_and_then_to_pieces():
    images, labels = batch(size=32, dtype=torch.float32)
    graph = Execution("contiguous", "cudagraph")
    step, _ = build_step(with_norm(), limit=16, execution=graph, capture=run_out)
    step(images, labels, 0.1, 0)
    assert step.execution == Execution("contiguous", "eager", 16)


def test_pieces_are_not_compiled(monkeypatch):
    """Their shape is another one: the network itself is called, and the record says eager."""
    calls = []

    def compiling(model, dynamic):
        return lambda images: calls.append(len(images)) or model(images)

    monkeypatch.setattr(torch, "compile", compiling)
    step, _ = build_step(norm_free(), limit=32, execution=Execution("contiguous", "compiled"))
    for number in range(2):
        step(*batch(), 0.1, number)
    assert calls == [64]
    assert step.execution == Execution("contiguous", "eager", 32)


def test_a_probe_that_does_not_fit_measures_nothing(caplog):
    model = with_norm()
    Shortage(16, model)
    recipe = RECIPE.model_copy(update={"layout": "auto", "mode": "auto"})
    maker = probe_step_maker(model, recipe, CPU, 64, 32, 3)
    seen = choose(recipe, CPU, maker, 6400, 64)
    assert (seen.layout, seen.mode, seen.probe) == ("channels_last", "eager", [])
    assert seen.micro_batch_size is None, "the training finds out by itself"
    assert "memory ran out while layouts were measured" in caplog.text


@pytest.fixture
def short(monkeypatch):
    """Networks of jobs run out of memory with more than `limit` images while they train."""

    def limit(images, from_call=0):
        original, shortage = jobs_module.build_initial, TrainingShortage(images, from_call)

        def build(*args):
            model, weights = original(*args)
            return shortage.into(model), weights

        monkeypatch.setattr(jobs_module, "build_initial", build)
        return shortage

    return limit


class TrainingShortage(Shortage):
    """From call `from_call` on, and not in evaluation, whose batches are larger."""

    def __init__(self, limit, from_call):
        super().__init__(limit)
        self.from_call = from_call

    def __call__(self, module, args):
        if not module.training:
            return
        if len(self.sizes) < self.from_call:
            self.sizes.append(len(args[0]))
            return
        super().__call__(module, args)


def numbers(record):
    fields = {"train_loss", "train_accuracy", "test_loss", "test_accuracy"}
    return [epoch.model_dump(include=fields) for epoch in record.train.epochs]


@pytest.mark.slow
def test_all_seeds_take_the_size_that_the_first_one_found(make_study, config, tmp_path, short):
    shortage = short(20)
    study = make_study(config)
    first, second = run_job(study, "train", "low", "r", "A", CPU, tmp_path)
    assert first.train.execution.micro_batch_size == 16
    found = [(s.epoch, s.step, s.micro_batch_size) for s in first.train.execution.shortages]
    assert found == [(1, 1, 16)]
    assert second.train.execution.micro_batch_size == 16
    assert second.train.execution.shortages == []
    assert sum(size > 16 for size in shortage.sizes) == 2, "64 and 32 were tried once"
    assert read(study.paths(tmp_path).record(JOB), JOB) == first


@pytest.mark.slow
def test_a_resumed_seed_goes_on_with_it_to_the_same_bits(make_context, config, short, tmp_path):
    short(20)
    context = make_context(config)
    whole = jobs_module.run_seed(context, JOB)
    other = dataclasses.replace(context, paths=context.study.paths(tmp_path / "other"))
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, 2)
        with pytest.raises(Killed):
            jobs_module.run_seed(other, JOB)
    resumed = jobs_module.run_seed(other, JOB)
    assert resumed.train.num_resumes == 1
    assert resumed.train.execution == whole.train.execution
    assert numbers(resumed) == numbers(whole)
    assert resumed.train.test_correct == whole.train.test_correct


class Killed(BaseException):
    pass


def kill_at(patch, epoch, after_steps=0):
    """Raise Killed in `epoch`, in the step after its first `after_steps`."""
    original = loop.train_epoch

    def train_epoch(step, batches, seed, number, reporter, state):
        left = iter(range(after_steps))

        def advance():
            if next(left, None) is None:
                raise Killed

        if number == epoch:
            patch.setattr(reporter, "advance", advance)
        return original(step, batches, seed, number, reporter, state)

    patch.setattr(loop, "train_epoch", train_epoch)


def test_a_shortage_in_an_epoch_that_is_done_over_is_on_record(make_context, config, short):
    """Epoch 1 saw whole batches; memory ran out in epoch 2, which was stopped."""
    context = make_context(config)
    steps = len(range(0, 431, 64))
    short(20, from_call=steps + 2)
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, 2, after_steps=4)
        with pytest.raises(Killed):
            jobs_module.run_seed(context, JOB)
    record = jobs_module.run_seed(context, JOB)
    assert record.train.execution.micro_batch_size == 16
    assert record.train.execution.shortages == [
        ShortageObservation(epoch=2, step=1, micro_batch_size=16)
    ]


def test_a_shortage_within_an_epoch_has_its_step(make_context, config, short):
    context = make_context(config)
    short(40, from_call=9)
    record = jobs_module.run_seed(context, JOB)
    # 431 images are 7 steps an epoch: call 9, from 0, is the third of epoch 2.
    assert record.train.execution.shortages == [
        ShortageObservation(epoch=2, step=3, micro_batch_size=32)
    ]


def test_where_nothing_fits_the_user_is_told_and_no_record_is_written(
    make_study, config, tmp_path, short
):
    short(7)
    study = make_study(config)
    with pytest.raises(UserError, match="fewer than 8 at once are not tried"):
        run_job(study, "train", "low", "r", "A", CPU, tmp_path)
    assert not study.paths(tmp_path).record(JOB).exists()


def test_memory_that_runs_out_elsewhere_is_told_too(make_study, config, tmp_path, monkeypatch):
    def build(*_):
        raise torch.OutOfMemoryError(MESSAGE)

    monkeypatch.setattr(jobs_module, "build_initial", build)
    with pytest.raises(UserError, match=r"train A on low .* memory ran out \(CUDA out of memory"):
        run_job(make_study(config), "train", "low", "r", "A", CPU, tmp_path)


def test_a_decision_of_an_earlier_release_means_whole_batches(make_context, config, caplog):
    context = make_context(config)
    file = open_checkpoint(context, JOB).folder.parent / "execution.json"
    keep(file, ExecutionObservation(layout="contiguous", mode="eager", probe=[]))
    text = file.read_text()
    for field in ("micro_batch_size", "shortages", "seeds_at_once"):
        assert field in text
    file.write_text('{"layout": "contiguous", "mode": "eager", "probe": []}')
    with caplog.at_level(logging.WARNING):
        record = jobs_module.run_seed(context, JOB)
    assert record.train.execution.layout == "contiguous"
    assert record.train.execution.micro_batch_size is None
    assert caplog.text == ""


@pytest.mark.slow
def test_fine_tuning_a_head_in_pieces_is_the_same(make_study, config, tmp_path, short):
    """Its norms are frozen, and this recipe drops nothing: pieces change rounding alone."""
    config["variants"][0]["dropout"] = 0.0
    study = make_study(config)
    run_job(study, "train", "low", "r", "A", CPU, tmp_path)
    whole = run_job(study, "finetune", "high", "head", "A", CPU, tmp_path)[0]
    # Another name for the results, or the finished seed would be taken from its checkpoint.
    run_job(study, "train", "low", "r", "A", CPU, tmp_path / "other")
    shortage = short(20)
    cut = run_job(study, "finetune", "high", "head", "A", CPU, tmp_path / "other")[0]
    assert max(shortage.sizes[-3:]) <= 16
    assert cut.train.execution.micro_batch_size == 16
    for ours, theirs in zip(numbers(cut), numbers(whole), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
