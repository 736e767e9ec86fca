"""Helm's nine statuses of a revision, one to one.

Helm's words are in `pkg/release/common/status.go` of Helm 4; ours differ from
them only in spelling (`pending-rollback` is `PENDING_ROLLBACK`).
"""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """What Helm's record of a revision says of itself. It proves less than it seems to."""

    UNKNOWN = "UNKNOWN"
    DEPLOYED = "DEPLOYED"
    UNINSTALLED = "UNINSTALLED"
    SUPERSEDED = "SUPERSEDED"
    FAILED = "FAILED"
    UNINSTALLING = "UNINSTALLING"
    PENDING_INSTALL = "PENDING_INSTALL"
    PENDING_UPGRADE = "PENDING_UPGRADE"
    PENDING_ROLLBACK = "PENDING_ROLLBACK"

    @classmethod
    def from_helm(cls, word: str) -> Status:
        """The status that Helm writes as `word`; UNKNOWN for a word Helm does not have."""
        return _BY_HELM_WORD.get(word, cls.UNKNOWN)

    @property
    def helm_word(self) -> str:
        """How Helm spells it, in labels and in records."""
        return self.lower().replace("_", "-")

    @property
    def is_pending(self) -> bool:
        """Whether some Helm is at work on the release, or died while it was."""
        return self in _PENDING

    @property
    def is_uninstalled(self) -> bool:
        """Whether the release is gone, or on its way out."""
        return self in (Status.UNINSTALLED, Status.UNINSTALLING)


_BY_HELM_WORD = {status.helm_word: status for status in Status}
_PENDING = frozenset({Status.PENDING_INSTALL, Status.PENDING_UPGRADE, Status.PENDING_ROLLBACK})
