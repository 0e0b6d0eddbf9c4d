"""What the tests of generated input share: how many, bent values, and ways to bend a valid one."""

import copy
import functools
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

COUNTS: Counter[str] = Counter()
Path = tuple[str | int, ...]


def fuzzed(share: float = 1.0, **strategies: st.SearchStrategy) -> Callable:
    """`given`, with `share` of the profile's number of inputs, which are counted.

    A small share is for what takes long.
    """

    def decorate(test: Callable) -> Callable:
        @functools.wraps(test)
        def counted(*args: Any, **kwargs: Any) -> None:
            COUNTS[test.__name__] += 1
            test(*args, **kwargs)

        number = max(5, round(settings().max_examples * share))
        return settings(max_examples=number)(given(**strategies)(counted))

    return decorate


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


TEXTS = [
    "",
    " ",
    "all",
    "a/b",
    "../../etc",
    "/abs",
    "..",
    ".",
    "a..b",
    "CON",
    "\0",
    "a\nb",
    "\u2028",
    "\ud800",
    "é",
    "e\u0301",
    "１",
    "NaN",
    "inf",
    "1e999",
    "0x10",
    "1_0",
    "yes",
    "off",
    "true",
    "null",
    "-1",
    "3",
    "0.5",
    "1e-3",
    "x" * 5000,
    "{{ 7 * 7 }}",
    "<script>",
    "$(id)",
    "a b",
    "-rf",
]
NUMBERS = [
    0,
    1,
    -1,
    2,
    10,
    255,
    2**31,
    2**53 - 1,
    2**53,
    2**63,
    10**30,
    -(10**30),
    10**400,
    0.0,
    -0.0,
    0.5,
    1.0,
    1.5,
    -0.5,
    5e-324,
    1e-300,
    1e38,
    1e40,
    1e308,
    -1e308,
    math.nan,
    math.inf,
    -math.inf,
]
OTHERS = [None, True, False, [], {}, [[]], {"": None}, [1, "a", None], {"a": {"b": [1]}}]
DEEP = [_nested(40), _nested(400)]
JUNK = st.one_of(
    st.sampled_from(TEXTS),
    st.sampled_from(NUMBERS),
    st.sampled_from(OTHERS),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(DEEP),
).map(copy.deepcopy)


def list_paths(value: Any, here: Path = ()) -> list[Path]:
    """The places of all values inside `value`."""
    if isinstance(value, dict):
        inside = value.items()
    elif isinstance(value, list):
        inside = enumerate(value)
    else:
        return [here] if here else []
    below = [path for key, item in inside for path in list_paths(item, (*here, key))]
    return [*([here] if here else []), *below]


def at(value: Any, path: Path) -> Any:
    for key in path:
        value = value[key]
    return value


@st.composite
def replaced(draw: st.DrawFn, valid: Any) -> tuple[Any, Path, Any]:
    """`valid` with one value, at any level, replaced: (the whole, where, by what)."""
    path = draw(st.sampled_from(list_paths(valid)))
    old = at(valid, path)
    choices = [JUNK, st.sampled_from(list_paths(valid)).map(lambda p: copy.deepcopy(at(valid, p)))]
    if isinstance(old, int | float) and not isinstance(old, bool):
        # The same kind of value: a unit mistaken, a sign, one more.
        factors = st.sampled_from([-1, 0, 2, 1000, 1e-3, 1e9, 1e-9])
        choices += [factors.map(lambda f: type(old)(old * f)), st.just(old + 1), st.just(str(old))]
    new = draw(st.one_of(*choices))
    whole = copy.deepcopy(valid)
    at(whole, path[:-1])[path[-1]] = new
    return whole, path, new


