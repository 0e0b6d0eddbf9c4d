"""Which existing records the workflow replaces."""

import numpy as np

from resnest_bench.frames.cache import load_frames
from resnest_bench.paths import Job, StudyPaths
from resnest_bench.specs import StudySpec, study_with_trials
from resnest_bench.status.fingerprints import read_fingerprints


def list_redo(study: StudySpec, paths: StudyPaths) -> dict[Job, str]:
    """Jobs whose record is stale or invalid and will be replaced, with the reason. Writes nothing."""
    current = study_with_trials(study, paths)
    runs = load_frames(current, paths, read_fingerprints(current)).runs
    due = runs["to_do"] & (runs["status"] != "missing")
    jobs = current.jobs()
    return {
        jobs[row]: f"{runs['status'].iloc[row]}: {runs['reason'].iloc[row]}"
        for row in np.flatnonzero(due)
    }
