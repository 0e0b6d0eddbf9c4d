import json
import math
import sys

import pytest
import torch
from timm.layers import Conv2dSame
from torch import nn

from resnest_bench.errors import UserError
from resnest_bench.specs import RECIPES, ResNestVariant


@pytest.fixture(scope="module")
def work(benchmark_module):
    return benchmark_module("work")


@pytest.fixture(scope="module")
def floor(benchmark_module):
    return benchmark_module("floor")


@pytest.fixture(scope="module")
def reporting(benchmark_module):
    return benchmark_module("reporting")


def measure_layer(work, conv, x_BCHW):
    with work.watched(conv) as layers:
        conv(x_BCHW)
    (layer,) = layers
    return layer


# Of one axis, counted by hand: e.g. a 3-tap kernel on two pixels has 2 + 2 taps inside.
@pytest.mark.parametrize(
    ("conv", "side", "needed", "nominal"),
    [
        (nn.Conv2d(3, 5, 3, padding=1), 1, 15 * 1, 15 * 9),
        (nn.Conv2d(3, 5, 3, padding=1), 2, 15 * 4**2, 15 * 9 * 4),
        (nn.Conv2d(3, 5, 3, padding=1), 3, 15 * 7**2, 15 * 9 * 9),
        (nn.Conv2d(3, 5, 3), 3, 15 * 9, 15 * 9),
        # On four pixels: taps at -1, 0, 1 and at 1, 2, 3.
        (nn.Conv2d(3, 5, 3, stride=2, padding=1), 4, 15 * 5**2, 15 * 9 * 4),
        # Depthwise, five taps on two pixels: -2 to 2 and -1 to 3.
        (nn.Conv2d(6, 6, 5, padding=2, groups=6), 2, 6 * 4**2, 6 * 25 * 4),
        # Taps at -2, 0, 2, then at -1, 1, 3, then at 0, 2, 4.
        (nn.Conv2d(3, 5, 3, padding=2, dilation=2), 3, 15 * 5**2, 15 * 9 * 9),
        (nn.Conv2d(4, 8, 3, padding=1, groups=2), 1, 16, 16 * 9),
        (nn.Conv2d(3, 5, 1), 1, 15, 15),
        (nn.Conv2d(3, 5, 3, padding=1, padding_mode="reflect"), 2, 15 * 9 * 4, 15 * 9 * 4),
    ],
)
def test_needed_are_the_taps_inside_of_the_image(work, conv, side, needed, nominal):
    layer = measure_layer(work, conv, torch.zeros(2, conv.in_channels, side, side))
    assert (layer.needed_macs, layer.nominal_macs) == (2 * needed, 2 * nominal)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("side", [1, 2, 5, 8])
@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 6, (3, 5), stride=(1, 2), padding=(2, 1), dilation=(2, 1), groups=2),
        nn.Conv2d(4, 6, 7, stride=2, padding=3),
        nn.Conv2d(4, 6, 4, padding="same"),
        Conv2dSame(4, 6, 3, stride=2),
        Conv2dSame(4, 4, 5, stride=2, groups=4),
    ],
)
def test_needed_is_what_a_convolution_of_ones_sums_up(work, conv, side):
    # Each multiplication of one by one adds one to the outputs, a padded zero none.
    nn.init.ones_(conv.weight)
    nn.init.zeros_(conv.bias)
    ones_BCHW = torch.ones(2, 4, side, side + 2)
    assert measure_layer(work, conv, ones_BCHW).needed_macs == conv(ones_BCHW).sum().item()


