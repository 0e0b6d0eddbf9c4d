"""Files of results from anywhere: read whole with values that can be, or refused in one line."""

import contextlib
import csv
import io
import math

import numpy as np
import pytest
from hypothesis import strategies as st

from resnest_bench.errors import UserError
from resnest_bench.imports.assemble import make_name
from resnest_bench.imports.columns import Choices, simplify
from resnest_bench.imports.reading import read_files
from resnest_bench.imports.units import parse_number
from resnest_bench.paths import check_name
from resnest_bench.records.metrics import METRICS
from resnest_bench.records.observations import MAX_FLOAT
from support.fuzzing import TEXTS, damaged, fuzzed
from support.imported_study import ACCURACIES, BOTH, LATENCIES, ONE_EACH, predictions_text

WHOLE = [
    text.encode()
    for text in (ACCURACIES, BOTH, LATENCIES, ONE_EACH, predictions_text(num_seeds=1, num_images=4))
]
HEADERS = st.one_of(
    st.sampled_from(
        [
            "model",
            "seed",
            "test_acc",
            "top1",
            "accuracy %",
            "metric",
            "value",
            "Step",
            "A - acc",
            "latency_ms",
            "batch_size",
            "p50_ms",
            "params",
            "label",
            "predicted",
            "image",
            "Name",
            "State",
            "dataset",
            "img_size",
            "Wall time",
            "Value",
        ]
    ),
    st.sampled_from(TEXTS),
)
CELLS = st.one_of(
    st.sampled_from(
        ["", "0", "1", "0.5", "93.1", "1e400", "-1", "nan", "A", "a", "..", "1,2", "[1, 2]", "99%"]
    ),
    st.floats().map(str),
    st.sampled_from(TEXTS),
)


def check_refusal(error):
    assert str(error).isprintable()
    assert str(error).strip()


def check(paths, **choices):
    """Whether the files were taken: with values in range and safe names."""
    try:
        found = read_files(paths, Choices(**choices))
    except UserError as error:
        check_refusal(error)
        return False
    assert found.results
    for job, results in found.results.items():
        for name, value in results.values.items():
            assert math.isfinite(value)
            assert abs(value) <= MAX_FLOAT
            assert METRICS[name].unit != "fraction" or 0 <= value <= 1
        times = [
            ms for cell in results.cells for ms in [*cell.samples_ms, *cell.statistics_ms.values()]
        ]
        assert all(ms > 0 and math.isfinite(ms) for ms in times)
        assert results.values or times or job in found.predictions
    assert sum(len(seeds) for block in found.blocks for seeds in block.seeds.values()) == len(
        found.results
    )
    return True


@pytest.mark.parametrize("content", WHOLE)
def test_the_files_that_are_bent_are_valid(tmp_path, content):
    (tmp_path / "r.csv").write_bytes(content)
    assert check([tmp_path / "r.csv"], batch_size=1)


@fuzzed(0.4, content=st.sampled_from(WHOLE).flatmap(damaged))
def test_a_damaged_table(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "damaged.csv"
    path.write_bytes(content)
    check([path], batch_size=1)


@fuzzed(
    0.4,
    header=st.lists(HEADERS, min_size=1, max_size=6),
    rows=st.lists(st.lists(CELLS, min_size=6, max_size=6), max_size=5),
)
def test_a_table_of_anything(tmp_path_factory, header, rows):
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(row[: len(header)] for row in rows)
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(text.getvalue().encode(errors="replace"))
    check([path], batch_size=1)


def make_npz():
    file = io.BytesIO()
    np.savez(file, labels=np.array([0, 1, 1]), probs=np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]))
    return file.getvalue()


@fuzzed(0.2, content=damaged(make_npz()))
def test_damaged_arrays(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.write_bytes(content)
    check([path])


SHAPES = st.lists(st.integers(0, 3), max_size=3).map(tuple)
KINDS = st.sampled_from(["float64", "int64", "bool", "U3", "complex128", "uint8", "float16"])


@fuzzed(
    0.3,
    shapes=st.fixed_dictionaries(
        {name: st.tuples(SHAPES, KINDS) for name in ("labels", "probs", "predicted", "images")}
    ),
    value=st.integers(-1, 3),
)
def test_arrays_of_any_shape_and_type(tmp_path_factory, shapes, value):
    path = tmp_path_factory.getbasetemp() / "shapes.npz"
    arrays = {name: np.full(shape, value).astype(kind) for name, (shape, kind) in shapes.items()}
    np.savez(path, **arrays)
    check([path])


@fuzzed(0.3, text=st.one_of(st.sampled_from(TEXTS), st.text(max_size=20)))
def test_a_name_is_safe_or_refused(text):
    name = make_name(text)
    if name:
        assert check_name(name) == name
        assert make_name(name) == name
    assert simplify(text) == simplify(simplify(text))


@fuzzed(0.3, text=CELLS, delimiter=st.sampled_from(",;\t"))
def test_a_cell_is_a_finite_number_or_refused(text, delimiter):
    with contextlib.suppress(ValueError):
        value = parse_number(text, delimiter)
        assert value is None or math.isfinite(value)
