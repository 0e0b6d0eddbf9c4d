"""What two tables must share so that their rows can be compared, as one short digest.

Parts: the data (images, labels and classes, the test images, and how they are prepared), the recipe, and for
latencies the protocol and the machine; and the versions of torch. Accuracies don't need one machine: another
one rounds differently, which is less than what a seed does. The network is no part: it is what is compared.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from resnest_bench.digests import json_digest
from resnest_bench.formats import is_known
from resnest_bench.specs import StudySpec
from resnest_bench.specs.base import Spec
from resnest_bench.status.changes import digest_result

COMPARABILITY_COLUMNS = ["comparability", "comparability_parts"]
# If the rule changes, so does every digest.
VERSION = 1
PART_DIGITS = 4


def add_comparability(study: StudySpec, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add COMPARABILITY_COLUMNS to the rows of a table: null where a row has no result.

    `comparability` is the digest, like '3f9a-1c2d', `comparability_parts` the digest of each part, like
    'data 81d0, recipe 77aa, software 5b1c'. Imported results have none: their recipe is unknown.
    """
    digests: dict[str, str] = {}
    return [{**row, **_columns(_list_parts(study, row, digests))} for row in rows]


def _columns(parts: Mapping[str, Any] | None) -> dict[str, str]:
    if parts is None:
        return {}
    whole = json_digest([VERSION, parts])
    named = [f"{name} {json_digest(value)[:PART_DIGITS]}" for name, value in parts.items()]
    # With the hyphen no reader of a CSV file takes it for a number.
    return {
        "comparability": f"{whole[:4]}-{whole[4:8]}",
        "comparability_parts": ", ".join(named),
    }


def _list_parts(
    study: StudySpec, row: Mapping[str, Any], digests: dict[str, str]
) -> dict[str, Any] | None:
    """The values of a row that must agree; None without a result, or if one of them is unknown."""
    parts: dict[str, Any] = {}
    torches = []
    if row.get("n"):
        if not is_known(row.get("data_fingerprint")) or row["recipe"] not in study.all_recipes:
            return None
        parts["data"] = [
            row["data_fingerprint"],
            int(row["num_test"]),
            _digest(study, "dataset", row["dataset"], digests),
        ]
        more = [row.get(name) for name in ("weights", "teacher", "teacher_recipe")]
        parts["recipe"] = [_digest(study, "recipe", row["recipe"], digests), *more]
        torches.append(row["train_torch"])
    if is_known(row.get("latency_p50_ms")):
        if row["protocol"] not in study.all_protocols:
            return None
        parts["protocol"] = [
            _digest(study, "protocol", row["protocol"], digests),
            int(row["latency_batch_size"]),
            row["latency_setting"],
        ]
        parts["machine"] = row["latency_device"]
        torches.append(row["latency_torch"])
    if not parts:
        return None
    return {**parts, "software": torches}


def _digest(study: StudySpec, part: str, name: str, digests: dict[str, str]) -> str:
    """The digest of what affects results in a dataset, a recipe or a protocol, whatever its name."""
    key = f"{part} {name}"
    if key not in digests:
        specs: dict[str, Mapping[str, Spec]] = {
            "dataset": study.datasets,
            "recipe": study.all_recipes,
            "protocol": study.all_protocols,
        }
        digests[key] = digest_result({part: specs[part][name].as_dict()})
    return digests[key]


def describe_comparability(table: pd.DataFrame) -> list[str]:
    """Say a table's digest in one line; nothing for a table without results.

    'Comparability 3f9a-1c2d (data 81d0, recipe differs, software 5b1c)': rows of a table can differ in a
    part, as those of several recipes do.
    """
    if "comparability" not in table:
        return []
    rows = table[COMPARABILITY_COLUMNS].dropna().drop_duplicates()
    if rows.empty:
        return []
    found: dict[str, set[str]] = {}
    for text in rows["comparability_parts"]:
        for part in text.split(", "):
            name, _, digest = part.partition(" ")
            found.setdefault(name, set()).add(digest)
    digests = sorted(rows["comparability"])
    whole = digests[0]
    if len(digests) > 1:
        joined = json_digest(digests)
        whole = f"{joined[:4]}-{joined[4:8]}"
    parts = [f"{n} {next(iter(d)) if len(d) == 1 else 'differs'}" for n, d in found.items()]
    return [f"Comparability {whole} ({', '.join(parts)})"]
