"""The base of all specs: frozen, no unknown keys, and defaults are recorded."""

from collections.abc import Collection
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from resnest_bench.digests import json_digest
from resnest_bench.errors import UserError
from resnest_bench.paths import NAME_PATTERN, check_name

Name = Annotated[
    str, AfterValidator(check_name), Field(json_schema_extra={"pattern": NAME_PATTERN})
]


def _as_string(value: Any) -> Any:
    # YAML reads a study named 2026 as a number, but names of folders are text.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


StudyName = Annotated[Name, BeforeValidator(_as_string)]
VariantNames = Literal["all"] | tuple[Name, ...]
PositiveInt = Annotated[int, Field(ge=1, strict=True)]
CountInt = Annotated[int, Field(ge=0, strict=True)]


def _not_bool(value: Any) -> Any:
    # YAML reads yes, on and true as booleans, which would pass for 1.0. Text is allowed, since YAML
    # reads 1e-3 as text.
    if isinstance(value, bool):
        raise ValueError(f"must be a number, but got {value}")
    return value


Number = Annotated[float, BeforeValidator(_not_bool)]
PositiveFloat = Annotated[Number, Field(gt=0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[Number, Field(ge=0, allow_inf_nan=False)]
Probability = Annotated[Number, Field(ge=0, lt=1, allow_inf_nan=False)]
Share = Annotated[Number, Field(ge=0, le=1, allow_inf_nan=False)]


class Spec(BaseModel):
    """A frozen, validated value. Unknown keys are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    # Keys that don't affect results: names, texts, and paths of files, whose digests are compared instead.
    NO_RESULT: ClassVar[frozenset[str]] = frozenset()

    def as_dict(self) -> dict[str, Any]:
        """Return the spec with all defaults as JSON values, as a record stores it."""
        return self.model_dump(mode="json")

    def as_stated(self) -> dict[str, Any]:
        """Return `as_dict` without default values."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @property
    def digest(self) -> str:
        return json_digest(self.as_dict())


def check_known(where: str, name: str, known: Collection[str]) -> None:
    """Raise UserError with the nearest of the `known` names if `name` is not one of them."""
    if name in known:
        return
    from difflib import get_close_matches

    names = sorted(known)
    close = get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names)}"
    raise UserError(f"{where}: unknown name {name!r}: {hint}")
