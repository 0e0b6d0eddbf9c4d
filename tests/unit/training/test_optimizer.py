"""Optimizers against their libraries, and what each has to keep: resumption, memory, averages."""

import copy
import dataclasses
import json
import logging

import numpy as np
import pytest
import timm.optim
import torch
from torch import nn

from resnest_bench.errors import UserError
from resnest_bench.models import build_model
from resnest_bench.paths import Job
from resnest_bench.specs import RecipeSpec, TimmVariant
from resnest_bench.specs.optimizers import OPTIMIZERS
from resnest_bench.training import jobs as jobs_module
from resnest_bench.training import loop
from resnest_bench.training.execution import Execution
from resnest_bench.training.losses import balanced_weights, compute_loss
from resnest_bench.training.optimizer import (
    build_optimizer,
    dump_state,
    init_state,
    parameter_groups,
    restore_state,
    set_learning_rate,
)
from resnest_bench.training.step import make_step

CPU = torch.device("cpu")
JOB = Job("train", "low", "r", "A", 0)
NAMES = ["sgd", *OPTIMIZERS]
RATES = {"lion": 1e-3, "adam": 3e-3, "adamw": 3e-3, "nadamw": 3e-3, "rmsprop": 3e-3}


def recipe(**changes):
    return RecipeSpec(**{"epochs": 1, "batch_size": 8, "learning_rate": 0.01, **changes})


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        # A bias before batch norm has no gradient but rounding, whose sign Adam would follow.
        self.stem = nn.Conv2d(3, 4, 3, bias=False)
        self.stages = nn.Sequential(nn.Conv2d(4, 4, 1, bias=False), nn.BatchNorm2d(4))
        self.fc = nn.Linear(4, 3)

    def get_classifier(self):
        return self.fc

    def forward(self, x):
        return self.fc(self.stages(self.stem(x)).mean((2, 3)))


def one_step(model, optimizer, seed=1):
    generator = torch.Generator().manual_seed(seed)
    images, labels = torch.randn(8, 3, 5, 5, generator=generator), torch.arange(8) % 3
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(images), labels).backward()
    optimizer.step()


