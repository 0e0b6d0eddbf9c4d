"""Adapt networks and weights for RGB to other numbers of channels.

The dataset decides how many channels there are.

Source of the conversion: `timm.models.adapt_input_conv`, as timm's `create_model(in_chans=...)` applies it.
"""

import torch
from timm.models import adapt_input_conv
from torch import Tensor

RGB = 3


def adapt_first_convolution(
    weights: dict[str, Tensor], wanted: dict[str, Tensor]
) -> tuple[dict[str, Tensor], list[str]]:
    """Convert the RGB convolutions of `weights` to the channels in `wanted`; also return their names.

    A kernel (O, 3, h, w) that should be (O, C, h, w) sees the image: all other layers are the same for any
    number of channels. For one channel, it is summed over RGB, so that gray images have the same outputs as
    in RGB. For more channels, RGB is repeated and scaled by 3 / C, so that sums keep their size. Other
    tensors are not changed.
    """
    converted = [
        name for name in weights if name in wanted and _sees_rgb(weights[name], wanted[name])
    ]
    changed = {name: _adapt(weights[name], wanted[name].shape[1]) for name in converted}
    return {**weights, **changed}, converted


def _sees_rgb(given: Tensor, wanted: Tensor) -> bool:
    if given.ndim != 4 or wanted.ndim != 4 or given.shape[1] != RGB or wanted.shape[1] == RGB:
        return False
    return given.shape[0] == wanted.shape[0] and given.shape[2:] == wanted.shape[2:]


def _adapt(kernel_OCHW: Tensor, in_chans: int) -> Tensor:
    # timm doesn't modify its argument.
    adapted: Tensor = adapt_input_conv(in_chans, kernel_OCHW)
    return adapted.to(kernel_OCHW.dtype)


def adapt_stats(
    stats: tuple[tuple[float, ...], tuple[float, ...]], in_chans: int
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Convert (mean, std) of RGB to `in_chans` channels; None if there is no equivalent.

    Gray gets the averages over RGB.
    """
    if in_chans == RGB:
        return stats
    if in_chans == 1:
        mean, std = (torch.tensor(values).mean().item() for values in stats)
        return (mean,), (std,)
    return None
