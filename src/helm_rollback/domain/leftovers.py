"""Which revisions can have left objects behind after a rollback, and which still want theirs."""

from __future__ import annotations

from collections.abc import Sequence

from helm_rollback.domain.operation import Operation
from helm_rollback.domain.revision import Revision


def left_behind(revisions: Sequence[Revision], operation: Operation) -> list[Revision]:
    """Those that the rollback undid, failed and replaced ones too; one of each content, newest first.

    `revisions` are those of the operation's incarnation, ascending. None where the
    target's own content is not known.
    """
    wanted = wanting(revisions, operation)
    if all(revision.revision != operation.target_revision for revision in wanted):
        return []
    undone = {
        revision.manifest_digest: revision
        for revision in reversed(revisions)
        if operation.target_revision < revision.revision <= operation.base_revision and revision.payload_digest
    }
    same = {revision.manifest_digest for revision in wanted}
    return [revision for digest, revision in undone.items() if digest not in same]


def wanting(revisions: Sequence[Revision], operation: Operation) -> list[Revision]:
    """The target, and what others made after the base: what is theirs is not left over of anything."""
    return [
        revision
        for revision in revisions
        if revision.payload_digest
        and revision.replaced_time is None
        and (
            revision.revision == operation.target_revision
            or (revision.revision > operation.base_revision and revision.operation_id != operation.operation_id)
        )
    ]
