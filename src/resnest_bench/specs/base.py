"""What all specs share: frozen, closed, and with defaults that are filled in and recorded."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from resnest_bench.digests import digest_of
from resnest_bench.paths import NAME_PATTERN, check_name

Name = Annotated[
    str, AfterValidator(check_name), Field(json_schema_extra={"pattern": NAME_PATTERN})
]
VariantNames = Literal["all"] | tuple[Name, ...]
PositiveInt = Annotated[int, Field(ge=1, strict=True)]
CountInt = Annotated[int, Field(ge=0, strict=True)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


class Spec(BaseModel):
    """A frozen, validated value. A key that no field has is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    def as_dict(self) -> dict[str, Any]:
        """The whole spec as JSON values, defaults included: what a record stores."""
        return self.model_dump(mode="json")

    @property
    def digest(self) -> str:
        return digest_of(self.as_dict())
