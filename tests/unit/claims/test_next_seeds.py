"""Which seeds come next: the decision on records made by hand."""

import json

import numpy as np
import pytest

from resnest_bench import files, records
from resnest_bench.claims import next_seeds
from resnest_bench.claims.next_seeds import (
    ALL_DECIDED,
    NO_BUDGET,
    NONE_WORTH,
    WAITING,
    WAITS,
    decide,
)
from resnest_bench.claims.tables import claims_table
from resnest_bench.errors import UserError
from resnest_bench.paths import Job, StudyPaths
from resnest_bench.specs import Look, study_with_looks
from resnest_bench.specs.looks import extended
from resnest_bench.stats.sequential import nominal_levels
from support.claims_study import (
    claim,
    claims_study,
    copied,
    make_bits,
    make_outcomes,
    make_results,
    timed,
    trained,
)
from support.records_factory import CONFIG, make_failed_record

BETTER = claim("greater", name="better", a=["B"], b=["A"])
CLEAR = claim("greater", name="clear", a=["T"], b=["A"])
SLOWER = claim("greater", name="slower", metric="latency", a=["B"], b=["A"])


def place(variant, seed):
    return Job("train", "low", "quick", variant, seed)


def build_study(*claims, **block):
    """Both sides of a comparison get the same seeds, unless a test is about just that."""
    block = {"max_seeds": 9, "step": 2, "allocation": "equal", **block}
    return claims_study(*claims, adaptive=block)


@pytest.fixture
def unclear():
    """Mean 1 point, standard deviation 1: undecided with five seeds, and 11 would do (power.py)."""
    return make_bits([0.0, 1.0, 2.0, 2.2, -0.2], np.random.default_rng(3))


def test_each_recipe_that_a_claim_compares_gets_its_seeds(unclear):
    """Two recipes of one variant, named as such."""
    sides = [{"variant": "A", "recipe": recipe} for recipe in ("taught", "quick")]
    quick = CONFIG["recipes"]["quick"]
    study = claims_study(
        claim("greater", name="gain", a=sides[:1], b=sides[1:]),
        adaptive={"max_seeds": 9, "step": 2, "allocation": "equal"},
        recipes={**CONFIG["recipes"], "taught": {**quick, "epochs": 3}},
        train=[{"dataset": "low", "recipe": recipe} for recipe in ("quick", "taught")],
    )
    made = trained(study, {"A": unclear["A"]})
    made |= trained(study, {"A": unclear["B"]}, ("train", "low", "taught"))
    fields = decision(study, made)
    wanted = [(seeds.recipe, seeds.variant, seeds.seeds) for seeds in fields["wanted"]]
    assert wanted == [("quick", "A", (5, 6)), ("taught", "A", (5, 6))]
    assert by_name(fields)["gain"].reason == (
        "gets seeds 5, 6 of A by taught and seeds 5, 6 of A by quick"
    )


def taught_study(**block):
    """A by `taught` learns from T by `quick`; the claim is about A alone."""
    quick = CONFIG["recipes"]["quick"]
    sides = [{"variant": "A", "recipe": recipe} for recipe in ("taught", "quick")]
    return claims_study(
        claim("greater", name="gain", a=sides[:1], b=sides[1:]),
        adaptive={"max_seeds": 9, "step": 2, "allocation": "equal", **block},
        recipes={
            **CONFIG["recipes"],
            "taught": {**quick, "teacher": {"train": "low/quick", "variant": "T"}},
        },
        train=[
            {"dataset": "low", "recipe": "quick"},
            {"dataset": "low", "recipe": "taught", "variants": ["A"]},
        ],
    )


def taught_records(study, unclear):
    made = trained(study, {"A": unclear["A"], "T": unclear["T"]})
    return made | trained(study, {"A": unclear["B"]}, ("train", "low", "taught"))


def test_with_the_seeds_of_a_student_come_those_of_its_teacher(unclear, tmp_path):
    study, paths = taught_study(), StudyPaths(tmp_path / "synthetic")
    for job, record in taught_records(study, unclear).items():
        records.write(paths.record(job), record)
    look = take(study, paths, 0)
    wanted = {(w.recipe, w.variant): w.seeds for w in look.wanted}
    assert wanted == {("quick", "A"): (5, 6), ("quick", "T"): (5, 6), ("taught", "A"): (5, 6)}
    # Their records belong to the study, even if a look of an earlier release names the student alone.
    whole = study_with_looks(study, paths)
    assert set(look.jobs) <= set(whole.jobs())
    student = [one for one in look.wanted if one.recipe == "taught"]
    old = extended(study, [look.model_copy(update={"wanted": tuple(student)})])
    assert {job for job in old.jobs() if job.seed == 5} == {
        place("T", 5),
        Job("train", "low", "taught", "A", 5),
    }


