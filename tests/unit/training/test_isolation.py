"""A trial that dies by a signal is an answer; the process that asked lives on."""

import functools
import os
import signal

import pytest

from resnest_bench.training.isolation import crash_of


@pytest.mark.slow
def test_a_signal_and_an_exit_code_are_named():
    killed = functools.partial(signal.raise_signal, signal.SIGSEGV)
    assert "SIGSEGV" in crash_of(killed)
    assert "3" in crash_of(functools.partial(os._exit, 3))


@pytest.mark.slow
def test_what_lives_and_what_python_raises_is_no_crash():
    assert crash_of(functools.partial(int, "1")) is None
    assert crash_of(functools.partial(int, "no number")) is None
