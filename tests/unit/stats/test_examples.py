"""The examples in the docstrings of `resnest_bench.stats` give what they print."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

from resnest_bench import stats

MODULES = [
    importlib.import_module(f"{stats.__name__}.{module.name}")
    for module in pkgutil.iter_modules(stats.__path__)
]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.split(".")[-1])
def test_the_examples_run(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def list_public_functions(module):
    return [
        (name, function)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    ]


@pytest.mark.parametrize(
    ("name", "function"),
    [pair for module in MODULES for pair in list_public_functions(module)],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_public_function_has_an_example(name, function):
    assert ">>> " in (inspect.getdoc(function) or "")


def test_a_wrong_example_is_found():
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(verbose=False)
    example = parser.get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, 0)
    assert runner.run(example, out=lambda text: None).failed == 1
