"""A trial that dies by a signal is an answer; the process that asked lives on."""

import functools
import os
import signal
import sys
import types

import pytest

from resnest_bench.training.isolation import find_crash


@pytest.mark.slow
def test_a_signal_and_an_exit_code_are_named():
    killed = functools.partial(signal.raise_signal, signal.SIGSEGV)
    assert "SIGSEGV" in find_crash(killed)
    assert "3" in find_crash(functools.partial(os._exit, 3))


@pytest.mark.slow
def test_what_lives_and_what_python_raises_is_no_crash():
    assert find_crash(functools.partial(int, "1")) is None
    assert find_crash(functools.partial(int, "no number")) is None


def test_what_can_not_be_sent_counts_as_a_crash():
    assert "can't be tried" in find_crash(lambda: None)


@pytest.mark.slow
def test_what_can_not_be_read_there_counts_as_a_crash(monkeypatch):
    """Like a network of a user's file, whose module the other process does not have."""
    module = types.ModuleType("only_here")
    module.Trial = type("Trial", (), {"__call__": print, "__module__": "only_here"})
    monkeypatch.setitem(sys.modules, "only_here", module)
    assert "exit code 1" in find_crash(module.Trial())
