"""resnest-bench: which network to choose, and whether the difference is real.

`open_study("results/mine")` gives a study's results as DataFrames: docs/api.md.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resnest_bench.errors import UserError
    from resnest_bench.paths import Experiment
    from resnest_bench.results import StudyResults, open_study

__version__ = "0.1.0"
__all__ = ["Experiment", "StudyResults", "UserError", "__version__", "open_study"]

_HOMES = {
    "Experiment": "paths",
    "StudyResults": "results",
    "UserError": "errors",
    "open_study": "results",
}


def __getattr__(name: str) -> Any:
    """Import a name on first use, since importing pandas takes half a second that most commands save."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
