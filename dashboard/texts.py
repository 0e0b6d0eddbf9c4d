"""Names and other texts of records, so that Markdown shows them letter by letter."""

import re
from collections.abc import Sequence

from resnest_bench.paths import Experiment
from resnest_bench.words import list_names

# Everything that Markdown, streamlit's directives (:red[...], :material/...:) or TeX ($...$) would
# make of a record's text. Records come from others: no image, link or HTML of theirs is drawn.
MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:&\"'=^@/])")
MAX_NAMES = 12


def plain(text: str) -> str:
    """`text` so that Markdown shows it letter by letter, on one line."""
    return MARKUP.sub(r"\\\1", " ".join(str(text).split()))


def few(names: Sequence[str]) -> str:
    """The first dozen names, and how many more there are."""
    return list_names(map(plain, names), MAX_NAMES)


def name_experiment(experiment: Experiment, separator: str = ", ") -> str:
    """'train, cifar10, paper20'; of latencies, which stand apart, 'cifar10, paper'."""
    kind, *place = experiment
    return separator.join(place if kind == "latency" else experiment)