LIBRARY = {
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
    "nadamw": lambda p: timm.optim.NAdamW(p, lr=0.01, weight_decay=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(
        p, lr=0.01, alpha=0.9, eps=1e-3, momentum=0.9, weight_decay=0.1
    ),
    "lamb": lambda p: timm.optim.Lamb(p, lr=0.01, weight_decay=0.1, decoupled_decay=True),
    "lion": lambda p: timm.optim.Lion(p, lr=0.01, weight_decay=0.1),
    "muon": lambda p: timm.optim.Muon(p, lr=0.01, weight_decay=0.1, nesterov=True),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_named_optimizer_is_its_librarys(name):
    ours, theirs = Net(), Net()
    # One group, as theirs: where a parameter lies decides nothing here.
    optimizer = build_optimizer(ours, recipe(optimizer=name, weight_decay=0.1))
    other = LIBRARY[name](theirs.parameters())
    for seed in (1, 2, 3):
        one_step(ours, optimizer, seed)
        one_step(theirs, other, seed)
    for mine, wanted in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, wanted)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_a_state_made_before_the_first_step_changes_no_step(name):
    """What a CUDA graph is recorded with, and what a step that runs out of memory is undone to."""
    early, late = Net(), Net()
    optimizer, other = (build_optimizer(m, recipe(optimizer=name)) for m in (early, late))
    init_state(optimizer)
    assert optimizer.state
    for seed in (1, 2):
        one_step(early, optimizer, seed)
        one_step(late, other, seed)
    for mine, wanted in zip(early.parameters(), late.parameters(), strict=True):
        assert torch.equal(mine, wanted)
    assert len(optimizer.state) == len(other.state)


@pytest.mark.parametrize("name", NAMES)
def test_a_restored_state_goes_on_to_the_same_bits(name):
    first, second = Net(), Net()
    optimizer, other = (build_optimizer(m, recipe(optimizer=name)) for m in (first, second))
    one_step(first, optimizer, 1)
    one_step(first, optimizer, 2)
    tensors, numbers = dump_state(first, optimizer)
    second.load_state_dict(first.state_dict())
    restore_state(second, other, tensors, json.loads(json.dumps(numbers)))
    one_step(first, optimizer, 3)
    one_step(second, other, 3)
    for mine, wanted in zip(second.parameters(), first.parameters(), strict=True):
        assert torch.equal(mine, wanted)


@pytest.mark.parametrize("name", NAMES)
def test_without_its_state_the_next_step_differs(name):
    """The test above can fail."""
    first, second = Net(), Net()
    optimizer, other = (build_optimizer(m, recipe(optimizer=name)) for m in (first, second))
    one_step(first, optimizer, 1)
    one_step(first, optimizer, 2)
    second.load_state_dict(first.state_dict())
    one_step(first, optimizer, 3)
    one_step(second, other, 3)
    pairs = zip(second.parameters(), first.parameters(), strict=True)
    assert not all(torch.equal(mine, wanted) for mine, wanted in pairs)


class Killed(BaseException):
    pass


def train(context, killed_in=None):
    with pytest.MonkeyPatch.context() as patch:
        if killed_in:
            original = loop.train_epoch

            def train_epoch(*args):
                if args[3] == killed_in:
                    raise Killed
                return original(*args)

            patch.setattr(loop, "train_epoch", train_epoch)
        return jobs_module.run_seed(context, JOB)


def figures(record):
    epochs = [(e.train_loss, e.test_loss, e.test_accuracy) for e in record.train.epochs]
    return epochs, record.train.test_correct


FEATURES = {
    "resume": {},
    "clip": {"clip_grad_norm": 0.5},
    "accumulate": {"accumulation_steps": 4},
    "ema": {"ema_decay": 0.9, "ema_warmup": True},
    "lookahead": {"lookahead_steps": 4},
}
FEATURES["all"] = {key: value for changes in FEATURES.values() for key, value in changes.items()}


# Each feature by itself, and with each optimizer all of them.
@pytest.mark.parametrize(
    ("name", "feature"),
    [*(("sgd", feature) for feature in FEATURES), *((name, "all") for name in OPTIMIZERS)],
)
def test_each_optimizer_and_each_feature_learns_and_resumes_to_the_same_bits(
    make_context, config, tmp_path, name, feature
):
    config["recipes"]["r"] |= {
        "optimizer": name,
        "learning_rate": RATES.get(name, 0.02),
        "epochs": 2,
        "mixup_alpha": 0,
        "crop": "none",
        "flip": False,
        **FEATURES[feature],
    }
    context = make_context(config)
    whole = train(context)
    other = type(context)(
        context.study,
        context.study.paths(tmp_path / "other"),
        context.data,
        CPU,
        context.environment,
    )
    with pytest.raises(Killed):
        train(other, killed_in=2)
    resumed = train(other)
    assert resumed.train.num_resumes == 1
    assert figures(resumed) == figures(whole)
    assert whole.train.epochs[1].train_loss < whole.train.epochs[0].train_loss


def test_a_batch_in_parts_has_the_gradients_of_the_batch():
    """Without batch norm, which sees a part alone."""
    whole, parts = (
        make_step(
            Flat(nn.Flatten(), Head()),
            recipe(optimizer="sgd", momentum=0, accumulation_steps=steps),
            CPU,
            Execution("contiguous", "eager"),
        )
        for steps in (1, 3)
    )
    images, labels = torch.randn(8, 3, 2, 2), torch.arange(8) % 3
    for step in (whole, parts):
        step(images, labels, 0.1, 0)
    pairs = zip(whole.model.parameters(), parts.model.parameters(), strict=True)
    for mine, wanted in pairs:
        torch.testing.assert_close(mine, wanted)
    assert whole.sums.means() == pytest.approx(parts.sums.means())


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.fc = nn.Linear(12, 3)

    def forward(self, x):
        return self.fc(x)


class Flat(nn.Sequential):
    def get_classifier(self):
        return self[-1].fc


def test_a_clipped_step_moves_by_the_learning_rate_times_the_norm():
    model = Flat(nn.Flatten(), Head())
    before = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    asked = recipe(momentum=0, weight_decay=0, clip_grad_norm=0.01)
    step = make_step(model, asked, CPU, Execution("contiguous", "eager"))
    step(100 * torch.randn(8, 3, 2, 2), torch.arange(8) % 3, 0.5, 0)
    moved = nn.utils.parameters_to_vector(model.parameters()).detach() - before
    assert float(moved.norm()) == pytest.approx(0.5 * 0.01, rel=1e-3)


def test_averaged_weights_are_the_formula():
    """The weights of the first step; after each other one decay * average + (1 - decay) * weights."""
    model = Flat(nn.Flatten(), Head())
    step = make_step(model, recipe(ema_decay=0.75), CPU, Execution("contiguous", "eager"))
    average = None
    for seed in range(3):
        torch.manual_seed(seed)
        step(torch.randn(8, 3, 2, 2), torch.arange(8) % 3, 0.1, 0)
        weight = model[1].fc.weight.detach().clone()
        average = weight if average is None else 0.75 * average + 0.25 * weight
    torch.testing.assert_close(step.final_model[1].fc.weight, average)
    assert not torch.equal(step.final_model[1].fc.weight, model[1].fc.weight)


def test_lookahead_is_the_formula_of_its_paper():
    """Algorithm 1 of arXiv:1907.08610 with k = 2: five updates have two synchronisations, and finish a third."""
    images, labels = torch.randn(8, 3, 2, 2), torch.arange(8) % 3
    plain = recipe(momentum=0, weight_decay=0)
    asked = plain.model_copy(update={"lookahead_steps": 2, "lookahead_alpha": 0.25})
    step = make_step(Flat(nn.Flatten(), Head()), asked, CPU, Execution("contiguous", "eager"))
    model = Flat(nn.Flatten(), Head())
    fast, slow = model[1].fc, copy.deepcopy(model[1].fc.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def synchronise():
        with torch.no_grad():
            for name, theta in fast.named_parameters():
                slow[name] = slow[name] + 0.25 * (theta - slow[name])
                theta.copy_(slow[name])

    for number in range(1, 6):
        step(images, labels, 0.1, 0)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
        if number % 2 == 0:
            synchronise()
        torch.testing.assert_close(step.model[1].fc.weight, fast.weight)
    step.finish()
    synchronise()
    torch.testing.assert_close(step.final_model[1].fc.weight, fast.weight)
    before = step.model[1].fc.weight.detach().clone()
    step.finish()
    assert torch.equal(step.model[1].fc.weight, before), "a resumed training may end twice"


def test_lookahead_leaves_frozen_weights_and_statistics_alone():
    model = Net()
    model.stem.weight.requires_grad_(False)
    asked = recipe(lookahead_steps=1)
    step = make_step(model, asked, CPU, Execution("contiguous", "eager"))
    assert "stem.weight" not in step.trained.slow
    assert not any("running" in name for name in step.trained.slow)


def test_muons_own_keys_are_timms_and_kernels_are_normalised_before_a_step():
    """A kernel of norm 1 and no gradient but of momentum 0: the step leaves sqrt(outputs)."""
    asked = {"name": "muon", "momentum": 0.6, "ns_steps": 3, "adjust_lr_fn": "original"}
    asked |= {"fallback_lr_scale": 0.5, "normalize_kernels": True}
    ours, theirs = Net(), Net()
    optimizer = build_optimizer(ours, recipe(optimizer=asked, weight_decay=0))
    other = timm.optim.Muon(
        theirs.parameters(),
        lr=0.01,
        momentum=0.6,
        nesterov=True,
        ns_steps=3,
        adjust_lr_fn="original",
        fallback_lr_scale=0.5,
    )
    one_step(ours, optimizer)
    generator = torch.Generator().manual_seed(1)
    images, labels = torch.randn(8, 3, 5, 5, generator=generator), torch.arange(8) % 3
    nn.functional.cross_entropy(theirs(images), labels).backward()
    with torch.no_grad():
        for kernel in (theirs.stem.weight, theirs.stages[0].weight):
            # Four outputs.
            kernel.mul_(2 / kernel.square().sum().sqrt())
    other.step()
    for mine, wanted in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, wanted)


def test_a_factor_of_the_head_and_of_each_block():
    model = Net()
    groups = parameter_groups(model, recipe(layer_decay=0.5, head_learning_rate_factor=10))
    factors = {
        name: group["factor"]
        for name, parameter in model.named_parameters()
        for group in groups
        if any(parameter is member for member in group["params"])
    }
    # Blocks: the stem, the two of stages, and the head.
    assert factors == {
        "stem.weight": 0.125,
        "stages.0.weight": 0.25,
        "stages.1.weight": 0.5,
        "stages.1.bias": 0.5,
        "fc.weight": 10,
        "fc.bias": 10,
    }


def test_biases_of_norms_have_a_rate_and_a_decay_of_their_own():
    """Rate times 8, decay divided by 8: a step decays them as before."""
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.GroupNorm(2, 4), Head())
    model.get_classifier = lambda: model[3].fc
    groups = parameter_groups(model, recipe(norm_bias_learning_rate_factor=8, weight_decay=0.16))
    found = {p: (g["factor"], g["weight_decay"]) for g in groups for p in g["params"]}
    faster = {model[1].bias, model[2].bias}
    assert {found[bias] for bias in faster} == {(8.0, 0.02)}
    assert {value for p, value in found.items() if p not in faster} == {(1.0, 0.16)}


