"""ResNet and ResNeSt bottleneck nets: `<radix>s<cardinality>x<width>d` at any list of layers.

Papers: He et al., arXiv:1512.03385; Zhang et al., arXiv:2004.08955 (split attention, avd,
avg_down as of arXiv:1812.01187, deep stem).

Origin: timm's `ResNet` and `ResNestBottleneck`. Deviations from them:
- The attention width is max(channels * radix // 4, 32) exactly, as in the paper's code; timm
  rounds it to a multiple of 8 (36 becomes 40 at 3s1x48d). Both agree in every published net.
- Networks with fewer than four stages: the missing ones are `nn.Identity`.
- Radix, cardinality and width can differ between stages (`StageBlocks`).
- `channels` scales the stem's and the stages' widths, rounded by timm's `make_divisible` to multiples of 8,
  as in arXiv:1704.04861 and its successors.
- `attention`: a module of timm's `create_attn` after the block's last norm and before the shortcut's sum,
  where timm's ResNets have it. timm's own ResNeSt doesn't support it.
- `gate`: other weights for the splits (`split_gates`). `kernels`: other kernel sizes (`split_kernels`).
- `stem: small`.
- Stochastic depth is not offered: timm's block applies it after the shortcut is saved, so that
  identity blocks ignore it.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from timm.layers import SplitAttn, create_attn, make_divisible
from timm.models.resnest import ResNestBottleneck
from timm.models.resnet import ResNet
from torch import Tensor, nn

from resnest_bench.errors import UserError
from resnest_bench.models.split_attention import attention_width
from resnest_bench.models.split_gates import IndependentGates, UniformSplits
from resnest_bench.models.split_kernels import KERNEL_SIZE, scale_kernels, use_kernels
from resnest_bench.specs import ResNestVariant

PLANES = (64, 128, 256, 512)
STEM_TYPES = {"deep": "deep", "conv7": "", "small": ""}
# Channels of the stems that are one convolution.
PLAIN_STEM_WIDTH = 64
DIVISOR = 8


def group_width(planes: int, width: int, cardinality: int) -> int:
    """Return the channels of each cardinal group in a block's 3x3: int(planes * width / 64)."""
    return int(planes * (width / 64)) * cardinality


class Bottleneck(ResNestBottleneck):
    """timm's block with the paper's attention width, and optionally another gate and attention at its end.

    Arguments are those of timm, `gate`, `kernels` (the kernel size of each split, or of all), and `attention` (a
    name of `create_attn`, or "none").
    """

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        radix: int = 1,
        gate: str = "attention",
        kernels: int | tuple[int, ...] = KERNEL_SIZE,
        attention: str = "none",
        **options: Any,
    ) -> None:
        # Build with radix 0 first: timm's own attention can have an impossible width.
        super().__init__(inplanes, planes, stride, downsample, radix=0, **options)
        if radix:
            self.radix = radix
            plain = self.conv2
            assert isinstance(plain, nn.Conv2d)
            norm_layer = options.get("norm_layer", nn.BatchNorm2d)
            splits = _splits(plain, radix, gate, norm_layer)
            if kernels != KERNEL_SIZE:
                sizes = (kernels,) * radix if isinstance(kernels, int) else kernels
                use_kernels(splits, sizes, norm_layer)
            self.set_submodule("conv2", splits)
            # The attention block has its own norm and activation.
            self.bn2, self.act2 = nn.Identity(), nn.Identity()
        # The name is that in timm's ResNets.
        self.se: nn.Module | None = None
        if attention != "none":
            # timm has no annotations here.
            self.se = create_attn(attention, planes * self.expansion)  # type: ignore[no-untyped-call]

    def forward(self, x_BCHW: Tensor) -> Tensor:
        if self.se is None:
            plain_BCHW: Tensor = super().forward(x_BCHW)  # type: ignore[no-untyped-call]
            return plain_BCHW
        out_BCHW: Tensor = self.act1(self.bn1(self.conv1(x_BCHW)))
        if self.avd_first is not None:
            out_BCHW = self.avd_first(out_BCHW)
        out_BCHW = self.act2(self.bn2(self.conv2(out_BCHW)))
        if self.avd_last is not None:
            out_BCHW = self.avd_last(out_BCHW)
        out_BCHW = self.se(self.bn3(self.conv3(out_BCHW)))
        shortcut_BCHW = x_BCHW if self.downsample is None else self.downsample(x_BCHW)
        sum_BCHW: Tensor = self.act3(out_BCHW + shortcut_BCHW)
        return sum_BCHW


@dataclass(frozen=True)
class StageBlocks:
    """Builds the blocks of one stage: timm calls it like the class of a block."""

    radix: int
    cardinality: int
    base_width: int
    expansion: ClassVar[int] = Bottleneck.expansion

    def __call__(self, *args: Any, **options: Any) -> Bottleneck:
        return Bottleneck(*args, **{**options, **vars(self)})


def _splits(
    plain: nn.Conv2d, radix: int, gate: str, norm_layer: type[nn.Module]
) -> SplitAttn | UniformSplits:
    """Return timm's split attention or its control, which replaces the grouped convolution `plain`."""
    if gate == "uniform":
        return UniformSplits(plain, radix, norm_layer)
    width = attention_width(plain.in_channels, radix)
    block = SplitAttn(
        plain.in_channels,
        kernel_size=3,
        stride=plain.stride[0],
        padding=1,
        groups=plain.groups,
        radix=radix,
        # timm multiplies by the ratio and rounds to the divisor: so the result is exactly `width`.
        rd_ratio=width / (plain.in_channels * radix),
        rd_divisor=1,
        norm_layer=norm_layer,
    )
    if gate == "sigmoid":
        block.rsoftmax = IndependentGates(radix, plain.groups)
    return block


