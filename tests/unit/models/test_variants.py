"""Every variant of the study: its parameters, a forward, a backward."""

import pytest
import torch
import yaml
from pydantic import TypeAdapter
from torch.nn.functional import cross_entropy

from resnest_bench.digests import PACKAGE
from resnest_bench.models import FAMILIES, build_model, check_buildable
from resnest_bench.specs import ResNestVariant, TimmVariant, VariantSpec
from resnest_bench.specs.variants import FAMILIES as SPEC_FAMILIES

CONFIG = PACKAGE.parents[1] / "config"


def sheet(path: str) -> list[VariantSpec]:
    """The variants of a file under config/."""
    return TypeAdapter(list[VariantSpec]).validate_python(
        yaml.safe_load((CONFIG / path).read_text())
    )


VARIANTS = sheet("variants.yaml")
LINEAGE = sheet("lineage/variants.yaml")

# At 10 classes; rounded to 0.01 M these are the counts that the paper prints.
NUM_PARAMS = {
    "ResNet-14-0s1x64d": 8_036_426,
    "ResNet-14-1s1x64d": 8_214_282,
    "ResNeSt-14-0s1x64d": 8_055_658,
    "ResNeSt-14-1s1x64d": 8_233_514,
    "ResNeSt-14-1s1x40d": 5_435_786,
    "ResNeSt-14-1s2x64d": 13_629_322,
    "ResNeSt-14-2s1x64d": 8_583_178,
    "ResNeSt-14": 8_583_178,
    "ResNeSt-32": 16_563_178,
    "ResNeSt-50": 25_454_730,
    "ResNeSt-101": 46_141_962,
    "ResNet-18": 11_181_642,
    "EfficientNet-b0": 4_020_358,
    "EfficientNet-b1": 6_525_994,
    "EfficientNet-b2": 7_715_084,
    "EfficientNet-b3": 10_711_602,
}
SLOW_AT_224 = ("ResNeSt-101", "EfficientNet-b3")


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def by_name(variant) -> str:
    return variant.name


def test_the_sheet_starts_with_the_rows_of_the_paper():
    assert [variant.name for variant in VARIANTS[:16]] == list(NUM_PARAMS)


@pytest.mark.parametrize("variant", VARIANTS[:16], ids=by_name)
def test_parameters_are_those_of_the_paper(variant):
    with torch.device("meta"):
        model = build_model(variant, num_classes=10)
    assert sum(p.numel() for p in model.parameters()) == NUM_PARAMS[variant.name]


def step(variant, image_size: int) -> None:
    model = build_model(variant, num_classes=10).train()
    logits_BK = model(torch.randn(2, 3, image_size, image_size))
    assert logits_BK.shape == (2, 10)
    cross_entropy(logits_BK, torch.tensor([0, 1])).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    with torch.no_grad():
        assert model.eval()(torch.randn(1, 3, image_size, image_size)).isfinite().all()


@pytest.mark.parametrize("variant", VARIANTS, ids=by_name)
def test_a_step_at_32(variant):
    step(variant, 32)


@pytest.mark.slow
@pytest.mark.parametrize("variant", LINEAGE, ids=by_name)
def test_three_steps_of_the_lineage_at_32(variant):
    step(variant, 32)
    model = build_model(variant, num_classes=10, dropout=0.2).train()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    images_BCHW, labels_B = torch.randn(4, 3, 32, 32), torch.arange(4)
    for _ in range(3):
        loss = cross_entropy(model(images_BCHW), labels_B)
        assert loss.isfinite()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    still = [name for name, p in model.named_parameters() if torch.equal(p, before[name])]
    assert not still


@pytest.mark.parametrize(
    "variant",
    [
        pytest.param(variant, marks=[pytest.mark.slow] if variant.name in SLOW_AT_224 else [])
        for variant in VARIANTS
    ],
    ids=by_name,
)
def test_a_step_at_224(variant):
    step(variant, 224)


@pytest.mark.parametrize("variant", VARIANTS, ids=by_name)
def test_every_variant_passes_the_check(variant):
    check_buildable(variant)


def test_every_family_of_the_specs_can_be_built():
    # Imported results have names of networks, and no networks.
    assert set(FAMILIES) == set(SPEC_FAMILIES) - {"imported"}


SMALL = {"family": "resnest", "layers": [1], "radix": 1, "stem": "small"}


@pytest.mark.parametrize(
    ("own", "recipe", "expected"), [(None, 0.1, 0.1), (0.3, 0.1, 0.3), (0.0, 0.1, 0.0)]
)
@pytest.mark.parametrize("family", ["resnest", "timm"])
def test_the_variants_own_dropout_wins(family, own, recipe, expected):
    if family == "timm":
        variant = TimmVariant(name="net", family="timm", model="resnet18", dropout=own)
    else:
        variant = ResNestVariant(name="net", dropout=own, **SMALL)
    assert build_model(variant, 10, dropout=recipe).drop_rate == expected


def test_dropout_acts_in_training_alone():
    model = build_model(ResNestVariant(name="net", **SMALL), 10, dropout=0.5)
    images = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        assert not torch.equal(model(images), model(images))
        model.eval()
        assert torch.equal(model(images), model(images))


def test_one_seed_one_network():
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(build_model(VARIANTS[6], 10).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_the_check_allocates_no_weights(monkeypatch):
    devices = []
    family = FAMILIES["resnest"]

    def spy(*args):
        model = family(*args)
        devices.extend({p.device.type for p in model.parameters()})
        return model

    monkeypatch.setitem(FAMILIES, "resnest", spy)
    check_buildable(ResNestVariant(name="net", **SMALL))
    assert devices == ["meta"]


def test_the_check_builds_really_where_meta_tensors_fail(monkeypatch):
    family = FAMILIES["resnest"]

    def reads_numbers(*args):
        torch.zeros(1).item()  # raises on the meta device
        return family(*args)

    monkeypatch.setitem(FAMILIES, "resnest", reads_numbers)
    check_buildable(ResNestVariant(name="net", **SMALL))
