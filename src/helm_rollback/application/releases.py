"""Reading releases and revisions."""

from __future__ import annotations

from dataclasses import dataclass

import yaml

from helm_rollback.application.masking import masked_manifest, masked_values, secrets_of
from helm_rollback.application.ports import LedgerView, Ports, RevisionPosition
from helm_rollback.application.refresh import known_release
from helm_rollback.domain.errors import ClusterNotConfigured, RevisionNotFound
from helm_rollback.domain.principal import Principal
from helm_rollback.domain.release import Release, ReleaseId
from helm_rollback.domain.revision import Revision
from helm_rollback.domain.status import Status


async def get_release(ports: Ports, release_id: ReleaseId, _principal: Principal) -> Release:
    """The release. Raises ReleaseNotFound, and what looking in the cluster raises where the ledger does not know it."""
    return await known_release(ports, release_id)


async def list_releases(
    ports: Ports,
    *,
    cluster: str,
    namespace: str,
    status: Status | None,
    after: str,
    limit: int,
    principal: Principal,
) -> list[Release]:
    """Ordered by release id, those behind `after`. Raises ClusterNotConfigured."""
    if cluster and cluster not in ports.clusters:
        raise ClusterNotConfigured(None, cluster)
    return await ports.ledger.read(
        lambda view: view.releases(cluster=cluster, namespace=namespace, status=status, after=after, limit=limit)
    )


async def list_revisions(
    ports: Ports,
    release_id: ReleaseId,
    *,
    successful_only: bool,
    before: RevisionPosition | None,
    limit: int,
    principal: Principal,
) -> list[tuple[RevisionPosition, Revision]]:
    """Newest first over all incarnations, with what each page ends at. Raises ReleaseNotFound."""
    await known_release(ports, release_id)
    return await ports.ledger.read(
        lambda view: view.revisions_page(release_id, successful_only=successful_only, before=before, limit=limit)
    )


async def get_revision(
    ports: Ports, release_id: ReleaseId, revision: int, *, incarnation: int, principal: Principal
) -> Revision:
    """One revision of an incarnation; 0 is the current one. Raises ReleaseNotFound, RevisionNotFound."""
    release = await get_release(ports, release_id, principal)
    life = incarnation or release.incarnation
    found = await ports.ledger.read(lambda view: view.revision(release_id, revision, incarnation=life))
    if found is None:
        raise RevisionNotFound(release_id, revision, life, release.current_revision)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionContent:
    """What view FULL adds. Values and manifest are empty where the record could never be read."""

    values_yaml: str = ""
    manifest: str = ""
    captured_failure: str = ""


async def get_revision_content(ports: Ports, revision: Revision) -> RevisionContent:
    """What the ledger has archived of a revision, the data of Secrets masked."""

    def body(view: LedgerView) -> tuple[bytes | None, str]:
        return view.payload(revision.payload_digest), view.captured_failure(revision.operation_id)

    payload, captured = await ports.ledger.read(body)
    if payload is None:
        return RevisionContent(captured_failure=captured)
    record = ports.decode(payload)
    secrets = secrets_of(record.manifest)
    values = masked_values(record.values, secrets)
    return RevisionContent(
        values_yaml=yaml.safe_dump(values, sort_keys=False, allow_unicode=True) if values else "",
        manifest=masked_manifest(record.manifest),
        captured_failure=captured,
    )
