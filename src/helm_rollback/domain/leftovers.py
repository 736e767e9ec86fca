"""Which revisions can have left objects behind after a rollback, and which still want theirs."""

from __future__ import annotations

from collections.abc import Sequence

from helm_rollback.domain.operation import Operation
from helm_rollback.domain.revision import Revision


def left_behind(revisions: Sequence[Revision], operation: Operation) -> list[Revision]:
    """Those that the rollback undid, failed and replaced ones too; one of each content, newest first.

    `revisions` are those of the operation's incarnation.
    """
    wanted = {revision.manifest_digest for revision in wanting(revisions, operation)}
    undone = {
        revision.manifest_digest: revision
        for revision in revisions
        if operation.target_revision < revision.revision <= operation.base_revision and revision.payload_digest
    }
    return [revision for digest, revision in reversed(undone.items()) if digest not in wanted]


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
