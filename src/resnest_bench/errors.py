"""Errors that a user can repair (floor 0). The CLI prints them in one line, without a traceback."""


class UserError(ValueError):
    """An input breaks a rule. The message says the rule, what came and what to do."""
