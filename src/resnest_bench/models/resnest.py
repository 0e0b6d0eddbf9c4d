"""ResNet and ResNeSt bottleneck nets: `<radix>s<cardinality>x<width>d` at any list of layers.

Papers: He et al., arXiv:1512.03385; Zhang et al., arXiv:2004.08955 (split attention, avd,
avg_down as of arXiv:1812.01187, deep stem).

Origin: timm's `ResNet` and `ResNestBottleneck`. Deviations from them:
- The attention width is max(channels * radix // 4, 32) exactly, as in the paper's code; timm
  rounds it to a multiple of 8 (36 becomes 40 at 3s1x48d). Both agree in every published net.
- Nets of one to three stages: the missing ones are `nn.Identity`.
- `stem: small`.
- Stochastic depth is not offered: timm's block applies it after the shortcut is saved, so that
  identity blocks ignore it.
"""

from typing import Any

from timm.layers import SplitAttn
from timm.models.resnest import ResNestBottleneck
from timm.models.resnet import ResNet
from torch import nn

from resnest_bench.errors import UserError
from resnest_bench.models.split_attention import attention_width
from resnest_bench.specs import ResNestVariant

PLANES = (64, 128, 256, 512)
STEM_TYPES = {"deep": "deep", "conv7": "", "small": ""}


def group_width(planes: int, width: int, cardinality: int) -> int:
    """Channels of a block's 3x3: int(planes * width / 64) in each cardinal group."""
    return int(planes * (width / 64)) * cardinality


class Bottleneck(ResNestBottleneck):
    """timm's block with the paper's attention width. Arguments are timm's."""

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        radix: int = 1,
        **options: Any,
    ) -> None:
        # Radix 0 first: timm would build its own attention, whose width can be impossible.
        super().__init__(inplanes, planes, stride, downsample, radix=0, **options)
        if not radix:
            return
        self.radix = radix
        plain = self.conv2
        assert isinstance(plain, nn.Conv2d)
        self.conv2 = _attention(plain, radix, options.get("norm_layer", nn.BatchNorm2d))
        # The attention block has its own norm and activation.
        self.bn2, self.act2 = nn.Identity(), nn.Identity()


def _attention(plain: nn.Conv2d, radix: int, norm_layer: type[nn.Module]) -> SplitAttn:
    """timm's split attention in place of the grouped convolution `plain`."""
    width = attention_width(plain.in_channels, radix)
    return SplitAttn(
        plain.in_channels,
        kernel_size=3,
        stride=plain.stride[0],
        padding=1,
        groups=plain.groups,
        radix=radix,
        # timm multiplies by the ratio and rounds to the divisor: this gives `width` exactly.
        rd_ratio=width / (plain.in_channels * radix),
        rd_divisor=1,
        norm_layer=norm_layer,
    )


def build_resnest(
    variant: ResNestVariant, num_classes: int, dropout: float, zero_last_gamma: bool, in_chans: int
) -> nn.Module:
    """Images (B, in_chans, H, W) to logits (B, num_classes).

    Args:
        dropout: probability before the classifier.
        zero_last_gamma: start each block's last norm (bn3) at scale 0, so that it is an identity.

    Raises UserError where radix or cardinality leaves groups of unequal size.
    """
    _check_groups(variant)
    missing = len(PLANES) - len(variant.layers)
    net = ResNet(
        block=Bottleneck,  # type: ignore[arg-type]  # timm's annotation lacks the type[...]
        # A missing stage is built with one block and cut off again: timm divides by the number
        # of blocks minus one, and its forward names four stages.
        layers=(*variant.layers, *[1] * missing),
        num_classes=num_classes,
        in_chans=in_chans,
        cardinality=variant.cardinality,
        base_width=variant.width,
        stem_type=STEM_TYPES[variant.stem],
        stem_width=variant.stem_width if variant.stem == "deep" else 64,
        avg_down=variant.avg_down,
        drop_rate=dropout,
        zero_init_last=zero_last_gamma,
        block_args={"radix": variant.radix, "avd": variant.avd, "avd_first": variant.avd_first},
    )
    if variant.stem == "small":
        _use_small_stem(net, in_chans)
    _cut_stages(net, len(variant.layers))
    return net


def _check_groups(variant: ResNestVariant) -> None:
    if not variant.radix:
        return
    if variant.width % variant.radix:
        raise UserError(
            f"variant {variant.name}: radix must divide a cardinal group's channels, which are "
            f"width at 64 planes, since each split convolves its share of them, but {variant.radix} "
            f"does not divide {variant.width}: take a width that is a multiple of {variant.radix}"
        )
    for planes in PLANES[: len(variant.layers)]:
        channels = group_width(planes, variant.width, variant.cardinality)
        middle = attention_width(channels, variant.radix)
        if middle % variant.cardinality:
            raise UserError(
                f"variant {variant.name}: cardinality must divide the attention width "
                f"max(channels * radix // 4, 32), but {variant.cardinality} does not divide "
                f"{middle} (at {channels} channels): take another cardinality or a larger width"
            )


def _use_small_stem(net: nn.Module, in_chans: int) -> None:
    """One 3x3 with stride 1 and no max-pool: 32x32 images keep their resolution."""
    native = net.get_submodule("conv1")
    assert isinstance(native, nn.Conv2d)
    small = nn.Conv2d(in_chans, native.out_channels, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(small.weight, mode="fan_out", nonlinearity="relu")
    net.conv1 = small
    net.maxpool = nn.Identity()


def _cut_stages(net: ResNet, num_stages: int) -> None:
    """Leave the first `num_stages` stages, with a classifier that fits them."""
    if num_stages == len(PLANES):
        return
    for stage in range(num_stages, len(PLANES)):
        setattr(net, f"layer{stage + 1}", nn.Identity())
    net.feature_info = net.feature_info[: num_stages + 1]
    net.num_features = PLANES[num_stages - 1] * Bottleneck.expansion
    net.reset_classifier(net.num_classes)
