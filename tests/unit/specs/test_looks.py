"""Files of looks are input from outside: what they ask for counts only where the study allows it."""

import pytest

from resnest_bench import files
from resnest_bench.errors import UserError
from resnest_bench.paths import StudyPaths
from resnest_bench.specs import Look, read_looks, study_with_looks
from resnest_bench.specs.looks import file_digest
from support.claims_study import claim, claims_study

GREATER = claim("greater", a=["B"], b=["A"])
BUDGET = {"used_seeds": 0, "used_minutes": 0.0, "left_seeds": None, "left_minutes": None}


@pytest.fixture
def study():
    return claims_study(GREATER, adaptive={"max_seeds": 9})


@pytest.fixture
def paths(tmp_path):
    return StudyPaths(tmp_path / "synthetic")


def wanted(variant, *seeds):
    return {"dataset": "low", "recipe": "quick", "variant": variant, "seeds": seeds}


def write(paths, number, *asked, stop="", study="synthetic", previous=None):
    if previous is None and number:
        previous = file_digest(paths.look(number - 1))
    look = Look(
        study=study,
        look=number,
        previous=previous,
        num_looks=3,
        nominal_level=0.05 / 3,
        records={},
        claims=(),
        wanted=asked,
        budget=BUDGET,
        stop=stop,
    )
    files.write_text(paths.look(number), look.model_dump_json())


def added(study, paths, **more):
    jobs = study_with_looks(study, paths, **more).jobs()
    return {(job.variant, job.seed) for job in jobs if job not in set(study.jobs())}


def test_seeds_of_all_looks_count(study, paths):
    assert added(study, paths) == set()
    write(paths, 0, wanted("A", 5, 6), wanted("B", 5, 6))
    write(paths, 1, wanted("B", 7, 8))
    assert added(study, paths) == {("A", 5), ("A", 6), ("B", 5), ("B", 6), ("B", 7), ("B", 8)}
    assert added(study, paths, before=1) == {("A", 5), ("A", 6), ("B", 5), ("B", 6)}


def test_a_study_with_fixed_seeds_has_no_looks(study, paths):
    write(paths, 0, wanted("A", 5))
    fixed = claims_study(GREATER)
    assert added(fixed, paths) == set()
    assert read_looks(fixed, paths) == []


def test_what_the_study_does_not_allow_does_not_count(study, paths):
    write(paths, 0, wanted("A", 5, 9, 77), wanted("Gone", 5), {**wanted("B", 5), "recipe": "tune"})
    assert added(study, paths) == {("A", 5)}


def test_a_leftover_of_other_looks_does_not_count(study, paths):
    write(paths, 0, wanted("A", 5))
    write(paths, 1, wanted("A", 6))
    # Look 0 is taken anew, of other claims: what followed the old one follows no more.
    write(paths, 0, wanted("B", 5))
    assert added(study, paths) == {("B", 5)}
    write(paths, 0, wanted("B", 5), study="other")
    assert added(study, paths) == set()


def test_nothing_follows_the_last_look(study, paths):
    write(paths, 0, wanted("A", 5))
    write(paths, 1, stop="every claim is decided")
    write(paths, 2, wanted("A", 6))
    assert len(read_looks(study, paths)) == 2
    assert added(study, paths) == {("A", 5)}


@pytest.mark.parametrize("damage", ["", "{", '{"look": 0}', "[]", "\x00", '{"schema_version": 2}'])
def test_a_damaged_file_is_named_with_what_to_do(study, paths, damage):
    files.write_text(paths.look(0), damage)
    with pytest.raises(UserError, match=r"look-0\.json.*delete"):
        read_looks(study, paths)


def test_a_name_that_leads_out_of_the_folder_is_refused(study, paths):
    write(paths, 0, wanted("A", 5))
    text = paths.look(0).read_text().replace('"A"', '"../A"')
    files.write_text(paths.look(0), text)
    with pytest.raises(UserError, match=r"wanted\.0\.variant"):
        read_looks(study, paths)
