"""Errors that a user can repair (floor 0). The CLI prints them in one line, without a traceback."""


class UserError(ValueError):
    """An input breaks a rule. The message says the rule, what came and what to do.

    It is one line of printable text, whatever names and values came: a terminal obeys others.
    """

    def __init__(self, message: str) -> None:
        words = " ".join(message.split())
        shown = (c if c.isprintable() else ascii(c)[1:-1] for c in words)
        super().__init__("".join(shown))