@st.composite
def bent(draw: st.DrawFn, valid: Any) -> Any:
    """`valid` with one to three changes of its structure: values, keys, entries."""
    whole = copy.deepcopy(valid)
    for _ in range(draw(st.integers(1, 3))):
        paths = list_paths(whole)
        if not paths:
            break
        path = draw(st.sampled_from(paths))
        parent, key = at(whole, path[:-1]), path[-1]
        change = draw(st.sampled_from(["replace", "remove", "add", "twice", "rename"]))
        if change == "replace":
            parent[key] = draw(JUNK)
        elif change == "remove":
            del parent[key]
        elif change == "add" and isinstance(parent, dict):
            parent[draw(st.sampled_from(["", "x", "name", "note", "path", "seed"]))] = draw(JUNK)
        elif change == "twice" and isinstance(parent, list):
            parent.append(copy.deepcopy(parent[key]))
        elif change == "rename" and isinstance(parent, dict):
            parent[draw(st.sampled_from(TEXTS))] = parent.pop(key)
    return whole


@st.composite
def damaged(draw: st.DrawFn, valid: bytes) -> bytes:
    """`valid` cut off, with bytes turned, put in, taken out or repeated; BOMs and wrong encodings."""
    data = bytearray(valid)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        change = draw(st.sampled_from(["cut", "flip", "insert", "delete", "repeat", "whole"]))
        if change == "cut":
            del data[place:]
        elif change == "flip" and data:
            data[place] ^= 1 << draw(st.integers(0, 7))
        elif change == "insert":
            data[place:place] = draw(
                st.one_of(
                    st.sampled_from(
                        [
                            b"\xef\xbb\xbf",
                            b"\xff\xfe",
                            b"\0",
                            b"NaN",
                            b"\\ud800",
                            b'"',
                            b"[" * 3000,
                            b"9" * 400,
                            b"9" * 5000,
                            b"-",
                            b"1e999",
                            b"&a *a",
                            b"!!python/none",
                            b"\r",
                        ]
                    ),
                    st.binary(max_size=8),
                )
            )
        elif change == "delete":
            del data[place : place + draw(st.integers(1, 40))]
        elif change == "repeat":
            end = place + draw(st.integers(1, 200))
            data[place:place] = data[place:end]
        elif change == "whole":
            codec = draw(st.sampled_from(["utf-16", "utf-8-sig", "latin1"]))
            data = bytearray(bytes(data).decode("latin1").encode(codec, "replace"))
    return bytes(data)


def not_finite(value: Any, here: Path = ()) -> list[Path]:
    """Places of numbers that are infinite or none."""
    if isinstance(value, dict):
        return [p for k, v in value.items() for p in not_finite(v, (*here, k))]
    if isinstance(value, list | tuple):
        return [p for i, v in enumerate(value) for p in not_finite(v, (*here, i))]
    bad = isinstance(value, float) and not math.isfinite(value)
    return [here] if bad else []


def same_meaning(given_: Any, kept: Any) -> bool:
    """Whether what is kept of a value is what was given: text may stand for a number, 1 for true."""
    if isinstance(given_, bool) or isinstance(kept, bool):
        words = {
            "true": True,
            "yes": True,
            "on": True,
            "1": True,
            "t": True,
            "y": True,
            "false": False,
            "no": False,
            "off": False,
            "0": False,
            "f": False,
            "n": False,
        }
        if isinstance(given_, str):
            return words.get(given_.lower()) is kept
        return isinstance(kept, bool) and given_ in (0, 1) and bool(given_) is kept
    if isinstance(given_, str) and isinstance(kept, int | float):
        return float(given_) == kept
    if isinstance(given_, int | float) and isinstance(kept, str):
        return str(given_) == kept
    if isinstance(given_, dict):
        return isinstance(kept, dict) and all(
            key in kept and same_meaning(item, kept[key]) for key, item in given_.items()
        )
    if isinstance(given_, list | tuple):
        if isinstance(kept, int):
            # One number for each stage, all alike, is kept as that number.
            return bool(given_) and all(same_meaning(item, kept) for item in given_)
        return (
            isinstance(kept, list | tuple)
            and len(given_) == len(kept)
            and all(map(same_meaning, given_, kept))
        )
    if isinstance(given_, str) and isinstance(kept, str):
        return given_ == kept or " ".join(given_.split()) == kept
    if isinstance(given_, int) and isinstance(kept, float):
        # 10^30 is read as the double that is nearest to it.
        return float(given_) == kept
    return given_ == kept