@pytest.mark.parametrize(("budget", "fits"), [(5, False), (6, True)])
def test_the_trainings_of_teachers_count_in_the_budget(unclear, budget, fits):
    study = taught_study(budget_seeds=budget)
    fields = decision(study, taught_records(study, unclear))
    assert bool(fields["wanted"]) == fits


def decision(study, made, looks=(), **more):
    results, found = make_results(study, made), make_outcomes(study, made)
    asked = [outcome for outcome in found if outcome.job.kind == "train"]
    return next_seeds.decision(study, looks, results, asked, **more)


def by_name(fields):
    return {claim.name: claim for claim in fields["claims"]}


def seeds_wanted(fields):
    return {(w.variant, w.seeds) for w in fields["wanted"]}


def test_an_undecided_claim_gets_the_next_step_of_both_variants(unclear):
    study = build_study(BETTER, CLEAR)
    fields = decision(study, trained(study, unclear))
    assert by_name(fields)["better"].verdict == "undecided"
    assert by_name(fields)["clear"].verdict == "supported"
    assert seeds_wanted(fields) == {("A", (5, 6)), ("B", (5, 6))}
    assert fields["stop"] == ""
    assert by_name(fields)["clear"].reason == "decided: supported"


def test_the_noisier_side_gets_the_seeds(unclear):
    """A has the same accuracy in each seed, B another one in each."""
    study = build_study(BETTER, allocation="noisier")
    fields = decision(study, trained(study, unclear))
    assert seeds_wanted(fields) == {("B", (5, 6, 7, 8))}
    assert by_name(fields)["better"].reason == "gets seeds 5, 6, 7, 8 of B"


def test_where_all_are_decided_it_stops(unclear):
    study = build_study(CLEAR, SLOWER)
    made = trained(study, unclear) | timed(study, {"A": [2.0, 2.1, 1.9, 2.0, 2.05]})
    fields = decision(study, made)
    assert (fields["stop"], fields["wanted"]) == (ALL_DECIDED, ())
    assert by_name(fields)["slower"].reason == "its seeds or rounds are fixed"


def test_what_more_seeds_would_hardly_decide_gets_none():
    bits = make_bits([0.1, -2.0, 2.0, 1.0, -1.0], np.random.default_rng(3))
    study = build_study(BETTER)
    fields = decision(study, trained(study, bits))
    assert fields["stop"] == NONE_WORTH
    assert "more than max_seeds = 9" in by_name(fields)["better"].reason


def test_where_the_images_leave_too_much_the_reason_is_said():
    rng = np.random.default_rng(5)
    # Each variant finds other images hard: 300 of them leave an error of some points.
    hard = {name: rng.random(300) for name in "AB"}
    wobble = rng.normal(0, 0.3, 5)
    bits = {
        n: image < 0.6 + (wobble[:, None] + 1.0 * (n == "B")) / 100 for n, image in hard.items()
    }
    bits["A"] = np.roll(bits["A"], 1, axis=0)
    study = build_study(BETTER)
    fields = decision(study, trained(study, bits))
    assert "300 test images" in by_name(fields)["better"].reason
    assert fields["stop"] == NONE_WORTH


def test_an_untested_claim_says_why():
    study = build_study(claim("greater", name="gone", a=["Gone"], b=["A"]), BETTER)
    fields = decision(study, {})
    assert "Gone is not in this study" in by_name(fields)["gone"].reason
    assert fields["stop"] == NONE_WORTH


def test_a_budget_of_seeds_is_kept(unclear):
    study = build_study(BETTER, budget_seeds=3)
    fields = decision(study, trained(study, unclear))
    assert (fields["stop"], fields["wanted"]) == (NO_BUDGET, ())
    assert "does not fit" in by_name(fields)["better"].reason
    study = build_study(BETTER, budget_seeds=4)
    assert len(decision(study, trained(study, unclear))["wanted"]) == 2


def test_a_budget_of_minutes_is_kept_by_what_trainings_took(unclear):
    """Records say 5 seconds each (two epochs of 2.5): four more take a third of a minute."""
    for minutes, fits in ((0.32, False), (0.34, True)):
        study = build_study(BETTER, budget_minutes=minutes)
        fields = decision(study, trained(study, unclear))
        assert bool(fields["wanted"]) == fits
        assert fields["budget"].left_minutes == minutes


