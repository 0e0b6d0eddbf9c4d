"""The family resnest: counts by hand, structure against timm's own networks."""

import pytest
import timm
import torch
from timm.models.resnest import ResNestBottleneck
from timm.models.resnet import ResNet
from torch import nn

from resnest_bench.errors import UserError
from resnest_bench.measure.complexity import complexity
from resnest_bench.models import build_model, check_buildable, optimize_for_training
from resnest_bench.specs import ResNestVariant


def resnest(setting: str = "2s1x64d", layers=(1, 1, 1, 1), stem="deep", **options):
    radix, rest = setting.removesuffix("d").split("s")
    cardinality, width = rest.split("x")
    return ResNestVariant(
        name="net",
        family="resnest",
        layers=layers,
        radix=int(radix),
        cardinality=int(cardinality),
        width=int(width),
        stem=stem,
        **options,
    )


def num_params(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def stem_by_hand(stem: str, width: int) -> tuple[int, int]:
    """(parameters, channels out). A norm has 2 parameters a channel."""
    if stem == "deep":
        convs = 3 * 9 * width + 9 * width**2 + 9 * width * (2 * width)
        return convs + 2 * (width + width + 2 * width), 2 * width
    return 3 * 64 * (49 if stem == "conv7" else 9) + 2 * 64, 64


def block_by_hand(channels: int, planes: int, radix: int, cardinality: int, width: int) -> int:
    """A bottleneck without its shortcut."""
    group = planes * width // 64 * cardinality
    total = channels * group + 2 * group + 9 * group**2 // cardinality
    total += group * 4 * planes + 2 * 4 * planes
    if radix == 0:
        return total + 2 * group
    middle = max(group * radix // 4, 32)
    total += 2 * group * radix  # norm of the splits
    total += group * middle // cardinality + middle + 2 * middle
    return total + middle * group * radix // cardinality + group * radix


def params_by_hand(variant: ResNestVariant, classes: int) -> int:
    total, channels = stem_by_hand(variant.stem, variant.stem_width)
    for stage, num_blocks in enumerate(variant.layers):
        planes = 64 * 2**stage
        if stage > 0 or channels != 4 * planes:
            total += channels * 4 * planes + 2 * 4 * planes
        for _ in range(num_blocks):
            total += block_by_hand(
                channels, planes, variant.radix, variant.cardinality, variant.width
            )
            channels = 4 * planes
    return total + channels * classes + classes


MANY_GROUPS = ("1s32x4d", "2s32x4d", "2s16x8d", "2s32x2d", "2s16x2d")
CONFIGURATIONS = [
    resnest("0s1x64d"),
    resnest("0s2x40d", stem="conv7"),
    resnest("1s1x36d"),  # attention width 36, which timm would round to 40
    resnest("1s4x24d", layers=(2, 1, 2), stem="small"),
    resnest("2s1x64d", layers=(1,)),
    resnest("2s2x40d", layers=(2, 3), stem="conv7"),
    resnest("3s1x48d"),  # 36, 72, 144, 288
    resnest("3s2x36d", layers=(1, 2, 1)),
    resnest("4s1x64d", layers=(1, 1), stem_width=128),  # the stem fits: stage 1 has no shortcut
    resnest("4s2x40d", layers=(3,), stem="small", stem_width=48),
    # More cardinal groups than channels in each of them.
    *(resnest(setting) for setting in MANY_GROUPS),
    resnest("2s3x64d", layers=(1, 1)),
]


@pytest.mark.parametrize("variant", CONFIGURATIONS, ids=lambda v: f"{v.setting}-{len(v.layers)}")
def test_parameters_by_hand_and_a_step(variant):
    model = build_model(variant, num_classes=7)
    assert num_params(model) == params_by_hand(variant, classes=7)
    logits_BK = model(torch.randn(2, 3, 32, 32))
    assert logits_BK.shape == (2, 7)
    logits_BK.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def timm_network(variant: ResNestVariant) -> nn.Module:
    return ResNet(
        block=ResNestBottleneck,
        layers=variant.layers,
        num_classes=10,
        cardinality=variant.cardinality,
        base_width=variant.width,
        stem_type="deep",
        stem_width=32,
        avg_down=True,
        block_args={"radix": variant.radix, "avd": True, "avd_first": True},
    )


@pytest.mark.parametrize("setting", MANY_GROUPS)
def test_many_groups_are_those_of_timm_and_run_in_the_fast_form(setting):
    variant = resnest(setting)
    check_buildable(variant)
    ours, theirs = build_model(variant, 10).eval(), randomise_norms(timm_network(variant)).eval()
    assert num_params(ours) == num_params(theirs)
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = theirs(images)
        assert torch.equal(ours(images), expected)
        torch.testing.assert_close(
            optimize_for_training(ours)(images), expected, rtol=1e-4, atol=1e-4
        )


# Measured before on timm's own block: parameters and multiply-accumulates at 32x32.
@pytest.mark.parametrize(
    ("setting", "params", "macs"), [("2s32x2d", 5.04, 25.7), ("2s16x2d", 3.94, 20.2)]
)
def test_many_groups_are_measured(setting, params, macs):
    counts = complexity(build_model(resnest(setting), 10), 32)
    assert round(counts.num_params / 1e6, 2) == params
    assert round(counts.num_macs / 1e6, 1) == macs


OFFICIAL = {"avd": True, "avd_first": False, "avg_down": True}
FAST = {"avd": True, "avd_first": True, "avg_down": True}
CLASSIC = {"avd": False, "avd_first": False, "avg_down": False}
REFERENCES = [
    ("resnest14d", resnest(layers=(1, 1, 1, 1), **OFFICIAL)),
    ("resnest26d", resnest(layers=(2, 2, 2, 2), **OFFICIAL)),
    ("resnest50d_1s4x24d", resnest("1s4x24d", layers=(3, 4, 6, 3), **FAST)),
    ("resnest50d_4s2x40d", resnest("4s2x40d", layers=(3, 4, 6, 3), **FAST)),
    ("resnet26", resnest("0s1x64d", layers=(2, 2, 2, 2), stem="conv7", **CLASSIC)),
    ("resnet26d", resnest("0s1x64d", layers=(2, 2, 2, 2), **CLASSIC | {"avg_down": True})),
]


def randomise_norms(model: nn.Module) -> nn.Module:
    """As after training: timm starts the last norms at 0, which would hide what a block does."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.running_mean, std=0.1)
    return model


def same_weights(variant: ResNestVariant, reference: str) -> tuple[nn.Module, nn.Module]:
    theirs = randomise_norms(timm.create_model(reference, num_classes=10)).eval()
    ours = build_model(variant, num_classes=10).eval()
    shapes = [{k: v.shape for k, v in model.state_dict().items()} for model in (ours, theirs)]
    assert shapes[0] == shapes[1]
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@pytest.mark.parametrize(("reference", "variant"), REFERENCES, ids=[name for name, _ in REFERENCES])
def test_same_weights_same_output_as_timm(reference, variant):
    ours, theirs = same_weights(variant, reference)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(ours(images), theirs(images))


def test_pooling_before_the_3x3_is_another_function():
    ours, theirs = same_weights(resnest(**FAST), "resnest14d")
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert not torch.allclose(ours(images), theirs(images))


@pytest.mark.parametrize("num_stages", [1, 2, 3])
def test_fewer_stages_are_the_first_ones(num_stages):
    theirs = randomise_norms(timm.create_model("resnest26d", num_classes=10)).eval()
    ours = build_model(resnest(layers=(2,) * num_stages, **OFFICIAL), num_classes=10).eval()
    kept = {k: v for k, v in theirs.state_dict().items() if k in ours.state_dict()}
    ours.load_state_dict({k: v for k, v in kept.items() if k[:3] != "fc."}, strict=False)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        _, stages = theirs.forward_intermediates(images)
        seen = ours.forward_features(images)
    assert torch.equal(seen, stages[num_stages])  # stages[0] is the stem
    assert ours.fc.in_features == 256 * 2 ** (num_stages - 1)
    assert len(ours.feature_info) == num_stages + 1


# 64x64 images: the stem leaves 16x16, the second stage halves it.
@pytest.mark.parametrize("radix", [0, 1, 2])
@pytest.mark.parametrize(
    ("avd", "avd_first", "sizes"),
    [
        (True, True, (8, 8)),
        (True, False, (16, 16)),
        (False, False, (16, 8)),
        (False, True, (16, 8)),
    ],
)
def test_where_a_block_downsamples(radix, avd, avd_first, sizes):
    model = build_model(resnest(f"{radix}s1x64d", avd=avd, avd_first=avd_first), 10).eval()
    seen = []
    model.layer2[0].conv2.register_forward_hook(
        lambda module, args, out: seen.append((args[0].shape[-1], out.shape[-1]))
    )
    assert model.forward_features(torch.randn(1, 3, 64, 64)).shape == (1, 2048, 2, 2)
    assert seen == [sizes]


@pytest.mark.parametrize(("avg_down", "strides"), [(True, [2, 1]), (False, [2])])
def test_avg_down_pools_in_the_shortcut(avg_down, strides):
    shortcut = build_model(resnest(avg_down=avg_down), 10).layer3[0].downsample
    strided = [m for m in shortcut if isinstance(m, nn.AvgPool2d | nn.Conv2d)]
    assert [m.stride if isinstance(m.stride, int) else m.stride[0] for m in strided] == strides
    assert isinstance(strided[0], nn.AvgPool2d) is avg_down
    assert strided[-1].kernel_size == (1, 1)


@pytest.mark.parametrize(
    ("stem", "kernels", "size"), [("deep", [3, 3, 3], 8), ("conv7", [7], 8), ("small", [3], 32)]
)
def test_stems_at_32x32(stem, kernels, size):
    model = build_model(resnest(stem=stem), 10).eval()
    convs = [m for m in model.conv1.modules() if isinstance(m, nn.Conv2d)]
    assert [conv.kernel_size[0] for conv in convs] == kernels
    assert all(conv.bias is None for conv in convs)
    stem_out = model.maxpool(model.act1(model.bn1(model.conv1(torch.randn(1, 3, 32, 32)))))
    assert stem_out.shape == (1, 64, size, size)


def test_stem_width_sets_the_deep_stem_alone():
    deep = build_model(resnest(stem_width=48), 10)
    assert [deep.conv1[i].out_channels for i in (0, 3, 6)] == [48, 48, 96]
    assert build_model(resnest(stem="conv7", stem_width=48), 10).conv1.out_channels == 64


def test_zero_last_gamma_makes_a_block_an_identity():
    plain = build_model(resnest(layers=(2,)), 10)
    assert all((block.bn3.weight == 1).all() for block in plain.layer1)
    zeroed = build_model(resnest(layers=(2,)), 10, zero_last_gamma=True)
    x_BCHW = torch.rand(2, 256, 4, 4)  # positive, as after a ReLU
    assert torch.equal(zeroed.layer1[1](x_BCHW), x_BCHW)
    others = [m for m in zeroed.modules() if isinstance(m, nn.BatchNorm2d)]
    assert sum(int((m.weight == 0).all()) for m in others) == 2


@pytest.mark.parametrize(
    ("variant", "rule"),
    [
        (resnest("3s1x64d"), "radix must divide .* multiple of 3"),
        (resnest("3s2x40d"), "3 does not divide 40"),
        # 3 groups of 3 channels: attention width 32.
        (resnest("1s3x3d"), "cardinality must divide the attention width .* 3 does not divide 32"),
    ],
)
def test_groups_of_unequal_size_are_refused(variant, rule):
    with pytest.raises(UserError, match=rule):
        check_buildable(variant)


def test_a_batch_of_one_image_trains_nowhere_but_is_evaluated():
    # Batch norm of one value a channel has no variance; the data floor never yields such a batch.
    model = build_model(resnest(), 10)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        model.train()(torch.randn(1, 3, 32, 32))
    assert model.eval()(torch.randn(1, 3, 32, 32)).shape == (1, 10)
