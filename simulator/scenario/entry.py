"""What all entries of a scenario file have in common: no unknown keys, docstrings as help, numbers that are numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, Strict


class Entry(BaseModel):
    """A mapping in a scenario file."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, use_attribute_docstrings=True)


Whole = Annotated[int, Strict()]
"""A whole number; neither ``yes`` nor ``"2"`` is one."""
Number = Annotated[float, Strict()]
"""A number without a unit."""


@dataclass(frozen=True)
class Or:
    """Tells the JSON Schema what else may be written, where a validator reads more than the type says."""

    type: str

    def __get_pydantic_json_schema__(self, core: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Add it to what the type says."""
        return {"anyOf": [{"type": self.type}, handler(core)]}