def test_a_budget_of_money_is_one_of_minutes(unclear):
    """Records say 5 seconds each: at 60 per hour four more cost a third of 1."""
    for price, fits in ((0.32, False), (0.34, True)):
        study = build_study(BETTER, budget_price=price, price_per_hour=60)
        fields = decision(study, trained(study, unclear))
        assert bool(fields["wanted"]) == fits
        assert fields["budget"].left_minutes == pytest.approx(price)
    with pytest.raises(UserError, match="price_per_hour"):
        build_study(BETTER, budget_price=1.0)


def test_an_undecided_claim_says_how_probably_its_next_step_decides_it(unclear):
    found = by_name(decision(build_study(BETTER, CLEAR), trained(build_study(BETTER), unclear)))
    assert 0 < found["better"].probability < 1
    assert found["better"].minutes == pytest.approx(4 * 5 / 60)
    assert found["clear"].probability is None


def test_the_cheapest_claim_comes_first():
    """C differs from A by more than B does, with the same spread: it needs fewer seeds."""
    bits = make_bits([0.5, 1.0, 1.9, 2.2, 0.4], np.random.default_rng(3))
    bits["C"] = make_bits([0.7, 1.2, 2.1, 2.4, 0.6], np.random.default_rng(3))["B"]
    second = claim("greater", name="second", a=["C"], b=["A"])
    study = build_study(BETTER, second, CLEAR, budget_seeds=4)
    fields = decision(study, trained(study, bits))
    verdicts = {name: c.verdict for name, c in by_name(fields).items()}
    assert verdicts == {"better": "undecided", "second": "undecided", "clear": "supported"}
    assert seeds_wanted(fields) == {("A", (5, 6)), ("C", (5, 6))}
    # A's seeds are there already: B's alone would fit in a budget of six.
    both = decision(build_study(BETTER, second, CLEAR, budget_seeds=6), trained(study, bits))
    assert {w.variant for w in both["wanted"]} == {"A", "B", "C"}


def test_seeds_that_one_variant_has_already_are_not_asked_for_twice(unclear):
    study = build_study(BETTER).with_seeds({("low", "quick", "A"): (5, 6)})
    made = trained(study, unclear)
    extra = make_bits([0.0] * 7, np.random.default_rng(3))["A"][5:]
    for seed, bits in zip((5, 6), extra, strict=True):
        made[place("A", seed)] = copied(made[place("A", 0)], place("A", seed), bits)
    fields = decision(study, made)
    assert seeds_wanted(fields) == {("B", (5, 6))}
    assert by_name(fields)["better"].look == 1


def test_a_missing_record_makes_a_claim_wait(unclear):
    study = build_study(BETTER)
    made = trained(study, unclear)
    del made[place("A", 4)]
    fields = decision(study, made)
    assert (fields["wanted"], fields["stop"]) == ((), WAITING)
    assert by_name(fields)["better"].reason.startswith(WAITS)
    # One that failed is not waited for.
    made[place("A", 4)] = make_failed_record(place("A", 4), study.job_spec(place("A", 4)), "inf")
    assert not by_name(decision(study, made))["better"].reason.startswith(WAITS)


def test_stale_records_get_no_company(unclear):
    study = build_study(BETTER)
    made = trained(study, unclear)
    stale = set(made)
    results, found = make_results(study, made, stale), make_outcomes(study, made, stale)
    fields = next_seeds.decision(study, (), results, found)
    assert "stale" in by_name(fields)["better"].reason
    # But those that an earlier look had trained are taken again.
    again = next_seeds.decision(study, (), results, found, lambda job: True)
    assert seeds_wanted(again) == {("A", (5, 6)), ("B", (5, 6))}


@pytest.fixture
def written(tmp_path, unclear):
    """A study on disk with the records of `unclear`."""
    study = build_study(BETTER, CLEAR)
    paths = StudyPaths(tmp_path / study.study)
    for job, record in trained(study, unclear).items():
        records.write(paths.record(job), record)
    return study, paths


def take(study, paths, number):
    look = decide(study, paths, number)
    files.write_text(paths.look(number), look.model_dump_json(indent=1) + "\n")
    return look


def train_asked(study, paths, look, difference):
    """Records of what a look asks for: B `difference` points better than A."""
    whole = study_with_looks(study, paths)
    bits = make_bits([difference] * 12, np.random.default_rng(3))
    for job in look.jobs:
        wobble = make_bits([difference + 0.3 * (-1) ** job.seed] * 12, np.random.default_rng(3))
        of_job = (wobble if job.variant == "B" else bits)[job.variant][job.seed]
        record = next(iter(trained(whole, {job.variant: of_job[None]}).values()))
        records.write(paths.record(job), copied(record, job))


