"""Phrases that messages, tables and pages share (floor 0)."""

from collections.abc import Iterable


def list_names(names: Iterable[str], most: int, separator: str = ", ") -> str:
    """The first `most` names and the number of further ones: 'A, B and 7 more'."""
    shown = list(names)
    joint = "" if separator == ", " else separator.strip()
    more = f"{joint} and {len(shown) - most:,} more" if len(shown) > most else ""
    return separator.join(shown[:most]) + more


def count_noun(number: int, noun: str) -> str:
    """'1 pair' or '1,200 pairs', for a noun with a regular plural."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
