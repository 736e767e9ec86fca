"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller of a use case. Every use case takes one, also where it only logs it."""

    name: str
    verified: bool = False
    """Whether the name was proved by a credential, rather than merely said."""


ANONYMOUS = Principal("anonymous")
SERVICE = Principal("helm-rollback", verified=True)
"""The service itself, when it acts on no request: recovery, observation."""