def test_the_blocks_of_timms_networks_are_timms():
    vit = build_model(TimmVariant(name="V", family="timm", model="vit_tiny_patch16_224"), 3, 0.0)
    groups = parameter_groups(vit, recipe(layer_decay=0.5))
    # Twelve blocks, the embedding before and the norm after them: ids 0 to 13, and the head.
    factors = sorted({group["factor"] for group in groups})
    assert factors[0] == 0.5 ** (len(factors) - 1)
    assert factors[-1] == 1.0
    assert len(factors) >= 13


def test_learning_rates_are_set_by_factor():
    optimizer = build_optimizer(Net(), recipe(optimizer="adamw", head_learning_rate_factor=10))
    set_learning_rate(optimizer, 0.2)
    assert {group["lr"] for group in optimizer.param_groups} == {0.2, 2.0}


def test_muon_without_a_matrix_is_refused():
    model = Flat(nn.Flatten(), Head())
    model[1].fc.weight.requires_grad_(False)
    with pytest.raises(UserError, match="matrices"):
        build_optimizer(model, recipe(optimizer="muon"))


def test_balanced_weights_are_scikit_learns():
    sklearn = pytest.importorskip("sklearn.utils.class_weight")
    labels = torch.tensor([0] * 9 + [1] * 3 + [2] * 4).numpy()
    wanted = sklearn.compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert balanced_weights(labels, 3).tolist() == pytest.approx(wanted.tolist())


