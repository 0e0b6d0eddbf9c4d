"""Variants: the networks of a study (floor 1)."""

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field, JsonValue, field_validator, model_validator

from resnest_bench.digests import digest_source
from resnest_bench.specs.base import CountInt, Name, Number, PositiveInt, Probability, Spec


class VariantBase(Spec):
    NO_RESULT: ClassVar[frozenset[str]] = frozenset({"name", "note"})

    name: Name = Field(description="Shown in tables; also a folder name")
    dropout: Probability | None = Field(
        default=None, description="Dropout before the classifier; null: the recipe's"
    )
    note: str = Field(default="", description="Free text for readers, without effect")

    def as_dict(self) -> dict[str, Any]:
        """Return the spec without the note, so that changing it makes no record stale."""
        return self.model_dump(mode="json", exclude={"note"})


# Modules of timm's `create_attn` that keep the shape of a map (B, C, H, W) and can be added to a block.
# Without gather-excite (ge), which can't be built in timm 1.0.31.
Attention = Literal[
    "none",
    "se",
    "ese",
    "eca",
    "ceca",
    "cbam",
    "lcbam",
    "coord",
    "scoord",
    "ela",
    "strip",
    "gc",
    "gca",
]
# Kernel sizes of splits; 5 and 7 are a 3x3 with dilation 2 and 3.
Kernel = Literal[3, 5, 7]
PER_STAGE = ("radix", "cardinality", "width")
# Of channels: 1/8 leaves a bottleneck of eight channels in the first stage.
Scale = Annotated[Number, Field(ge=0.125, le=8)]


