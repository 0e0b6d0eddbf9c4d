"""Which trials a round asks for: from validation accuracies alone, within an equal budget, repeatably."""

import json

import pytest

from resnest_bench import files, records
from resnest_bench.errors import UserError
from resnest_bench.paths import StudyPaths
from resnest_bench.search.deciding import EXHAUSTED, NOTHING_LEFT, USED_UP, decide_round
from resnest_bench.specs import study_with_looks, study_with_trials
from resnest_bench.specs.rounds import list_trials
from support.search_study import NSGA2, RATES, SimulatedSearch, search_study

pytest.importorskip("optuna")


@pytest.fixture
def paths(tmp_path):
    return StudyPaths(tmp_path / "synthetic")


def run(paths, changes=None, **more):
    return SimulatedSearch(search_study(changes), paths, **more).run()


def count_trained(rounds, family):
    return sum(run.family == family for one in rounds for run in one.runs)


def test_every_family_gets_the_same_number_of_trainings(paths):
    rounds = run(paths)
    assert [count_trained(rounds, family) for family in "AB"] == [8, 8]
    assert rounds[-1].stop == USED_UP
    assert [(one.family, one.rank) for one in rounds[-1].finalists] == [("A", 1), ("B", 1)]
    # The last round has what is left: 8 = 3 + 3 + 2.
    assert [len(one.runs) for one in rounds] == [6, 6, 4, 0]


def test_the_finalist_is_the_most_accurate_on_validation_images(paths):
    rounds = run(paths)
    trials = list_trials(rounds)
    rate = {key: trial.settings["recipe.learning_rate"] for key, trial in trials.items()}
    for finalist in rounds[-1].finalists:
        own = [value for (family, _), value in rate.items() if family == finalist.family]
        # The score falls with the distance from 0.1 in decades.
        nearest = min(own, key=lambda value: max(value / 0.1, 0.1 / value))
        assert rate[finalist.family, finalist.number] == nearest


def test_test_accuracies_of_trials_decide_nothing(tmp_path):
    found = []
    for accuracy in (0.1, 0.9):
        paths = StudyPaths(tmp_path / str(accuracy) / "synthetic")
        rounds = run(paths, test_accuracy=accuracy)
        found.append([one.model_dump(exclude={"records", "previous"}) for one in rounds])
    assert found[0] == found[1]


@pytest.mark.parametrize("sampler", ["random", "tpe", "nsga2"])
def test_a_killed_search_goes_on_with_the_same_trials(tmp_path, sampler):
    changes = {**NSGA2, "space": {"recipe.learning_rate": RATES, "variant.radix": [0, 1, 2]}}
    changes = changes if sampler == "nsga2" else {"sampler": sampler}
    whole = run(StudyPaths(tmp_path / "whole" / "synthetic"), changes)
    killed = StudyPaths(tmp_path / "killed" / "synthetic")
    for number in range(len(whole)):
        # A new process each time: nothing is kept but the files of rounds and records.
        one = SimulatedSearch(search_study(changes), killed).decide(number)
        SimulatedSearch(search_study(changes), killed).make_records()
        assert one == whole[number]


def test_the_same_round_has_the_same_bytes(paths):
    search = SimulatedSearch(search_study(), paths)
    search.decide(0)
    search.make_records()
    texts = [search.decide(1).model_dump_json() for _ in range(2)]
    assert texts[0] == texts[1]


def test_a_grid_is_walked_once_and_then_ends(paths):
    space = {"recipe.learning_rate": [0.01, 0.1], "recipe.flip": [False, True]}
    changes = {"sampler": "grid", "space": space, "budget": {"trainings": 20}}
    rounds = run(paths, changes)
    assert count_trained(rounds, "A") == 4
    settings = {
        json.dumps(t.settings) for (family, _), t in list_trials(rounds).items() if family == "A"
    }
    assert len(settings) == 4
    assert rounds[-1].stop == EXHAUSTED


def test_an_invalid_variant_is_skipped_counted_and_named_and_costs_nothing(paths):
    # A uniform gate weighs splits, of which radix 0 has none.
    space = {
        "variant.radix": [0, 2],
        "variant.gate": ["attention", "uniform"],
        "recipe.learning_rate": RATES,
    }
    rounds = run(paths, {"sampler": "random", "space": space})
    skipped = [trial for trial in list_trials(rounds).values() if trial.skipped]
    assert skipped
    assert all("radix 0" in trial.skipped for trial in skipped)
    assert [count_trained(rounds, family) for family in "AB"] == [8, 8]


