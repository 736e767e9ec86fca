"""Which revisions can have left objects behind after a rollback, and which still want theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from helm_rollback.domain.revision import Revision


class Going(Protocol):
    """A rollback, or one that might be: from where to where."""

    @property
    def base_revision(self) -> int: ...

    @property
    def target_revision(self) -> int: ...

    @property
    def operation_id(self) -> str:
        """Empty where it is only thought of."""


def left_behind(revisions: Sequence[Revision], going: Going) -> list[Revision]:
    """Those that the rollback undid, failed and replaced ones too; one of each content, newest first.

    `revisions` are those of the operation's incarnation, ascending. None where the
    target's own content is not known.
    """
    wanted = wanting(revisions, going)
    if all(revision.revision != going.target_revision for revision in wanted):
        return []
    undone = {
        revision.manifest_digest: revision
        for revision in reversed(revisions)
        if going.target_revision < revision.revision <= going.base_revision and revision.payload_digest
    }
    same = {revision.manifest_digest for revision in wanted}
    return [revision for digest, revision in undone.items() if digest not in same]


def wanting(revisions: Sequence[Revision], going: Going) -> list[Revision]:
    """The target, and what others made after the base: what is theirs is not left over of anything."""
    return [
        revision
        for revision in revisions
        if revision.payload_digest
        and revision.replaced_time is None
        and (
            revision.revision == going.target_revision
            or (revision.revision > going.base_revision and revision.operation_id != going.operation_id)
        )
    ]
