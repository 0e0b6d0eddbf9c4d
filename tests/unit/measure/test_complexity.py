"""Counts against hand formulas and published figures."""

import pytest
import timm
import torch
from torch import nn

from resnest_bench.measure.complexity import complexity

# (image side, 1e9 multiply-accumulates, 1e6 activations), to two decimals: infer_gmacs and infer_macts
# of results/benchmark-infer-amp-nchw-pt291-cu128-4090.csv in the repository of timm, which counts them
# with fvcore. Networks whose published figure is that of a reparameterised form are left out.
PUBLISHED = {
    "resnet18": (224, 1.82, 2.48),
    "resnet50": (224, 4.11, 11.11),
    "resnest14d": (224, 2.76, 7.33),
    "resnest50d_1s4x24d": (224, 4.43, 13.57),
    "mobilenetv2_100": (224, 0.31, 6.68),
    "efficientnet_b0": (224, 0.40, 6.75),
    "regnety_002": (224, 0.20, 2.17),
    "densenet121": (224, 2.87, 6.90),
    "convnext_atto": (224, 0.55, 3.81),
    "resnet10t": (224, 1.10, 2.43),
    "resnet26": (224, 2.36, 7.35),
    "seresnext26ts": (256, 2.43, 10.52),
    "poolformer_s12": (224, 1.82, 5.53),
    "mixer_s32_224": (224, 1.00, 2.28),
    "mobilenetv4_conv_small": (224, 0.19, 1.97),
    "deit_tiny_patch16_224": (224, 1.26, 5.97),
    "vit_small_patch32_224": (224, 1.15, 2.50),
    "swin_tiny_patch4_window7_224": (224, 4.51, 17.06),
    "pit_ti_224": (224, 0.70, 6.19),
    "cait_xxs24_224": (224, 2.53, 20.29),
    "xcit_nano_12_p16_224": (224, 0.56, 4.17),
    "levit_128": (224, 0.41, 2.71),
    "coat_lite_tiny": (224, 1.60, 11.65),
    "crossvit_tiny_240": (240, 1.57, 9.08),
    "convit_tiny": (224, 1.26, 7.94),
    "edgenext_xx_small": (256, 0.26, 3.33),
    "efficientformer_l1": (224, 1.30, 5.53),
    "botnet26t_256": (256, 3.32, 11.98),
    "eva02_tiny_patch14_224": (224, 1.70, 9.14),
    "pvt_v2_b0": (224, 0.57, 7.99),
}


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


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_networks_have_the_counts_that_timm_publishes(name):
    """4 %, or half a unit of the last printed digit: fvcore adds a product for each number that a batch
    norm or a pooling gives, which weighs most in depthwise networks. The activations agree to the
    printed digits: without attention's products those of deit_tiny are 4.12 million."""
    size, giga_macs, mega_activations = PUBLISHED[name]
    seen = complexity(timm.create_model(name), size)
    assert "_scaled_dot_product" not in str(seen.uncounted)
    assert seen.num_macs == pytest.approx(1e9 * giga_macs, rel=0.04, abs=0.005e9)
    assert seen.num_activations == pytest.approx(1e6 * mega_activations, rel=0.002, abs=0.006e6)


def attention_net(tokens=4, width=8):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv = nn.Linear(3, 3 * width, bias=False)

        def forward(self, x_BCHW):
            q, k, v = self.qkv(x_BCHW.flatten(2).mT).unsqueeze(1).chunk(3, dim=-1)
            return nn.functional.scaled_dot_product_attention(q, k, v)

    return Net()


@pytest.mark.parametrize("inference", [False, True])
def test_attention_by_hand(inference):
    # 4 tokens of width 8. Projection: 4 * 3 * 24. Scores: 4 * 4 of 8 products; values: 4 * 8 of 4.
    with torch.inference_mode(inference):
        seen = complexity(attention_net(), 2)
    assert seen.num_macs == 4 * 3 * 24 + 2 * 4 * 4 * 8
    assert seen.num_activations == 4 * 24 + 4 * 4 + 4 * 8
    assert seen.uncounted == {}


def test_a_fused_attention_layer_is_counted():
    # Four products of (4, 8) with (8, 8), as one of 24 and one of 8 columns, and attention in two heads.
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x_BCHW):
            x_BSD = x_BCHW.flatten(2).mT.repeat(1, 1, 3)[..., :8]
            return self.attention(x_BSD, x_BSD, x_BSD, need_weights=False)[0]

    assert complexity(Net(), 2).num_macs == 4 * 4 * 8 * 8 + 2 * 4 * 4 * 8
    assert torch.backends.mha.get_fastpath_enabled()


def test_inference_mode_counts_the_same():
    """ResNet-18 at 32x32 by hand. Stem 64 * 16^2; stages of 64 * 8^2, 128 * 4^2, 256 * 2^2 and
    512 * 1, four convolutions each, three shortcuts more; ten classes."""
    by_hand = 64 * 256 + 4 * 4096 + 5 * 2048 + 5 * 1024 + 5 * 512 + 10
    model = timm.create_model("resnet18", num_classes=10)
    with torch.inference_mode():
        seen = complexity(model, 32)
    assert seen.num_activations == by_hand == 50_698
    assert seen == complexity(model, 32)
    assert not {"conv2d", "linear", "convolution", "addmm"} & set(seen.uncounted)


@pytest.mark.parametrize("name", ["pit_ti_224", "cait_xxs24_224"])
def test_a_parameter_may_be_a_modules_input(name):
    assert complexity(timm.create_model(name, num_classes=10), 224).num_macs > 5e8


def test_the_model_keeps_its_mode_and_its_statistics():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).train()
    before = net[1].running_mean.clone()
    complexity(net, 4)
    assert net.training
    assert torch.equal(net[1].running_mean, before)


def test_what_is_not_counted_is_named():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.SiLU(), nn.AvgPool2d(2))
    assert complexity(net, 4).uncounted == {"native_batch_norm": 1, "silu": 1, "avg_pool2d": 1}
