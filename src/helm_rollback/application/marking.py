"""What a person or a pipeline says of a revision, which Helm can not know."""

from __future__ import annotations

from dataclasses import replace

from helm_rollback.application.acceptance import checked_reason
from helm_rollback.application.ports import LedgerTransaction, Ports
from helm_rollback.application.refresh import known_release
from helm_rollback.domain.errors import RevisionNotFound
from helm_rollback.domain.history import MarkChange
from helm_rollback.domain.principal import Principal
from helm_rollback.domain.release import ReleaseId
from helm_rollback.domain.revision import Mark, Revision


async def mark_revision(
    ports: Ports,
    release_id: ReleaseId,
    revision: int,
    *,
    incarnation: int,
    mark: Mark,
    reason: str,
    principal: Principal,
) -> Revision:
    """The revision with its mark, which the history tells; incarnation 0 is the current one.

    One that has the mark already stays as it is, and nothing is told. Raises ReleaseNotFound,
    RevisionNotFound, InvalidField.
    """
    checked_reason(reason)
    await known_release(ports, release_id)

    def body(tx: LedgerTransaction) -> Revision:
        release = tx.lock_release(release_id)
        assert release is not None, "releases stay in the ledger"
        life = incarnation or release.incarnation
        known = tx.revision(release_id, revision, incarnation=life)
        if known is None:
            raise RevisionNotFound(release_id, revision, life, release.current_revision)
        if known.mark is mark:
            return known
        marked = replace(known, mark=mark, update_time=tx.now())
        tx.update_revision(marked)
        tx.append(
            release_id,
            MarkChange(incarnation=life, revision=revision, mark=mark, actor=principal.name, reason=reason),
        )
        return marked

    return await ports.ledger.write(body)