@pytest.mark.parametrize("soft", [False, True])
def test_a_weighted_loss_of_parts_adds_up_to_the_batchs(soft):
    logits, labels = torch.randn(6, 3), torch.tensor([0, 0, 0, 1, 1, 2])
    target = nn.functional.one_hot(labels, 3).float() if soft else labels
    weights = torch.tensor([0.5, 1.0, 2.0])
    whole = compute_loss(logits, target, recipe(), weights)
    log_probability = logits.log_softmax(1)[torch.arange(6), labels]
    assert float(whole) == pytest.approx(float(-(weights[labels] * log_probability).mean()))
    parts = [
        compute_loss(logits[i : i + 2], target[i : i + 2], recipe(), weights) for i in (0, 2, 4)
    ]
    assert float(sum(parts)) / 3 == pytest.approx(float(whole))


def first_losses(context, seed):
    job = Job("train", "low", "r", "A", seed)
    epochs = jobs_module.run_seed(context, job).train.epochs
    return [epoch.train_loss for epoch in epochs]


@pytest.mark.parametrize("part", ["init", "order", "augmentation", "data"])
def test_a_part_that_varies_alone_makes_seeds_differ(make_context, config, part):
    config["recipes"]["r"] |= {"epochs": 1, "warmup_epochs": 0, "vary": [part]}
    context = make_context(config)
    assert first_losses(context, 0) != first_losses(context, 1)


def test_seeds_are_alike_where_nothing_that_varies_is_used(make_context, config):
    """No shift, mirror, mixup or dropout: what follows the seed is not there."""
    config["recipes"]["r"] |= {"epochs": 1, "warmup_epochs": 0, "vary": ["augmentation"]}
    config["recipes"]["r"] |= {"crop": "none", "flip": False, "mixup_alpha": 0}
    config["variants"][0]["dropout"] = 0.0
    context = make_context(config)
    assert first_losses(context, 0) == first_losses(context, 1)


def test_class_weights_and_balanced_sampling_lift_a_rare_class(make_context, config):
    """Of the digits 0, 1 and 2, almost no 2: weights make it count as much as the others."""
    config["recipes"]["r"] |= {"epochs": 6, "mixup_alpha": 0, "crop": "none", "flip": False}
    answers = {}
    for name, changes in {
        "plain": {},
        "weights": {"class_weights": "balanced"},
        "sampling": {"sampling": "balanced"},
    }.items():
        config["recipes"]["r"] |= {"class_weights": "none", "sampling": "shuffled", **changes}
        context = make_context(config)
        context.paths.root.mkdir(parents=True, exist_ok=True)
        labels = context.data.train.labels
        kept = np.flatnonzero((labels != 2) | (np.cumsum(labels == 2) <= 4))
        original = jobs_module.make_batches

        def make_batches(*args, kept=kept, original=original):
            batches = original(*args)
            return dataclasses.replace(batches, train_indices=kept)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jobs_module, "make_batches", make_batches)
            record = jobs_module.run_seed(context, JOB)
        answers[name] = record.train.test_predictions_per_class[2]
    assert answers["weights"] > answers["plain"]
    assert answers["sampling"] > answers["plain"]


def test_epochs_between_two_evaluations_are_not_evaluated(make_context, config, caplog):
    config["recipes"]["r"]["evaluate_every"] = 2
    with caplog.at_level(logging.INFO):
        sparse = jobs_module.run_seed(make_context(config), JOB).train
    assert [epoch.test_accuracy is None for epoch in sparse.epochs] == [True, False, False]
    assert "not evaluated" in caplog.text
    config["recipes"]["r"]["evaluate_every"] = 1
    whole = jobs_module.run_seed(make_context(config), JOB).train
    # To look or not changes nothing else.
    assert [e.train_loss for e in sparse.epochs] == [e.train_loss for e in whole.epochs]
    assert sparse.test_correct == whole.test_correct