class ResNestVariant(VariantBase):
    """A bottleneck ResNet or ResNeSt: `<radix>s<cardinality>x<width>d` with any list of layers.

    Source: Zhang et al., ResNeSt: Split-Attention Networks, arXiv:2004.08955.
    """

    family: Literal["resnest"]
    layers: tuple[PositiveInt, ...] = Field(
        description="Blocks in each stage, one to four stages; depth = 2 + 3 * sum"
    )
    radix: CountInt | tuple[CountInt, ...] = Field(
        description="Splits inside a cardinal group; 0 is a plain convolution, 1 the SE gate. One number, "
        "or a list with one for each stage, like [0, 0, 2, 2]"
    )
    cardinality: PositiveInt | tuple[PositiveInt, ...] = Field(
        default=1, description="Cardinal groups. One number, or a list with one for each stage"
    )
    width: PositiveInt | tuple[PositiveInt, ...] = Field(
        default=64,
        description="Base width: channels of a cardinal group at 64 planes, a multiple of radix. One "
        "number, or a list with one for each stage",
    )
    channels: Scale = Field(
        default=1.0,
        description="Scales the widths of stem and stages, each rounded to a multiple of 8, like 0.5",
    )
    gate: Literal["attention", "uniform", "sigmoid"] = Field(
        default="attention",
        description="Weights of the splits. attention: softmax over the splits, as in the paper. uniform: "
        "1 / radix each, without parameters: the control. sigmoid: each split by itself",
    )
    kernels: Kernel | tuple[Kernel, ...] = Field(
        default=3,
        description="Kernel size of the splits: 3, 5 or 7, or a list with one for each split, like [3, 5]: "
        "selective kernels. As in their paper, 5 and 7 are a 3x3 with dilation 2 and 3, without more "
        "parameters",
    )
    attention: Attention = Field(
        default="none",
        description="Another attention at the end of each block, before the shortcut's sum: a name of "
        "timm's create_attn (docs/methods.md)",
    )
    stem: Literal["deep", "conv7", "small"] = Field(
        description="deep: three 3x3, the first with stride 2, then max-pool. conv7: one 7x7 with "
        "stride 2, then max-pool. small: one 3x3 with stride 1 and no max-pool, for 32x32 images"
    )
    stem_width: PositiveInt = Field(
        default=32,
        description="Channels of the deep stem's first two convolutions; its third has twice",
    )
    avg_down: bool = Field(
        default=True, description="Shortcut downsamples by average pooling before its 1x1"
    )
    avd: bool = Field(
        default=True, description="Downsample inside a block by average pooling instead of a stride"
    )
    avd_first: bool = Field(
        default=True, description="Put that pooling before the 3x3 instead of after it"
    )

    @field_validator("layers")
    @classmethod
    def _one_to_four_stages(cls, layers: tuple[int, ...]) -> tuple[int, ...]:
        if not 1 <= len(layers) <= 4:
            raise ValueError(
                f"layers lists the blocks of one to four stages, like [1, 1, 1, 1], "
                f"but got {list(layers)}"
            )
        return layers

    @field_validator("attention", mode="before")
    @classmethod
    def _known_attention(cls, name: Any) -> Any:
        known = get_args(Attention)
        if not isinstance(name, str) or name in known:
            return name
        from difflib import get_close_matches

        close = get_close_matches(name.lower(), known, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else "choose one of these"
        raise ValueError(f"attention must be one of {', '.join(known)}, but got {name!r}: {hint}")

    @model_validator(mode="after")
    def _check_stages(self) -> "ResNestVariant":
        for name in PER_STAGE:
            values = getattr(self, name)
            if isinstance(values, int):
                continue
            if len(values) != len(self.layers):
                raise ValueError(
                    f"{name} is one number, or a list with one for each of the {len(self.layers)} stages "
                    f"in layers, but got {list(values)}"
                )
            if len(set(values)) == 1:
                # The same network must have the same spec, and so the same record.
                object.__setattr__(self, name, values[0])
        return self

    @model_validator(mode="after")
    def _gate_has_splits(self) -> "ResNestVariant":
        if self.gate != "attention" and not any(radix for radix, *_ in self.list_stages()):
            raise ValueError(
                f"gate {self.gate} weighs the splits of a cardinal group, but with radix 0 there are none: "
                "remove gate, or take radix 1 or more"
            )
        return self

    @model_validator(mode="after")
    def _kernels_fit_the_splits(self) -> "ResNestVariant":
        if self.kernels == 3:
            return self
        radices = {radix for radix, *_ in self.list_stages()}
        if isinstance(self.kernels, int):
            if 0 in radices:
                raise ValueError(
                    f"kernels sets the kernel size of splits, but got {self.kernels} with radix 0, which has "
                    "none: take radix 1 or more in every stage, or remove kernels"
                )
            return self
        if radices != {len(self.kernels)}:
            raise ValueError(
                f"kernels is one size, or a list with one for each split, but got {list(self.kernels)} with "
                f"radix {stages_text(self.radix)}: list as many sizes as radix, the same radix in every stage"
            )
        if len(set(self.kernels)) == 1:
            # As with lists per stage: the same network has the same spec.
            object.__setattr__(self, "kernels", self.kernels[0])
        return self

    def list_stages(self) -> list[tuple[int, int, int]]:
        """Return (radix, cardinality, width) of each stage."""
        columns = []
        for name in PER_STAGE:
            values = getattr(self, name)
            columns.append((values,) * len(self.layers) if isinstance(values, int) else values)
        return list(zip(*columns, strict=True))

    @property
    def setting(self) -> str:
        """'2s1x64d', '0-0-2-2s1x64d', or '2s1x64d, channels 0.5, gate uniform, attention eca'."""
        radix, cardinality, width = (stages_text(getattr(self, name)) for name in PER_STAGE)
        return ", ".join([f"{radix}s{cardinality}x{width}d", *self.changes])

    @property
    def changes(self) -> list[str]:
        """Describe differences from the paper that `<radix>s<cardinality>x<width>d` doesn't show."""
        parts = {
            f"channels {self.channels:g}": self.channels != 1,
            f"gate {self.gate}": self.gate != "attention",
            f"kernels {stages_text(self.kernels)}": self.kernels != 3,
            f"attention {self.attention}": self.attention != "none",
        }
        return [text for text, differs in parts.items() if differs]

    @property
    def depth(self) -> int:
        return 2 + 3 * sum(self.layers)

    @property
    def architecture(self) -> str:
        """Return the name of the family for readers, which also selects colours in charts."""
        return "resnest"


def stages_text(values: int | tuple[int, ...]) -> str:
    """Format like '2', or '0-0-2-2' for one number per stage."""
    return str(values) if isinstance(values, int) else "-".join(map(str, values))


def _guess_architecture(name: str) -> str:
    plain = re.sub(r"^(tf|legacy|test)_", "", name.lower())
    found = re.match(r"([a-z]*?)(?=v?\d|_|\.|$)", plain)
    return (found and found[1]) or name


class TimmVariant(VariantBase):
    """Any model that `timm.list_models()` names."""

    family: Literal["timm"]
    model: str = Field(
        description="timm's name, like efficientnet_b0. Weights are random: a name with a pretrained "
        "tag is refused in a train block, and a finetune block loads weights"
    )
    stem: Literal["native", "small"] = Field(
        default="native",
        description="small: the first convolution becomes 3x3 with stride 1, and a max-pool after "
        "it goes",
    )
    args: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="More keyword arguments of timm.create_model, lists and mappings too, like "
        "{block_args: {attn_layer: cbam}}. Where a network is made for one image size and cannot "
        "take the dataset's, img_size is set without being listed here; describe says so",
    )

    @property
    def architecture(self) -> str:
        """Return timm's name without source, version and size: tf_efficientnetv2_s -> efficientnet."""
        return _guess_architecture(self.model)

    @property
    def pretrained_tag(self) -> str:
        """Return the tag of pretrained weights in timm's name, like a1_in1k; or ''."""
        return self.model.partition(".")[2]

    @field_validator("args")
    @classmethod
    def _no_clash(cls, args: dict[str, Any]) -> dict[str, Any]:
        taken = {"pretrained", "num_classes", "checkpoint_path", "drop_rate", "in_chans"} & set(
            args
        )
        if taken:
            raise ValueError(f"args must not set {', '.join(sorted(taken))}: the workflow does")
        return args


