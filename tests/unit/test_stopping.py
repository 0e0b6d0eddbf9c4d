"""Signals as exceptions. Whole jobs that are stopped: tests/faults/test_stop.py."""

import signal

import pytest

from resnest_bench.stopping import (
    Interrupted,
    defer_signals,
    interruptible,
    listening,
    raise_if_signalled,
)


def in_a_step(seen):
    with listening(), defer_signals():
        signal.raise_signal(signal.SIGTERM)
        seen.append("in the middle of a step")
        raise_if_signalled()
        seen.append("never")


def test_what_is_deferred_is_raised_at_the_next_check():
    seen = []
    with pytest.raises(Interrupted, match="SIGTERM"):
        in_a_step(seen)
    assert seen == ["in the middle of a step"]


def deferring():
    with listening():
        with defer_signals():
            signal.raise_signal(signal.SIGINT)
        pytest.fail("went on")


def test_the_end_of_a_deferral_is_a_check():
    with pytest.raises(Interrupted, match="SIGINT"):
        deferring()


def cleaning_up(seen):
    with listening():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            seen.append("cleaned up")


def test_a_second_signal_does_not_tear_the_clean_up():
    seen = []
    with pytest.raises(Interrupted, match="SIGTERM"):
        cleaning_up(seen)
    assert seen == ["cleaned up"]


def test_handlers_are_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with listening():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
    assert list(interruptible([1, 2])) == [1, 2]


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130), ("SIGHUP", 129)])
def test_exit_codes_are_those_of_a_shell(name, code):
    assert Interrupted(getattr(signal, name)).exit_code == code


def test_no_handler_of_errors_takes_it_for_one():
    assert not issubclass(Interrupted, Exception)


def looping(seen):
    with listening(), defer_signals():
        for item in interruptible("abc"):
            seen.append(item)
            signal.raise_signal(signal.SIGTERM)


def test_a_loop_ends_before_its_next_item():
    seen = []
    with pytest.raises(Interrupted):
        looping(seen)
    assert seen == ["a"]
