"""Generated input: few and always the same in the suite, many and new with a profile.

    python -m pytest tests/fuzz --hypothesis-profile=full

makes more than 20,000 inputs and prints how many of each kind. One that fails is printed with a
line that makes it again; mend what it found and keep it as a plain test beside the mended code.
"""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis.configuration import set_hypothesis_home_dir

from support.fuzzing import COUNTS

# It keeps tables of its own, which have no place in the repository.
set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "resnest-bench-hypothesis")
COMMON = {
    "deadline": None,  # no test may depend on how busy the machine is
    "database": None,
    "suppress_health_check": list(HealthCheck),
}
settings.register_profile("ci", max_examples=200, derandomize=True, **COMMON)
settings.register_profile("full", max_examples=2500, print_blob=True, **COMMON)
# pytest's option is read after this and replaces it.
settings.load_profile("ci")


def pytest_terminal_summary(terminalreporter):
    if not COUNTS:
        return
    terminalreporter.section("generated inputs")
    for name, count in COUNTS.items():
        terminalreporter.write_line(f"{count:7,} {name}")
    terminalreporter.write_line(f"{sum(COUNTS.values()):7,} in all")
