"""Images of other than three channels, in networks and weights that were made for RGB.

How many channels there are is the dataset's to say, and every network follows it.

Source of the conversion: `timm.models.adapt_input_conv`, as timm's `create_model(in_chans=...)` applies it.
"""

import torch
from timm.models import adapt_input_conv
from torch import Tensor

RGB = 3


def adapt_first_convolution(
    came: dict[str, Tensor], wanted: dict[str, Tensor]
) -> tuple[dict[str, Tensor], list[str]]:
    """`came`, with the convolutions of RGB changed to the channels that `wanted` has; and their names.

    A kernel (O, 3, h, w) that should be (O, C, h, w) is one that sees the image: all other layers are the
    same for any number of channels. For one channel it is summed over RGB, which gives gray images the
    outputs that they have in RGB. For more, RGB is repeated and scaled by 3 / C, so that the sums stay of
    their size. Tensors that differ in anything else are left as they are.
    """
    converted = [name for name in came if name in wanted and _sees_rgb(came[name], wanted[name])]
    changed = {name: _adapt(came[name], wanted[name].shape[1]) for name in converted}
    return {**came, **changed}, converted


def _sees_rgb(came: Tensor, wanted: Tensor) -> bool:
    if came.ndim != 4 or wanted.ndim != 4 or came.shape[1] != RGB or wanted.shape[1] == RGB:
        return False
    return came.shape[0] == wanted.shape[0] and came.shape[2:] == wanted.shape[2:]


def _adapt(kernel_OCHW: Tensor, in_chans: int) -> Tensor:
    # timm changes no number of the tensor that it is given.
    adapted: Tensor = adapt_input_conv(in_chans, kernel_OCHW)
    return adapted.to(kernel_OCHW.dtype)


def adapt_stats(
    stats: tuple[tuple[float, ...], tuple[float, ...]], in_chans: int
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """(mean, std) of RGB for images of `in_chans` channels; None if RGB says nothing about them.

    Gray takes the averages over RGB.
    """
    if in_chans == RGB:
        return stats
    if in_chans == 1:
        mean, std = (torch.tensor(values).mean().item() for values in stats)
        return (mean,), (std,)
    return None
