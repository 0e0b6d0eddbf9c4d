"""A message is one printable line, whatever came."""

from resnest_bench.errors import UserError


def test_a_name_cannot_break_the_line_or_command_the_terminal():
    message = str(UserError("cannot read a\nb\x1b[31m\u202ec\ud800.yaml: é"))
    assert message == "cannot read a b\\x1b[31m\\u202ec\\ud800.yaml: é"
    assert message.isprintable()
