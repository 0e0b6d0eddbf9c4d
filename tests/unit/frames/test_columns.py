"""Every column of the tidy tables is explained."""

import pytest

from resnest_bench.comparisons.variance import COMPONENT_COLUMNS, SEEDS_OR_IMAGES_COLUMNS
from resnest_bench.frames.columns import TABLES, TEXTS, columns_page, describe_column
from resnest_bench.frames.rows import collect
from resnest_bench.generate import generated_files
from resnest_bench.tables.stability import STABILITY_COLUMNS

COLUMNS = {name for _, columns in TABLES.values() for name in columns}


@pytest.mark.parametrize("name", sorted(COLUMNS))
def test_a_column_has_a_text(name):
    assert describe_column(name)


def test_a_column_that_no_table_has_is_an_error():
    with pytest.raises(KeyError):
        describe_column("nonsense")
    assert set(TEXTS) <= COLUMNS


def test_the_page_has_what_a_table_has(study, paths):
    page = columns_page()
    assert all(f"| `{name}` |" in page for name in collect(study, paths).columns)


def test_the_page_explains_every_column_of_the_spread():
    page = generated_files()["docs/columns.md"]
    for columns in (STABILITY_COLUMNS, COMPONENT_COLUMNS, SEEDS_OR_IMAGES_COLUMNS):
        assert all(f"| `{name}` |" in page for name in columns)