def test_a_failed_trial_costs_its_training_and_is_never_chosen(paths):
    def fails(study, job):
        return "memory ran out" if study.recipe(job.recipe, job.variant).flip else ""

    rounds = run(paths, {"sampler": "random"}, fails=fails)
    trials = list_trials(rounds)
    assert count_trained(rounds, "A") == 8
    assert any(trial.settings["recipe.flip"] for trial in trials.values())
    assert not any(trials[f.family, f.number].settings["recipe.flip"] for f in rounds[-1].finalists)


def test_without_any_result_there_is_no_finalist(paths):
    rounds = run(paths, fails=lambda study, job: "out of memory")
    assert rounds[-1].stop == USED_UP
    assert rounds[-1].finalists == ()


def test_halving_goes_on_with_the_best_third(paths):
    changes = {
        "halving": {"epochs": [1], "reduction": 3},
        "trials_per_round": 6,
        "sampler": "random",
    }
    rounds = run(paths, changes)
    # A round of six: six quarters, then two whole trainings: 3.5 of 8; twice is 7, and the rest is for
    # one more with its whole one would take 1.25.
    assert [len(one.runs) for one in rounds[:2]] == [12, 4 + 12]
    first = [r for r in rounds[0].runs if r.family == "A"]
    longer = [r.number for r in rounds[1].runs if r.family == "A" and r.epochs == 4]
    rates = {
        k[1]: t.settings["recipe.learning_rate"]
        for k, t in list_trials(rounds).items()
        if k[0] == "A"
    }
    best = sorted((r.number for r in first), key=lambda n: max(rates[n] / 0.1, 0.1 / rates[n]))[:2]
    assert sorted(longer) == sorted(best)
    used = {b.family: b.trainings for b in rounds[-1].used}
    assert used == {"A": 7.0, "B": 7.0}


def test_a_budget_in_minutes_is_equal_in_time(paths):
    # Each training takes ten seconds (2.5 an epoch).
    rounds = run(paths, {"budget": {"minutes": 1.0}})
    assert {b.family: round(b.minutes, 6) for b in rounds[-1].used} == {"A": 1.0, "B": 1.0}


def test_two_objectives_give_finalists_from_the_front(paths):
    changes = {
        **NSGA2,
        "finalists": 2,
        "space": {"recipe.learning_rate": RATES, "variant.radix": [0, 1, 2]},
        "budget": {"trainings": 12},
    }
    rounds = run(paths, changes)
    ranks = [f.rank for f in rounds[-1].finalists if f.family == "A"]
    assert ranks in ([1, 2], [1])
    extended = study_with_looks(search_study(changes), paths)
    assert {job.variant for job in extended.jobs() if job.kind == "train"} >= {"A-tuned", "B-tuned"}


def test_a_round_waits_for_the_records_of_the_one_before(paths):
    search = SimulatedSearch(search_study(), paths)
    search.decide(0)
    with pytest.raises(UserError, match="round 1 needs the results of round 0"):
        search.decide(1)
    with pytest.raises(UserError, match="round 3 follows round 2"):
        search.decide(3)


def test_an_edited_search_begins_anew_and_keeps_what_fits(paths):
    search = SimulatedSearch(search_study(), paths)
    search.run()
    edited = search_study({"seed": 2000})
    assert study_with_looks(edited, paths).jobs() == edited.jobs()
    assert study_with_trials(edited, paths).trial_jobs == ()
    with pytest.raises(UserError, match="belongs to another search"):
        decide_round(edited, paths, 1, {}, lambda *_: None)


def test_a_damaged_round_is_named(paths):
    search = SimulatedSearch(search_study(), paths)
    search.decide(0)
    files.write_text(paths.search_round(0), "{}")
    with pytest.raises(UserError, match=r"round-0.json: study: is missing.*delete"):
        search.decide(1)


def test_a_study_without_a_search_has_no_round(paths):
    study = search_study().model_copy(update={"search": None})
    with pytest.raises(UserError, match="has no search"):
        decide_round(study, paths, 0, {}, lambda *_: None)


def test_a_missing_optuna_is_named_with_the_extra(paths, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(UserError, match=r"resnest-bench\[search\]"):
        SimulatedSearch(search_study(), paths).decide(0)


def test_records_of_trials_belong_to_the_study(paths):
    from resnest_bench.results import open_study

    run(paths)
    results = open_study(paths.root)
    assert results.frames.unlisted == []
    assert set(results.runs["variant"]) == {"A", "B", "T", "A-tuned", "B-tuned"}
    assert results.runs["test_accuracy"].notna().sum() == 6
    assert len(list(paths.records.rglob("*.json"))) == len(results.runs) + 16
    assert records.read(paths.record(results.spec.trial_jobs[0])).status == "ok"


def test_reasons_to_stop_are_told_apart():
    assert len({USED_UP, EXHAUSTED, NOTHING_LEFT}) == 3