class Tiny(nn.Module):
    """158 parameters; a batch of two 8x8 images gives 2 * 4 * 64 + 2 * 10 = 532 outputs."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.head = nn.Linear(4, 10)

    def forward(self, x_BCHW):
        return self.head(self.conv(x_BCHW).relu().mean((2, 3)))


def test_work_of_a_tiny_network_by_hand(work):
    done, layers = work.training_work(Tiny(), batch_size=2, precision="fp32", image_size=8)
    # Along eight pixels two taps, six times three, and two: 22 of 24.
    nominal, needed, linear = 2 * 4 * 3 * 24**2, 2 * 4 * 3 * 22**2, 2 * 4 * 10
    assert [layer.passes for layer in layers] == [2, 3]
    assert done.nominal_flops == 2 * (2 * nominal + 3 * linear)
    assert done.needed_flops == 2 * (2 * needed + 3 * linear)
    assert done.checked
    assert done.weight_bytes == 158 * 7 * 4
    assert done.activation_bytes == 532 * 4 * 4
    assert done.input_bytes == 384 * 2 * 4
    assert done.moved_bytes == 4424 + 8512 + 3072


def test_bf16_moves_half_of_the_activations_and_keeps_fp32_masters(work):
    done, _ = work.training_work(Tiny(), batch_size=2, precision="bf16", image_size=8)
    assert done.weight_bytes == 158 * (5 * 2 + 4 * 4)
    assert done.activation_bytes == 532 * 4 * 2
    assert done.input_bytes == 384 * 2 * 2


@pytest.mark.parametrize("name", ["ResNet-18", "ResNeSt-14-1s2x64d", "EfficientNet-b0"])
def test_torch_counts_as_many_operations(work, reporting, floor, name):
    (variant,) = reporting.chosen_variants(name)
    done, layers = work.training_work(floor.build_model(variant, 10), 4, "fp32")
    assert done.checked
    assert 0 < done.needed_flops < done.nominal_flops
    assert [layer.input_gradient for layer in layers].count(False) == 1


def test_a_layer_that_was_not_seen_shows(work):
    class Hidden(Tiny):
        def forward(self, x_BCHW):
            kernel = self.conv.weight
            return self.head(nn.functional.conv2d(x_BCHW, kernel, padding=1).mean((2, 3)))

    done, _ = work.training_work(Hidden(), batch_size=2, precision="fp32", image_size=8)
    assert not done.checked


@pytest.fixture
def some_work(work):
    return work.Work(1000, 8, 12_000_000_000, 6_000_000_000, 500_000, 1_000_000, 500_000, True)


def test_the_floor_is_the_larger_time(floor, some_work):
    # 6 GFLOP at 3 TFLOP/s are 2 ms, 2 MB at 1 GB/s too; the better of both products counts.
    found = floor.compute_floor(some_work, floor.Ceilings(1e12, 3e12, 1e9))
    assert (found.compute_ms, found.memory_ms, found.ms) == pytest.approx((2, 2, 2))
    found = floor.compute_floor(some_work, floor.Ceilings(6e12, 3e12, 0.5e9))
    assert (found.compute_ms, found.memory_ms, found.ms) == pytest.approx((1, 4, 4))
    assert floor.gap([9.0, 8.0, 30.0], found) == pytest.approx(9 / 4)


def test_of_two_measurements_the_better_counts(floor):
    best = floor.Ceilings(1.0, 5.0, 3.0).better(floor.Ceilings(2.0, 4.0, 3.5))
    assert best == floor.Ceilings(2.0, 5.0, 3.5)


def test_ceilings_are_finite(floor, monkeypatch):
    monkeypatch.setattr(floor, "CEILING_SECONDS", 0.0)
    sizes = floor.Sizes(matmul=16, conv=(1, 4, 8), copy_bytes=1024)
    for dtype in floor.DTYPES.values():
        found = floor.measure_ceilings(torch.device("cpu"), dtype, sizes)
        assert 0 < found.flops < math.inf
        assert 0 < found.copy_bytes < math.inf


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_our_step_trains(floor, precision):
    changes = {"batch_size": 4, "precision": precision, "layout": "contiguous", "mode": "eager"}
    recipe = RECIPES["paper20"].model_copy(update=changes)
    small = {"name": "small", "family": "resnest", "layers": [1], "radix": 2, "width": 8}
    model = floor.build_model(ResNestVariant(**small, stem="conv7"), 10)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    device = torch.device("cpu")
    step, execution = floor.our_step(model, recipe, device, floor.make_batch(4, device), 1)
    step()
    assert execution == "contiguous, eager"
    assert not any(map(torch.equal, before, model.parameters()))


def test_the_table(floor, some_work):
    measured = {
        "variant": "A",
        "work": some_work,
        "execution": "contiguous, eager",
        "step_ms": [3.0, 5.0, 4.0],
    }
    row = floor.make_row(measured, floor.Ceilings(6e12, 3e12, 1e9))
    assert dict(zip(floor.COLUMNS, row, strict=True)) == {
        "variant": "A",
        "nominal GFLOP": "12.0",
        "needed GFLOP": "6.0",
        "needed share": "50%",
        "moved MB": "2",
        "compute ms": "1.00",
        "memory ms": "2.00",
        "floor ms": "2.00",
        "layout, mode": "contiguous, eager",
        "step ms": "4.00",
        "range ms": "3.00 to 5.00",
        "gap": "2.00",
    }


def test_markdown(reporting):
    text = reporting.markdown(["name", "n"], [["A", "1"], ["B", "1,000"]])
    assert text == ("| name |     n |\n| ---- | ----: |\n| A    |     1 |\n| B    | 1,000 |")


def test_variants_by_name(reporting):
    assert [one.name for one in reporting.chosen_variants("ResNet-18,ResNeSt-14")] == [
        "ResNet-18",
        "ResNeSt-14",
    ]
    assert len(reporting.chosen_variants("all")) > 10
    with pytest.raises(UserError, match=r"ResNet-19 is not there: take some of .*ResNet-18"):
        reporting.chosen_variants("ResNet-18,ResNet-19")


def test_the_program_prints_and_writes(floor, monkeypatch, tmp_path, capsys):
    out = tmp_path / "new" / "floor.json"
    command = [
        "benchmarks/floor.py",
        "--device",
        "cpu",
        "--variants",
        "ResNet-18",
        "--steps",
        "2",
        "--batch-size",
        "4",
        "--out",
        str(out),
    ]
    monkeypatch.setattr(sys, "argv", command)
    monkeypatch.setattr(floor, "keep_memory", lambda: None)
    monkeypatch.setattr(floor, "CEILING_SECONDS", 0.0)
    monkeypatch.setitem(floor.SIZES, "cpu", floor.Sizes(16, (1, 4, 8), 1024))
    floor.main()
    printed = capsys.readouterr().out
    for part in (
        "- machine: ",
        "- versions: ",
        "- command: `python benchmarks/floor.py --device",
        "- commit: ",
        "- n: median of 2 steps of 4 images",
        "| ResNet-18 ",
    ):
        assert part in printed
    written = json.loads(out.read_text())
    (row,) = written["variants"]
    assert len(row["step_ms"]) == 2
    assert row["work"]["moved_bytes"] > 0
    assert len(written["ceilings_before_and_after"]) == 2
