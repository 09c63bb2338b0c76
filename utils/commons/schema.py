"""Typed configuration models.

Every configurable class owns a frozen pydantic model that derives from :class:`Config`. YAML is only its spelling: keys
are flat, an unknown key is an error, and the string below each field is its documentation (``docs/configuration.md`` is
made from it). A task's model inherits from the models of the networks it builds, so one flat file configures them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict


class ConfigError(ValueError):
    """A configuration that cannot be used; the text says where, what was found and what to do."""


class DataError(ValueError):
    """Input data that cannot be used; the text says what is wrong, what was found and what to do."""


class TrainingError(RuntimeError):
    """A training run that cannot go on; the text says at which step, why, and where the last checkpoint is."""


class Config(BaseModel):
    """Base of all configuration models: frozen, flat, no unknown keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )

    run_keys: ClassVar[frozenset[str]] = frozenset()
    """Keys that may change when a run is resumed; unions over all bases."""

    @classmethod
    def from_flat(cls, values: Mapping[str, Any]) -> Self:
        """Build this model from a larger flat mapping, taking only its own keys.

        A network reads its part of a task's saved configuration this way.
        """
        return cls(**{key: values[key] for key in cls.model_fields if key in values})

    @classmethod
    def all_run_keys(cls) -> frozenset[str]:
        """Return the run keys of this model and of all its bases."""
        return frozenset().union(*(base.__dict__.get("run_keys", frozenset()) for base in cls.__mro__))
