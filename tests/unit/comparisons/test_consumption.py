"""Energy, memory and cost from records to tables, noise floors and claims."""

import pytest

from resnest_bench.errors import UserError
from resnest_bench.report.captions import notes
from resnest_bench.report.tables import display_frame
from resnest_bench.results import StudyResults
from resnest_bench.status.changes import find_change
from resnest_bench.tables.axes import list_axes
from support.consumption_study import REASON, ROUNDS, consumption_study, write_consumption
from support.records_factory import make_study


def ask(name, **test):
    return {"name": name, "claim": "It is said.", "test": test}


CLAIMS = [
    ask("less-energy", kind="greater", metric="energy", a=["B"], b=["A"]),
    ask("half-the-energy", kind="saves", of="energy", a="A", b="B", at_most=99, times=1.9),
    ask("a-tenth", kind="saves", of="energy", a="A", b="B", at_most=99, times=10),
    ask("cheaper", kind="greater", metric="cost", a=["B"], b=["A"], batch_size=8),
    ask("smaller", kind="greater", metric="memory", a=["B"], b=["A"]),
    ask("two-joules", kind="within", metric="energy", a="A", value=2.0, margin=0.2),
    ask("of-t", kind="greater", metric="energy", a=["T"], b=["A"]),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A takes 2 J, B twice as much with twice the memory; T's energy is not available."""
    study = consumption_study(CLAIMS)
    paths = study.paths(tmp_path_factory.mktemp("consumption"))
    write_consumption(study, paths)
    return StudyResults(study, paths)


def claims(results):
    return {row["name"]: row for row in results.claims().to_dict("records")}


def test_claims_are_about_ratios_over_rounds(results):
    found = claims(results)
    words = {name: row["verdict"] for name, row in found.items()}
    assert words["less-energy"] == words["cheaper"] == words["smaller"] == "supported"
    assert words["half-the-energy"] == "supported"
    assert words["a-tenth"] == "contradicted"
    assert words["two-joules"] == "supported"
    assert found["less-energy"]["family"] == found["smaller"]["family"]


def test_a_claim_about_an_energy_that_is_not_available_gives_the_reason(results):
    row = claims(results)["of-t"]
    assert row["verdict"] == "untested"
    assert REASON in row["explanation"]


def test_the_table_has_means_with_intervals_and_gaps_with_reasons(results):
    table = results.tradeoff.set_index("variant")
    # Rounds take 1, 1.01, 1.02 and 1.03 of it.
    assert table.loc["A", "energy_joules_per_image"] == pytest.approx(2 * 1.015)
    assert table.loc["A", "energy_low_joules"] < 2.03 < table.loc["A", "energy_high_joules"]
    assert table.loc["A", "energy_rounds"] == ROUNDS
    assert table.loc["B", "resident_bytes"] == pytest.approx(203 * 2**20)
    # Eight images take 8 ms, so that one takes 1 ms, a 3.6 millionth of an hour.
    assert table.loc["A", "cost_per_million_images"] == pytest.approx(1.0 * 1.015)
    assert table["energy_joules_per_image"].isna().tolist() == [False, False, True]
    display = display_frame(results.tradeoff)
    assert "(n=4)" in display["J/image"][0]
    assert any(REASON in note for note in notes(results.tradeoff))


def test_the_noise_floor_of_energies_is_that_of_the_reference_network(results):
    (row,) = results.energy_noise.to_dict("records")
    assert row["quantity"] == "energy"
    # A's and B's jobs differ by 2 % in each round: sd = log(1.02) / sqrt(2).
    assert row["job_percent"] == pytest.approx(100 * 0.019803 / 2**0.5, rel=1e-3)
    assert (results.noise["quantity"] == "latency").all()


def test_each_is_an_axis(results):
    axes = list_axes(results.runs, results.cells)
    for name in ("energy_joules_per_image", "cost_per_million_images", "resident_bytes"):
        assert {name, f"{name}.b1", f"{name}.b8"} <= set(axes)
        assert axes[name].better == "lower"
    assert axes["resident_bytes"].unit == "MiB"


def test_a_study_that_asks_for_nothing_has_no_such_column(tmp_path):
    study = make_study()
    table = StudyResults(study, study.paths(tmp_path)).tradeoff
    assert not {"energy_joules_per_image", "cost_low", "resident_bytes"} & set(table)


def test_the_new_keys_at_their_defaults_leave_a_record_current():
    study = make_study()
    job = next(job for job in study.jobs() if job.kind == "latency")
    now = study.job_spec(job)
    old = {k: v for k, v in now["protocol"].items() if k not in ("memory", "energy_seconds")}
    assert find_change({**now, "protocol": old}, now) == ""
    asked = {**now, "protocol": {**now["protocol"], "memory": True}}
    assert find_change({**now, "protocol": old}, asked) == "protocol.memory was false, is true"


def test_a_saving_of_something_else_is_refused():
    with pytest.raises(UserError, match="of"):
        make_study(claims=[ask("x", kind="saves", of="water", a="A", b="B", at_most=1, times=2)])
