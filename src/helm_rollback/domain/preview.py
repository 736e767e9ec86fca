"""What a rollback would do, told before it is done."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from helm_rollback.domain.selection import Selection


class Action(StrEnum):
    """What becomes of an object."""

    CREATE = "CREATE"
    CHANGE = "CHANGE"
    DELETE = "DELETE"
    UNCHANGED = "UNCHANGED"


class WarningCode(StrEnum):
    """What a person should know before."""

    KIND_NOT_SERVED = "KIND_NOT_SERVED"
    IMMUTABLE_FIELD = "IMMUTABLE_FIELD"
    CRD_DELETED = "CRD_DELETED"
    OLD_CHOICE = "OLD_CHOICE"
    FIELD_CONFLICT = "FIELD_CONFLICT"
    NEVER_SUCCESSFUL = "NEVER_SUCCESSFUL"
    LEFTOVER = "LEFTOVER"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectChange:
    """One object of the current or the target revision."""

    api_version: str
    kind: str
    namespace: str
    name: str
    action: Action
    diff: str = ""
    drifted: bool = False
    """Whether what is live differs from the current revision's manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewedHook:
    """A hook that the rollback would run."""

    kind: str
    name: str
    events: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewWarning:
    code: WarningCode
    message: str
    kind: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """All of it."""

    selection: Selection
    base_revision: int
    values_diff: str
    changes: tuple[ObjectChange, ...]
    hooks: tuple[PreviewedHook, ...]
    warnings: tuple[PreviewWarning, ...]
    truncated: bool
    """Whether a diff was cut, or left out, for its length."""
