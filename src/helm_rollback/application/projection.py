"""The release as a whole: a row that follows from its revisions."""

from __future__ import annotations

from dataclasses import replace

from helm_rollback.application.ports import LedgerTransaction
from helm_rollback.domain.release import Release, ReleaseId
from helm_rollback.domain.status import Status

FIRST_INCARNATION = 1


def unknown_release(tx: LedgerTransaction, release_id: ReleaseId) -> Release:
    return Release(
        release_id=release_id,
        incarnation=FIRST_INCARNATION,
        current_revision=0,
        status=Status.UNKNOWN,
        last_successful_revision=0,
        chart_name="",
        chart_version="",
        app_version="",
        active_operation_id="",
        last_sequence=0,
        update_time=tx.now(),
    )


def project(tx: LedgerTransaction, release_id: ReleaseId) -> None:
    """Bring the release's own row in line with its revisions."""
    release = tx.lock_release(release_id)
    assert release is not None
    incarnation = release.incarnation
    current = tx.newest_revision(release_id, incarnation=incarnation, stored=True) or tx.newest_revision(
        release_id, incarnation=incarnation, stored=False
    )
    if current is None:
        return
    successful = tx.newest_successful(release_id, incarnation=incarnation)
    tx.update_release(
        replace(
            release,
            current_revision=current.revision,
            status=current.status,
            last_successful_revision=successful.revision if successful else 0,
            chart_name=current.chart_name,
            chart_version=current.chart_version,
            app_version=current.app_version,
            update_time=tx.now(),
        )
    )
