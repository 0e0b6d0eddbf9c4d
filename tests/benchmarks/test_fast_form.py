"""Each form is what it says."""

import pytest
import torch
from timm.layers import SplitAttn

from resnest_bench.models import build_model
from resnest_bench.models.fast import MatrixConv2d, OnePassSplitAttn


@pytest.fixture
def fast_form(benchmark_module):
    return benchmark_module("fast_form")


def test_the_forms_add_up(fast_form, benchmark_module):
    (variant,) = benchmark_module("reporting").chosen_variants("ResNeSt-14-2s1x64d")
    model = build_model(variant, 10)
    kinds = {}
    for form in fast_form.FORMS:
        copied = fast_form.in_form(model, form)
        types = {type(module) for module in copied.modules()}
        last = copied.layer1[0].conv2.conv.weight.is_contiguous(memory_format=torch.channels_last)
        kinds[form] = (
            last,
            MatrixConv2d in types,
            OnePassSplitAttn in types,
            SplitAttn in types,
        )
    assert list(kinds.values()) == [
        (False, False, False, True),
        (True, False, False, True),
        (True, True, False, True),
        (True, True, True, False),
    ]


def test_a_row_is_images_a_second_and_the_gain(fast_form):
    seen = dict(
        zip(fast_form.FORMS, ([200.0], [150.0, 250.0, 160.0], [100.0], [50.0]), strict=True)
    )
    assert fast_form.make_row("A", 100, seen) == ["A", "500", "625", "1,000", "2,000", "4.00"]
