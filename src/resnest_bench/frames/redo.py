"""Which records the workflow makes anew, though they are there."""

import numpy as np

from resnest_bench.frames.cache import load_frames
from resnest_bench.paths import Job, StudyPaths
from resnest_bench.specs import StudySpec, study_with_looks
from resnest_bench.status.fingerprints import read_fingerprints


def list_redo(study: StudySpec, paths: StudyPaths) -> dict[Job, str]:
    """Each job whose record is stale or invalid and is to be made again, and why. Writes nothing."""
    whole = study_with_looks(study, paths)
    runs = load_frames(whole, paths, read_fingerprints(whole)).runs
    due = runs["to_do"] & (runs["status"] != "missing")
    jobs = whole.jobs()
    return {
        jobs[place]: f"{runs['status'].iloc[place]}: {runs['reason'].iloc[place]}"
        for place in np.flatnonzero(due)
    }
