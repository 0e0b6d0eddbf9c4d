"""A message is one printable line, whatever came."""

import pytest
import torch

from resnest_bench.errors import UserError, first_line


def test_a_name_cannot_break_the_line_or_command_the_terminal():
    message = str(UserError("cannot read a\nb\x1b[31m\u202ec\ud800.yaml: é"))
    assert message == "cannot read a b\\x1b[31m\\u202ec\\ud800.yaml: é"
    assert message.isprintable()


def test_the_first_line_of_an_error_without_a_message_is_its_type():
    assert first_line(IndexError()) == "IndexError"
    assert first_line(ValueError(" \n ")) == "ValueError"
    assert first_line(ValueError("one\ntwo")) == "one"
    assert len(first_line(ValueError("x" * 999))) == 200


def test_an_error_without_a_message_names_the_code_that_raised_it():
    with pytest.raises(AssertionError) as seen:
        torch._assert(1 > 2, "")
    assert "torch._assert(1 > 2" in first_line(seen.value)
    with pytest.raises(KeyError) as seen:
        {}["no such key"]
    assert first_line(seen.value) == "'no such key'"
