"""A trial that dies by a signal is an answer; the process that asked lives on."""

import functools
import os
import signal

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
