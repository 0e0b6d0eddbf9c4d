"""Equal digests mean that rows can be compared; what may not differ changes the digest."""

import pytest

from resnest_bench import records
from resnest_bench.frames.cache import load_frames
from resnest_bench.report.captions import notes
from resnest_bench.tables.comparability import describe_comparability
from resnest_bench.tables.variants import ablation_table, transfer_table
from support.records_factory import CONFIG, make_study, write_study


def make_table(study, paths, maker=ablation_table):
    frames = load_frames(study, paths, {})
    return maker(study, frames.runs, frames.cells)


def change_records(study, paths, kind, change):
    for job in study.jobs():
        if job.kind == kind:
            record = records.read(paths.record(job))
            records.write(paths.record(job), change(record))


def read_parts(table):
    return dict(part.split(" ") for part in table["comparability_parts"].iloc[0].split(", "))


def with_environment(**changes):
    def change(record):
        environment = record.environment.model_copy(update=changes)
        return record.model_copy(update={"environment": environment})

    return change


def with_fingerprint(record):
    dataset = record.dataset.model_copy(update={"fingerprint": "ab" * 32})
    return record.model_copy(update={"dataset": dataset})


def test_networks_of_one_experiment_are_comparable(study, paths):
    table = make_table(study, paths)
    assert len(table) > 1
    assert table["comparability"].nunique() == 1
    digest = table["comparability"].iloc[0]
    assert describe_comparability(table)[0].startswith(f"Comparability {digest} (data ")
    assert describe_comparability(table)[0] in notes(table)


@pytest.mark.parametrize(
    ("kind", "change", "parts"),
    [
        ("train", with_fingerprint, {"data"}),
        ("train", with_environment(versions={"torch": "2.10.0"}), {"software"}),
        ("latency", with_environment(versions={"torch": "2.10.0"}), {"software"}),
        ("latency", with_environment(device_name="Another CPU"), {"machine"}),
        ("latency", with_environment(num_cpu_threads=1), {"machine"}),
        # An accuracy needs no particular machine.
        ("train", with_environment(device_name="Another CPU"), set()),
    ],
)
def test_a_part_that_must_agree_changes_the_digest(study, paths, kind, change, parts):
    before = make_table(study, paths)
    change_records(study, paths, kind, change)
    after = make_table(study, paths)
    old, new = read_parts(before), read_parts(after)
    assert {name for name in old if old[name] != new[name]} == parts
    assert (before["comparability"].iloc[0] == after["comparability"].iloc[0]) == (not parts)


def test_another_recipe_or_preparation_is_another_digest(tmp_path):
    def digest(**changes):
        study = make_study(**changes)
        paths = study.paths(tmp_path / str(len(list(tmp_path.iterdir()))))
        write_study(study, paths)
        return read_parts(make_table(study, paths))

    plain = digest()
    recipes = {name: {**spec, "weight_decay": 0.123} for name, spec in CONFIG["recipes"].items()}
    assert {n for n, d in digest(recipes=recipes).items() if d != plain[n]} == {"recipe"}
    # Names are no part: another study may call the same thing otherwise.
    assert digest(study="other") == plain


def test_a_table_of_several_recipes_says_what_differs(study, paths):
    table = make_table(study, paths, transfer_table)
    line = describe_comparability(table)[0]
    assert "recipe differs" in line
    assert "data differs" not in line


def test_a_row_without_results_has_none(study, tmp_path):
    table = make_table(study, study.paths(tmp_path / "empty"))
    assert table["comparability"].isna().all()
    assert describe_comparability(table) == []
