"""A claim is checked at the door; one that a study can't test is no mistake."""

from typing import get_args

import pytest

from resnest_bench.comparisons.factors import FACTORS
from resnest_bench.errors import UserError
from resnest_bench.specs import dump_study, load_study, read_yaml, study_from_config
from resnest_bench.specs.claims import TESTS, MonotoneTest
from support.claims_study import claim
from support.paper_study import ROOT, paper_study
from support.records_factory import CONFIG, make_study

GREATER = claim("greater", a=["B"], b=["A"])


def row(variant, recipe):
    return {"variant": variant, "recipe": recipe}


def find_error(*claims):
    with pytest.raises(UserError) as caught:
        make_study(claims=list(claims))
    assert "\n" not in str(caught.value)
    return str(caught.value)


BAD = [
    (claim("grater", a=["B"], b=["A"]), ["claims[0] (claim)", "kind must be one of", "'grater'"]),
    (claim("greater", metric="acuracy", a=["B"], b=["A"]), ["metric", "'accuracy'", "'acuracy'"]),
    (
        claim("greater", a=["B"], b=["A"], batchsize=1),
        ["no key 'batchsize'", "did you mean 'batch_size'"],
    ),
    # Another kind of test has a margin.
    (claim("greater", a=["B"], b=["A"], margn=1), ["no key 'margn'", "remove it"]),
    (claim("greater", a=[], b=["A"]), ["claims[0] (claim).test.a", "at least 1"]),
    (claim("greater", a=["A"], b=["A"]), ["name each variant once", "'A'"]),
    (claim("greater", a=["A", "A"], b=["B"]), ["name each variant once", "'A'"]),
    (claim("greater", a=["../x"], b=["A"]), ["a name is made of", "'../x'"]),
    (claim("ordered", variants=["A"]), ["at least two names", "['A']"]),
    (claim("ordered", variants=["A", "A"]), ["none twice"]),
    (claim("equivalent", a="A", b="A", margin=1), ["two variants", "'A'"]),
    (claim("equivalent", a="A", b="B", margin=0), ["margin", "greater than 0"]),
    (claim("equivalent", a="A", b="B"), ["margin", "is missing"]),
    (claim("within", a="A", value=0.95, margin=1), ["in %, like 95.0", "0.95"]),
    (claim("within", a="A", value=101, margin=1), ["in %", "101"]),
    (claim("at_equal", metric="params", equal="params", a=["A"], b=["B"]), ["must differ"]),
    (claim("at_equal", equal="parms", a=["A"], b=["B"]), ["equal", "'params' or 'macs'"]),
    (claim("monotone", factor="depth", direction="rising"), ["factor", "'radix'", "'depth'"]),
    (claim("monotone", factor="radix", direction="up"), ["direction", "'up'"]),
    (claim("greater", a=["A"], b=["B"], batch_size=0), ["batch_size", "0"]),
    (
        claim("greater", a=[{"variant": "A", "recpe": "quick"}], b=["B"]),
        ["test.a[0]", "no key 'recpe'", "did you mean 'recipe'"],
    ),
    (claim("greater", a=[{"variant": "A"}], b=["B"]), ["give recipe or mode next to variant"]),
    (claim("greater", a=[3], b=["B"]), ["test.a[0]", "3"]),
    (
        claim("equivalent", a=row("A", "quick"), b=row("A", "quick"), margin=1),
        ["two variants", "'A by quick'"],
    ),
    (
        claim("greater", metric="latency", a=[row("A", "quick")], b=["B"]),
        ["latency is that of a network", "'quick'", "name the variant alone"],
    ),
    ({**GREATER, "name": "a b"}, ["a name is made of"]),
    ({**GREATER, "claim": ""}, ["claim", "at least 1"]),
    ({**GREATER, "sorce": "x"}, ["no key 'sorce'", "did you mean 'source'"]),
]


