"""The passage between Helm and a cluster."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from helm_rollback.domain.record import StoredRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordWrite:
    """A write of a release record that Helm asks the fence to pass."""

    method: str
    """POST, PUT, PATCH or DELETE."""
    namespace: str
    secret_name: str
    stored: StoredRecord | None
    """What it wants to write; None for DELETE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TouchedObject:
    """An object that Helm wrote through the fence."""

    method: str
    path: str


class OpenFence(Protocol):
    """One operation's passage to the cluster."""

    @property
    def kubeconfig(self) -> str:
        """A kubeconfig for Helm: a loopback address and a one-time token, no credential of the cluster."""

    @property
    def touched(self) -> Sequence[TouchedObject]:
        """What was passed and answered with success, in order; release records included."""

    @property
    def refused_records(self) -> Sequence[RecordWrite]:
        """Record writes that were not passed."""


class Fence(Protocol):
    """Opens passages. A read passes always; a write only while `seconds_left` are more than 0."""

    def open(
        self,
        cluster: str,
        *,
        seconds_left: Callable[[], float],
        judge: Callable[[RecordWrite], Awaitable[str]],
        sent_for: str = "",
    ) -> AbstractAsyncContextManager[OpenFence]:
        """`judge` answers why a record write may not pass, or nothing. It is asked before
        `seconds_left`, which is asked last, with the write's body in hand: what has not reached the API
        server within that time never does. `sent_for` is added to the User-Agent of all
        that passes, so that the API server's audit log tells one run of Helm from another."""
