"""How differences of variants are tested (floor 1)."""

from typing import Literal

from pydantic import Field

from resnest_bench.specs.base import Spec, VariantNames

Method = Literal["moderated_welch", "welch", "paired_t"]
Correction = Literal["closed", "holm", "fdr"]


class DifferencesSpec(Spec):
    """The test of differences over seeds. docs/methods.md says what each choice means."""

    method: Method = Field(
        default="moderated_welch",
        description="moderated_welch: each variant's spread borrows from the others'. welch: from no other. "
        "paired_t: Student's test of the differences seed by seed",
    )
    correction: Correction = Field(
        default="closed",
        description="For the pairs of one table. closed: closed testing, never stricter than holm. fdr: the "
        "false discovery rate (Benjamini and Hochberg), to screen many variants, not to conclude",
    )
    variants: VariantNames = Field(
        default="all",
        description="Names of the variants that are compared, or all that are trained",
    )
    margin: float | None = Field(
        default=None,
        gt=0,
        description="Differences up to this, in the unit of the measure (points for accuracies), count as "
        "alike: tables give the probability of worse, alike and better",
    )