@pytest.mark.parametrize(("bad", "expected"), BAD, ids=range(len(BAD)))
def test_a_mistake_is_named(bad, expected):
    message = find_error(bad)
    for part in expected:
        assert part in message, message


def test_a_side_may_name_its_recipe_and_is_read_as_it_is_written(tmp_path):
    sides = {"a": [row("A", "taught"), "B"], "b": [row("A", "quick")]}
    study = make_study(
        claims=[claim("greater", **sides), claim("within", name="w", a="A", value=90, margin=1)]
    )
    test = study.claims[0].test
    assert [str(side) for side in test.sides] == ["A by taught", "B", "A by quick"]
    assert test.variants_named == ("A", "B", "A")
    assert test.recipes_named == ("taught", "quick")
    path = tmp_path / "study.json"
    path.write_text(dump_study(study))
    assert load_study(path).claims == study.claims


def test_two_claims_of_one_name_are_refused():
    assert "two claims are named 'claim'" in find_error(GREATER, GREATER)


@pytest.mark.parametrize("value", ["text.yaml", 3, {"name": "x"}])
def test_claims_are_a_list_or_the_path_of_one(value):
    with pytest.raises(UserError, match=r"claims must be a list|cannot read text\.yaml"):
        make_study(claims=value)


def test_a_path_is_read_from_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "mine.yaml").write_text(
        "- name: one\n  claim: >\n    A sentence\n    of two lines.\n"
        "  test: {kind: greater, metric: macs, a: [B], b: [A]}\n"
    )
    monkeypatch.chdir(tmp_path)
    study = study_from_config({**CONFIG, "claims": "mine.yaml"}, "config.yaml")
    assert study.claims[0].claim == "A sentence of two lines."
    assert study.claims[0].test.batch_size == 1
    (tmp_path / "mine.yaml").write_text("- {name: one}\n")
    with pytest.raises(UserError, match=r"^mine\.yaml, line 1: claims\[0\] \(one\)"):
        study_from_config({**CONFIG, "claims": "mine.yaml"}, "config.yaml")


def test_what_a_study_lacks_is_no_mistake(tmp_path):
    study = make_study(
        claims=[
            claim("greater", a=["Gone"], b=["A"], dataset="none", recipe="none", protocol="none")
        ]
    )
    (tmp_path / "study.json").write_text(dump_study(study))
    assert load_study(tmp_path / "study.json") == study


def test_a_claim_makes_no_job_stale():
    with_claim, without = make_study(claims=[GREATER]), make_study()
    assert with_claim.digest != without.digest
    job = without.jobs()[0]
    assert with_claim.job_spec(job) == without.job_spec(job)


def test_the_factors_are_those_of_the_factor_table():
    assert get_args(MonotoneTest.model_fields["factor"].annotation) == FACTORS


def test_the_shipped_claims_are_the_papers():
    study = paper_study()
    assert len(study.claims) >= 12
    # The paper deploys nothing.
    assert {c.test.kind for c in study.claims} == set(TESTS) - {"saves"}
    names = {name for c in study.claims for name in c.test.variants_named}
    assert names <= set(study.variant_names)
    assert all(c.source for c in study.claims)
    values = {c.test.value for c in study.claims if c.test.kind == "within"}
    assert values == {95.0, 90.7}


def test_no_shipped_claim_is_a_sentence_of_the_paper():
    paper = ROOT.parent / "shared/paper/resnest-study.txt"
    if not paper.exists():
        pytest.skip("the paper's text is not on this machine")
    text = " ".join(paper.read_text().split()).lower()
    for entry in read_yaml(ROOT / "config/claims.yaml"):
        assert entry["claim"].rstrip(".").lower() not in text


def test_the_demos_claims_are_about_its_variants(monkeypatch):
    monkeypatch.chdir(ROOT)
    study = load_study(ROOT / "config/demo/config.yaml")
    assert 2 <= len(study.claims) <= 3
    names = {name for c in study.claims for name in c.test.variants_named}
    assert names <= set(study.variant_names)
