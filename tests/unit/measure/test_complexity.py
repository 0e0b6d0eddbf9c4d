"""Counts against hand formulas and published figures."""

import pytest
import timm
import torch
from torch import nn

from resnest_bench.measure.complexity import complexity


def test_a_small_net_by_hand():
    # 3x3 conv, 3 -> 8, on 4x4: 8*16 outputs of 3*9 products. Linear 128 -> 10: 1280 products.
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(128, 10))
    seen = complexity(net, 4)
    assert seen.num_params == 8 * 27 + 8 + 1280 + 10
    assert seen.num_macs == 8 * 16 * 27 + 1280
    assert seen.num_activations == 8 * 16 + 10
    assert seen.uncounted == {"relu": 1}


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_groups_and_stride_by_hand(groups):
    # 8 -> 16 channels, stride 2 on 8x8: 16*16 outputs of (8 / groups) * 9 products.
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 16, 3, 2, 1, groups=groups))
    expected = 8 * 64 * 3 + 16 * 16 * 9 * 8 // groups
    assert complexity(net, 8).num_macs == expected


def test_resnet18_has_its_published_counts():
    # 1.81 G multiply-adds and 11.7 M parameters (torchvision's model page); 2.48 M activations
    # (fvcore's documentation of ResNet-18 at 224).
    seen = complexity(timm.create_model("resnet18"), 224)
    assert seen.num_params == 11_689_512
    assert seen.num_macs == pytest.approx(1.81e9, rel=0.005)
    assert seen.num_activations == pytest.approx(2.48e6, rel=0.005)


def test_the_model_keeps_its_mode_and_its_statistics():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).train()
    before = net[1].running_mean.clone()
    complexity(net, 4)
    assert net.training
    assert torch.equal(net[1].running_mean, before)


def test_what_is_not_counted_is_named():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.SiLU(), nn.AvgPool2d(2))
    assert complexity(net, 4).uncounted == {"native_batch_norm": 1, "silu": 1, "avg_pool2d": 1}
