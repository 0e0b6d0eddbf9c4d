"""A whole synthetic study in a folder of its own, which a test may then break."""

import pytest

from support import records_factory


@pytest.fixture
def study():
    return records_factory.make_study()


@pytest.fixture
def paths(study, tmp_path):
    """Paths of the study, with every record there and ok."""
    paths = study.paths(tmp_path / "results")
    records_factory.write_study(study, paths)
    return paths
