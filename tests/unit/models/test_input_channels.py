"""Networks of every family for images of one, three, four and more channels."""

import pytest
import torch

from resnest_bench.errors import UserError
from resnest_bench.measure.complexity import complexity
from resnest_bench.models import build_model, check_image
from resnest_bench.models.input_channels import adapt_stats
from resnest_bench.models.weights import apply_weights
from resnest_bench.specs import (
    AirbenchVariant,
    ClassicVariant,
    PythonVariant,
    ResNestVariant,
    TimmVariant,
)

RESNEST = ResNestVariant(name="R", family="resnest", layers=(1,), radix=2, width=16, stem="small")
PYTHON_FILE = """
from torch import nn


def following(num_classes, in_chans):
    return nn.Sequential(
        nn.Conv2d(in_chans, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, num_classes)
    )


def for_rgb(num_classes):
    return following(num_classes, 3)


def forwarding(num_classes, **options):
    return following(num_classes, options.get("in_chans", 3))


def ignoring(num_classes, in_chans):
    return following(num_classes, 3)
"""


@pytest.fixture
def python(tmp_path):
    (tmp_path / "net.py").write_text(PYTHON_FILE)

    def make(build):
        file = str(tmp_path / "net.py")
        return PythonVariant(name="P", family="python", file=file, build=build)

    return make


@pytest.mark.parametrize("in_chans", [1, 3, 4, 12])
@pytest.mark.parametrize(
    "variant",
    [
        RESNEST,
        RESNEST.model_copy(update={"stem": "deep"}),
        RESNEST.model_copy(update={"stem": "conv7"}),
        TimmVariant(name="T", family="timm", model="resnet10t"),
        TimmVariant(name="S", family="timm", model="resnet10t", stem="small"),
        ClassicVariant(name="L", family="classic", model="lenet5"),
        ClassicVariant(name="A", family="classic", model="alexnet"),
        ClassicVariant(name="G", family="classic", model="googlenet"),
        AirbenchVariant(name="B", family="airbench"),
    ],
    ids=lambda value: f"{value.name}-{value.stem}" if hasattr(value, "stem") else None,
)
def test_a_network_follows_the_channels(variant, in_chans):
    check_image(variant, 32, in_chans)
    with torch.device("meta"):
        model = build_model(variant, 5, in_chans=in_chans)
        first = next(m for m in model.modules() if isinstance(m, torch.nn.Conv2d))
        assert first.in_channels == in_chans
        assert model(torch.zeros(2, in_chans, 32, 32)).shape == (2, 5)


def test_three_channels_change_nothing():
    states = []
    for options in ({}, {"in_chans": 3}):
        torch.manual_seed(0)
        states.append(build_model(RESNEST, 5, **options).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_counts_are_those_of_the_channels():
    """Of a 3x3 with 64 outputs, on 32x32 pixels: 9 * 64 weights for each channel."""
    rgb, four = (complexity(build_model(RESNEST, 5, in_chans=c), 32, c) for c in (3, 4))
    assert four.num_params - rgb.num_params == 9 * 64
    assert four.num_macs - rgb.num_macs == 9 * 64 * 32 * 32


@pytest.mark.parametrize("build", ["following", "forwarding"])
@pytest.mark.parametrize("in_chans", [1, 3, 4])
def test_a_python_network_that_takes_channels(python, build, in_chans):
    model = build_model(python(build), 5, in_chans=in_chans)
    assert model(torch.zeros(2, in_chans, 8, 8)).shape == (2, 5)


def test_a_python_network_for_rgb(python):
    assert build_model(python("for_rgb"), 5)(torch.zeros(2, 3, 8, 8)).shape == (2, 5)
    with pytest.raises(UserError, match=r"1 channel, but for_rgb takes no in_chans"):
        build_model(python("for_rgb"), 5, in_chans=1)
    with pytest.raises(UserError, match=r"8x8 in RGB, but .* 4 channels"):
        check_image(python("ignoring"), 8, 4)


def test_python_args_leave_in_chans_to_the_dataset():
    with pytest.raises(ValueError, match="args must not set in_chans"):
        PythonVariant(name="P", family="python", file="net.py", args={"in_chans": 3})


@pytest.mark.parametrize(
    "variant", [RESNEST, TimmVariant(name="T", family="timm", model="resnet10t")]
)
def test_weights_of_rgb_in_a_network_for_gray(variant):
    """A gray image has the features that it has in RGB, where its three channels are equal."""
    torch.manual_seed(0)
    rgb, gray = build_model(variant, 5).eval(), build_model(variant, 5, in_chans=1).eval()
    match = apply_weights(gray, rgb.state_dict(), "here")
    assert match.converted == ["conv1.weight" if variant is RESNEST else "conv1.0.weight"]
    for model in (rgb, gray):
        torch.nn.init.constant_(model.fc.weight, 0.1)
        torch.nn.init.zeros_(model.fc.bias)
    images = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(gray(images), rgb(images.expand(-1, 3, -1, -1)))


@pytest.mark.parametrize("in_chans", [2, 4, 6])
def test_weights_of_rgb_in_a_network_for_more_channels(in_chans):
    """Channel i takes the kernel of i modulo 3, and all are scaled by 3 / C."""
    rgb, more = build_model(RESNEST, 5), build_model(RESNEST, 5, in_chans=in_chans)
    apply_weights(more, rgb.state_dict(), "here")
    for channel in range(in_chans):
        expected = rgb.conv1.weight[:, channel % 3] * 3 / in_chans
        torch.testing.assert_close(more.conv1.weight[:, channel], expected)
    assert torch.equal(more.layer1[0].conv1.weight, rgb.layer1[0].conv1.weight)


def test_weights_of_other_channels_are_refused():
    four, gray = (build_model(RESNEST, 5, in_chans=c) for c in (4, 1))
    with pytest.raises(UserError, match=r"conv1.weight"):
        apply_weights(gray, four.state_dict(), "here")


def test_weights_of_as_many_channels_are_not_converted():
    source, target = build_model(RESNEST, 5), build_model(RESNEST, 5)
    assert apply_weights(target, source.state_dict(), "here").converted == []


def test_stats_of_rgb():
    stats = ((0.3, 0.5, 0.7), (0.1, 0.2, 0.3))
    assert adapt_stats(stats, 3) == stats
    assert adapt_stats(stats, 1) == (pytest.approx((0.5,)), pytest.approx((0.2,)))
    assert adapt_stats(stats, 4) is None