def test_looks_follow_each_other_until_the_claim_is_decided(written):
    study, paths = written
    first = take(study, paths, 0)
    assert first.num_looks == 3
    assert first.nominal_level == pytest.approx(nominal_levels((5, 7, 9), 0.1)[0] / 2)
    assert set(first.records) == {paths.record_name(place(v, s)) for v in "ABT" for s in range(5)}
    train_asked(study, paths, first, difference=1.0)
    second = take(study, paths, 1)
    better = {c.name: c for c in second.claims}["better"]
    assert (better.look, better.num_seeds) == (2, 7)
    assert second.budget.used_seeds == 4
    assert second.budget.used_minutes == pytest.approx(4 * 5 / 60)
    train_asked(study, paths, second, difference=1.0)
    third = take(study, paths, 2)
    assert third.stop
    table = build_claims_table(study, paths).set_index("name")
    assert table.loc["better", "n"] == 9
    assert tuple(table.loc["better", ["look", "num_looks"]]) == (3, 3)
    assert "look 3 of 3" in table.loc["better", "explanation"]


def test_looks_at_the_noisier_side_follow_each_other(written):
    """With nine seeds of B and five of A the claim is decided, where equal steps take nine of both."""
    study, paths = written
    block = study.adaptive.model_copy(update={"allocation": "noisier"})
    study = study.model_copy(update={"adaptive": block})
    first = take(study, paths, 0)
    assert [(seeds.variant, seeds.seeds) for seeds in first.wanted] == [("B", (5, 6, 7, 8))]
    train_asked(study, paths, first, difference=1.0)
    second = take(study, paths, 1)
    better = {claim.name: claim for claim in second.claims}["better"]
    assert (better.verdict, better.look, better.num_seeds) == ("supported", 2, 5)
    table = build_claims_table(study, paths).set_index("name")
    assert "9 and 5 seeds" in table.loc["better", "explanation"]


def build_claims_table(study, paths):
    whole = study_with_looks(study, paths)
    made = {
        job: records.read(paths.record(job), job)
        for job in whole.jobs()
        if paths.record(job).exists()
    }
    return claims_table(make_results(whole, made))


def test_the_same_records_give_the_same_bytes(written):
    study, paths = written
    text = decide(study, paths, 0).model_dump_json()
    assert text == decide(study, paths, 0).model_dump_json()
    assert Look.model_validate_json(text).model_dump_json() == text
    assert "NaN" not in text
    json.loads(text, parse_constant=pytest.fail)


def test_a_record_without_a_look_that_asked_for_it_is_not_looked_at(written):
    study, paths = written
    job = place("A", 5)
    record = records.read(paths.record(place("A", 4)), place("A", 4))
    records.write(paths.record(job), copied(record, job))
    assert paths.record_name(job) not in decide(study, paths, 0).records


def test_a_look_needs_those_before_it_and_an_adaptive_study(written):
    study, paths = written
    with pytest.raises(UserError, match="look 1 follows look 0"):
        decide(study, paths, 1)
    with pytest.raises(UserError, match="fixed number of seeds"):
        decide(claims_study(BETTER), paths, 0)


def with_losses(record, loss):
    """The record of a training with another test loss."""
    epochs = record.train.epochs
    last = epochs[-1].model_copy(update={"test_loss": loss})
    train = record.train.model_copy(update={"epochs": [*epochs[:-1], last]})
    return record.model_copy(update={"train": train})


def test_a_claim_about_another_measure_gets_seeds_too(unclear):
    # The differences of `unclear`, in hundredths.
    losses = {
        "A": [0.5] * 5,
        "B": [0.50, 0.51, 0.52, 0.522, 0.498],
        "T": [0.9, 0.91, 0.92, 0.9, 0.93],
    }
    study = build_study(
        claim("greater", name="unclear", metric="nll", a=["B"], b=["A"]),
        claim("greater", name="clear", metric="nll", a=["T"], b=["A"]),
    )
    made = {
        job: with_losses(record, losses[job.variant][job.seed])
        for job, record in trained(study, unclear).items()
    }
    fields = decision(study, made)
    assert by_name(fields)["clear"].reason == "decided: supported"
    assert by_name(fields)["unclear"].verdict == "undecided"
    assert by_name(fields)["unclear"].look == 1
    assert seeds_wanted(fields) == {("A", (5, 6)), ("B", (5, 6))}