def build_resnest(
    variant: ResNestVariant, num_classes: int, dropout: float, zero_last_gamma: bool, in_chans: int
) -> nn.Module:
    """Build a network: images (B, in_chans, H, W) to logits (B, num_classes).

    Args:
        dropout: probability before the classifier.
        zero_last_gamma: start each block's last norm (bn3) at scale 0, so that it is an identity.

    Raises UserError if radix or cardinality would make groups of unequal size.
    """
    planes = [scale_channels(width, variant.channels) for width in PLANES]
    _check_groups(variant, planes)
    missing = len(PLANES) - len(variant.layers)
    net = ResNet(
        # timm's code accepts one class per stage, but its annotation doesn't.
        block=_stage_blocks(variant),  # type: ignore[arg-type]
        # Missing stages are built with one block and removed afterwards: timm divides by the number
        # of blocks minus one, and its forward expects four stages.
        layers=(*variant.layers, *[1] * missing),
        num_classes=num_classes,
        in_chans=in_chans,
        channels=tuple(planes),
        avg_down=variant.avg_down,
        drop_rate=dropout,
        zero_init_last=zero_last_gamma,
        block_args={
            "avd": variant.avd,
            "avd_first": variant.avd_first,
            "gate": variant.gate,
            "kernels": variant.kernels,
            "attention": variant.attention,
        },
        **_stem_options(variant),
    )
    if variant.stem == "small":
        _use_plain_stem(net, in_chans, kernel_size=3, stride=1)
        # 32x32 images keep their resolution.
        net.set_submodule("maxpool", nn.Identity())
    elif variant.stem == "conv7" and variant.channels != 1:
        _use_plain_stem(net, in_chans, kernel_size=7, stride=2)
    scale_kernels(net)
    _cut_stages(net, planes[: len(variant.layers)])
    return net


def scale_channels(width: int, channels: float) -> int:
    """Scale `width` to a multiple of 8 that is at least 0.9 of the product; unchanged for 1."""
    if channels == 1:
        return width
    rounded: int = make_divisible(width * channels, DIVISOR)  # type: ignore[no-untyped-call]
    return rounded


def _stage_blocks(variant: ResNestVariant) -> list[StageBlocks]:
    """Return the blocks of four stages; stages that the variant lacks are like its last one."""
    stages = variant.list_stages()
    return [StageBlocks(*stage) for stage in (*stages, *stages[-1:] * (len(PLANES) - len(stages)))]


def _stem_options(variant: ResNestVariant) -> dict[str, Any]:
    if variant.stem == "deep":
        width = scale_channels(variant.stem_width, variant.channels)
        return {"stem_type": "deep", "stem_width": width}
    if variant.channels == 1:
        return {"stem_type": "", "stem_width": PLAIN_STEM_WIDTH}
    # timm's plain stem always has 64 channels; its deep stem ends in twice its width.
    return {
        "stem_type": "deep",
        "stem_width": scale_channels(PLAIN_STEM_WIDTH, variant.channels) // 2,
    }


def _use_plain_stem(net: nn.Module, in_chans: int, kernel_size: int, stride: int) -> None:
    """Replace everything before the first norm by one convolution."""
    norm, padding = net.get_submodule("bn1"), kernel_size // 2
    assert isinstance(norm, nn.BatchNorm2d)
    stem = nn.Conv2d(in_chans, norm.num_features, kernel_size, stride, padding, bias=False)
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
    net.set_submodule("conv1", stem)


def _check_groups(variant: ResNestVariant, planes: list[int]) -> None:
    """Raise UserError if radix or cardinality would make groups of unequal size in a stage."""
    scaled = variant.channels != 1
    for number, (radix, cardinality, width) in enumerate(variant.list_stages()):
        share = group_width(planes[number], width, 1)
        where = f"variant {variant.name}, stage {number + 1}"
        if not share:
            raise UserError(
                f"{where}: width must leave a cardinal group one channel or more, but {width} at "
                f"{planes[number]} planes leaves none: take a larger width or channels"
            )
        if not radix:
            continue
        if share % radix:
            advice = (
                "another width or channels" if scaled else f"a width that is a multiple of {radix}"
            )
            raise UserError(
                f"{where}: radix must divide a cardinal group's channels, since each split convolves its "
                f"share of them, but {radix} does not divide {share} (width {width} at "
                f"{planes[number]} planes): take {advice}"
            )
        if variant.gate != "uniform":
            _check_attention(where, share * cardinality, radix, cardinality)


def _check_attention(where: str, channels: int, radix: int, cardinality: int) -> None:
    middle = attention_width(channels, radix)
    if middle % cardinality:
        raise UserError(
            f"{where}: cardinality must divide the attention width max(channels * radix // 4, 32), but "
            f"{cardinality} does not divide {middle} (at {channels} channels): take another cardinality "
            "or a larger width"
        )


def _cut_stages(net: ResNet, planes: list[int]) -> None:
    """Remove the stages that are not in `planes`, and fit the classifier."""
    num_stages = len(planes)
    if num_stages == len(PLANES):
        return
    for stage in range(num_stages, len(PLANES)):
        setattr(net, f"layer{stage + 1}", nn.Identity())
    net.feature_info = net.feature_info[: num_stages + 1]
    net.num_features = planes[-1] * Bottleneck.expansion
    net.reset_classifier(net.num_classes)
