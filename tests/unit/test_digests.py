import pytest

from resnest_bench.digests import (
    _code_lines,
    code_digest,
    json_digest,
    reached_modules,
    uncounted_digest,
)


@pytest.fixture
def package(tmp_path):
    """A package of four modules: training -> models -> shapes, and tables alone."""
    root = tmp_path / "pack"
    (root / "training").mkdir(parents=True)
    (root / "tables").mkdir()
    (root / "__init__.py").write_text("")
    (root / "training" / "__init__.py").write_text("")
    (root / "training" / "loop.py").write_text("from pack.models import build\nx = 1\n")
    (root / "models.py").write_text("def build():\n    from pack import shapes\n")
    (root / "shapes.py").write_text("SIZE = 3\n")
    (root / "specs.py").write_text("A = 1\n")
    (root / "tables" / "__init__.py").write_text("import pandas\n")
    return root


def digest(package, kind="train"):
    code_digest.cache_clear()
    return code_digest(kind, package)


def test_imports_are_followed_into_functions_and_folders(package):
    assert reached_modules(("training",), package) == {
        "training",
        "training.loop",
        "models",
        "shapes",
    }


def test_an_edit_of_a_module_that_is_reached_changes_the_digest(package):
    before = digest(package)
    (package / "shapes.py").write_text("SIZE = 4\n")
    assert digest(package) != before


def test_touch_comment_and_foreign_edit_do_not(package):
    before = digest(package)
    (package / "shapes.py").write_text("# a comment\n\nSIZE = 3\n")
    (package / "tables" / "__init__.py").write_text("import numpy\n")
    (package / "specs.py").write_text("A = 2\n")
    assert digest(package) == before


def test_what_a_jobs_digest_leaves_out_has_one_of_its_own(package):
    before = uncounted_digest(package)
    uncounted_digest.cache_clear()
    (package / "shapes.py").write_text("SIZE = 4\n")
    assert uncounted_digest(package) == before
    uncounted_digest.cache_clear()
    (package / "specs.py").write_text("A = 2\n")
    assert uncounted_digest(package) != before


def test_a_hash_inside_a_line_counts(tmp_path):
    file = tmp_path / "a.py"
    file.write_text('x = "#1"\n')
    assert _code_lines(file) == 'x = "#1"'


def test_digest_of_ignores_the_order_of_keys():
    assert json_digest({"a": 1, "b": [1, 2]}) == json_digest({"b": [1, 2], "a": 1})
    assert json_digest({"a": 1}) != json_digest({"a": 2})


def test_training_reaches_models_and_data_but_no_tables():
    reached = reached_modules(("training",))
    assert {"models", "data", "training.loop", "measure.evaluation"} <= reached
    assert not {name for name in reached if name.startswith(("tables", "charts", "specs", "cli"))}
