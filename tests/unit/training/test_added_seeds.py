"""Which seeds a training may be asked for: the study's own, and those that it may add."""

import pytest

from resnest_bench.errors import UserError
from resnest_bench.paths import Job
from resnest_bench.training.requests import requested_jobs
from support.claims_study import claim, claims_study

GREATER = claim("greater", a=["B"], b=["A"])
PLACE = ("low", "quick", "A")


@pytest.fixture
def study():
    """Own seeds 0 to 4; 5 to 7 may be added."""
    return claims_study(GREATER, adaptive={"max_seeds": 8})


def seeds(jobs):
    return [job.seed for job in jobs]


def test_without_a_wish_all_own_seeds_are_trained(study):
    assert requested_jobs(study, "train", *PLACE) == [
        Job("train", *PLACE, seed) for seed in range(5)
    ]
    assert seeds(requested_jobs(study, "finetune", "high", "tune", "A")) == [0, 1, 2, 3, 4]


def test_own_and_added_seeds_may_be_asked_for(study):
    assert seeds(requested_jobs(study, "train", *PLACE, (7, 0))) == [7, 0]


@pytest.mark.parametrize("asked", [(8,), (0, 5, 100)])
def test_seeds_beyond_the_most_are_refused(study, asked):
    with pytest.raises(UserError, match=f"seed {asked[-1]} is none of study"):
        requested_jobs(study, "train", *PLACE, asked)


def test_without_an_adaptive_block_nothing_is_added():
    fixed = claims_study(GREATER)
    assert seeds(requested_jobs(fixed, "train", *PLACE, (3,))) == [3]
    with pytest.raises(UserError, match="seed 5 is none of study"):
        requested_jobs(fixed, "train", *PLACE, (5,))


def test_fine_tunings_have_no_added_seeds(study):
    with pytest.raises(UserError, match="seed 5 is none of study"):
        requested_jobs(study, "finetune", "high", "tune", "A", (5,))


def test_a_training_that_the_study_lacks_is_refused(study):
    with pytest.raises(UserError, match="has no job train A on high"):
        requested_jobs(study, "train", "high", "quick", "A", (5,))
