"""Phrases for messages, tables and pages (floor 0)."""

from collections.abc import Iterable


def list_names(names: Iterable[str], max_names: int, separator: str = ", ") -> str:
    """Join the first `max_names` names and count the others: 'A, B and 7 more'."""
    every = list(names)
    joint = "" if separator == ", " else separator.strip()
    more = f"{joint} and {len(every) - max_names:,} more" if len(every) > max_names else ""
    return separator.join(every[:max_names]) + more


def count_noun(number: int, noun: str) -> str:
    """Return '1 pair' or '1,200 pairs', for a noun with a regular plural."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