class ClassicVariant(VariantBase):
    """A network for small images that timm lacks: three from before ResNet, and MLPerf Tiny's ResNet-8."""

    family: Literal["classic"]
    model: Literal["lenet5", "alexnet", "googlenet", "resnet8"] = Field(
        description="lenet5, alexnet, googlenet or resnet8; docs/methods.md says how each differs from its "
        "source"
    )

    @property
    def stem(self) -> str:
        """Like in other families; these networks have only this stem."""
        return "small"

    @property
    def architecture(self) -> str:
        return self.model.rstrip("0123456789")


class AirbenchVariant(VariantBase):
    """A network of six convolutions behind a whitening stem, made for fast trainings on small images.

    Source: Jordan, 94% on CIFAR-10 in 3.29 seconds on a single GPU, arXiv:2404.00498.
    """

    family: Literal["airbench"]
    widths: tuple[PositiveInt, PositiveInt, PositiveInt] = Field(
        default=(64, 256, 256), description="Channels of the three groups of two convolutions"
    )
    stem: Literal["whitening", "random"] = Field(
        default="whitening",
        description="The first convolution, 2x2. whitening: its weights are computed from training images "
        "and stay. random: drawn and trained like the others, as a control",
    )

    @property
    def architecture(self) -> str:
        return "airbench"


class PythonVariant(VariantBase):
    """A network in your own Python file, which is run only to build the network."""

    # The path doesn't affect results: `source_digest` stands for the contents.
    NO_RESULT: ClassVar[frozenset[str]] = frozenset({"name", "note", "file"})

    family: Literal["python"]
    file: str = Field(
        pattern=r"\.py$",
        description="Path of the file, relative to the current folder. It may import from its own folder",
    )
    build: str = Field(
        default="build",
        pattern=r"^[A-Za-z_]\w*$",
        description="Its function or class: called with num_classes and args, it gives an nn.Module of "
        "logits (B, num_classes). It gets drop_rate and in_chans (the channels of an image) too if it "
        "takes them",
    )
    args: dict[str, JsonValue] = Field(default_factory=dict, description="More keyword arguments")
    source_digest: str | None = Field(
        default=None,
        description="SHA-256 of the file and its imports from the same folder; set automatically",
    )

    @property
    def stem(self) -> str:
        """Like in other families; this network is not changed."""
        return "native"

    @property
    def architecture(self) -> str:
        """Return the name of the file: its networks belong together."""
        return Path(self.file).stem

    @field_validator("args")
    @classmethod
    def _no_clash(cls, args: dict[str, Any]) -> dict[str, Any]:
        taken = {"num_classes", "drop_rate", "in_chans"} & set(args)
        if taken:
            raise ValueError(f"args must not set {', '.join(sorted(taken))}: the workflow does")
        return args

    @model_validator(mode="after")
    def _read_source(self) -> "PythonVariant":
        # Keep the digest from a record or study.json: it is the version that was planned.
        if self.source_digest is None and Path(self.file).is_file():
            object.__setattr__(self, "source_digest", digest_source(Path(self.file)))
        return self


class ImportedVariant(VariantBase):
    """A network of which only results are known: `resnest-bench import` has read them (docs/import.md)."""

    family: Literal["imported"]

    @property
    def stem(self) -> str:
        """As in the other families; nothing is known of this network."""
        return "unknown"

    @property
    def architecture(self) -> str:
        """The beginning of its name: names of networks usually say what they are."""
        return _guess_architecture(self.name)


VariantSpec = Annotated[
    ResNestVariant
    | TimmVariant
    | ClassicVariant
    | AirbenchVariant
    | PythonVariant
    | ImportedVariant,
    Field(discriminator="family"),
]
FAMILIES = {
    "resnest": ResNestVariant,
    "timm": TimmVariant,
    "classic": ClassicVariant,
    "airbench": AirbenchVariant,
    "python": PythonVariant,
    "imported": ImportedVariant,
}
