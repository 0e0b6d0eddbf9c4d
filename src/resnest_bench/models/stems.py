"""The small-image stem, for every family: 3x3, stride 1, no max-pool."""

from torch import nn

from resnest_bench.errors import UserError


def first_convolution(model: nn.Module, name: str) -> nn.Conv2d | None:
    """The module called `name` (dotted), if it is a convolution of three-channel images."""
    try:
        module = model.get_submodule(name)
    except AttributeError:
        return None
    fits = isinstance(module, nn.Conv2d) and module.in_channels == 3 and module.groups == 1
    return module if fits else None


def use_small_stem(model: nn.Module, name: str) -> None:
    """Replace convolution `name` by a 3x3 one of stride 1, and the max-pool after the stem by nothing.

    Raises UserError where there is no such convolution, or where it cuts patches.
    """
    old = first_convolution(model, name)
    if old is None or max(old.stride) > 2:
        raise UserError(
            "stem: small replaces a first convolution with stride 1 or 2, which this model has not: "
            "leave stem: native"
        )
    new = nn.Conv2d(
        3,
        old.out_channels,
        kernel_size=3,
        stride=1,
        padding=1,
        bias=old.bias is not None,
        device=old.weight.device,
        dtype=old.weight.dtype,
    )
    if not new.weight.is_meta:
        nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
        if new.bias is not None:
            nn.init.zeros_(new.bias)
    parent, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(parent), leaf, new)
    if isinstance(getattr(model, "maxpool", None), nn.Module):
        model.maxpool = nn.Identity()
