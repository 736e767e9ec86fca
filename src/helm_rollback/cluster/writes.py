"""Guarded writes of release Secrets: each changes exactly the version that was read, or nothing.

Helm itself writes without such a guard, so nothing here may rely on Helm to notice us.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from helm_rollback.application.ports import RecordConflict, RecordRefused
from helm_rollback.cluster.connection import METADATA, Connection
from helm_rollback.domain.errors import ClusterUnreachable
from helm_rollback.domain.record import RecordRef, StoredRecord, secret_name
from helm_rollback.domain.release import ReleaseId
from helm_rollback.domain.status import Status
from helm_rollback.helm.record import from_secret, ref_from_metadata, with_status

_SECRET_TYPE = "helm.sh/release.v1"  # noqa: S105 - a type, no secret
_NOT_TAKEN = (400, 404, 413, 422)
"""What the API server says to a Secret that it will not take the next time either."""


def secrets_path(namespace: str, name: str = "") -> str:
    """The path of a namespace's Secrets, or of one of them."""
    collection = f"/api/v1/namespaces/{quote(namespace, safe='')}/secrets"
    return f"{collection}/{quote(name, safe='')}" if name else collection


async def set_failed(connection: Connection, stored: StoredRecord, *, description: str) -> StoredRecord:
    """Set status `failed` in label and payload; everything else of the Secret stays.

    Helm looks at the payload in an upgrade, at the label elsewhere, so both must say it.
    Raises RecordConflict, and UndecodableRecord for a payload that has no status to set.
    """
    ref, release_id = stored.ref, _release_of(connection, stored.ref)
    payload = with_status(stored.payload, Status.FAILED, description)
    path = secrets_path(ref.namespace, ref.secret_name)
    needs = f"get and update secrets in namespace {ref.namespace}"
    # Read anew: what others put into the Secret (annotations, its type) is not in StoredRecord.
    answer = await connection.request("GET", path, needs=needs, release_id=release_id, expected=(404,))
    if answer.status_code == 404:
        raise RecordConflict(f"{ref.secret_name} is gone")
    secret = connection.parse(answer.content, release_id=release_id)
    metadata = secret["metadata"]
    if (metadata["uid"], metadata["resourceVersion"]) != (ref.uid, str(ref.resource_version)):
        raise RecordConflict(f"{ref.secret_name} changed since resourceVersion {ref.resource_version}")
    metadata["labels"]["status"] = Status.FAILED.helm_word
    metadata.pop("managedFields", None)
    secret["data"]["release"] = base64.b64encode(payload).decode()
    answer = await connection.request("PUT", path, needs=needs, release_id=release_id, body=secret, expected=(404,))
    if answer.status_code == 404:
        raise RecordConflict(f"{ref.secret_name} is gone")
    return from_secret(connection.parse(answer.content, release_id=release_id))


async def create_record(
    connection: Connection,
    release_id: ReleaseId,
    revision: int,
    payload: bytes,
    *,
    status: Status,
    description: str,
    labels: Mapping[str, str],
) -> RecordRef:
    """Put a record back as Helm would store it, with `status` and `description`.

    The labels that Helm selects by follow from the release and the status, whatever
    `labels` says. Raises RecordConflict where a Secret of that name is there, RecordRefused,
    and UndecodableRecord for a payload that has no status to set.
    """
    name, release = secret_name(release_id.name, revision), with_status(payload, status, description)
    system = {"name": release_id.name, "owner": "helm", "version": str(revision), "status": status.helm_word}
    secret: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": _SECRET_TYPE,
        "metadata": {"name": name, "namespace": release_id.namespace, "labels": {**labels, **system}},
        "data": {"release": base64.b64encode(release).decode()},
    }
    answer = await connection.request(
        "POST",
        secrets_path(release_id.namespace),
        needs=f"create secrets in namespace {release_id.namespace}",
        release_id=release_id,
        accept=METADATA,
        body=secret,
        expected=_NOT_TAKEN,
    )
    if answer.status_code == 404:
        raise RecordRefused(f"namespace {release_id.namespace} is gone")
    if answer.status_code in _NOT_TAKEN:
        raise RecordRefused(f"the API server answered {answer.status_code} to the record")
    ref = ref_from_metadata(connection.parse(answer.content, release_id=release_id)["metadata"])
    if ref is None:
        problem = f"it stored {name} under other labels than it was given"
        raise ClusterUnreachable(connection.cluster, problem, release_id)
    return ref


async def delete_record(connection: Connection, ref: RecordRef) -> None:
    """Delete exactly that version. Raises RecordConflict unless it is still that version."""
    answer = await connection.request(
        "DELETE",
        secrets_path(ref.namespace, ref.secret_name),
        needs=f"delete secrets in namespace {ref.namespace}",
        release_id=_release_of(connection, ref),
        body={
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": ref.uid, "resourceVersion": str(ref.resource_version)},
        },
        expected=(404,),
    )
    if answer.status_code == 404:
        raise RecordConflict(f"{ref.secret_name} is gone")


def _release_of(connection: Connection, ref: RecordRef) -> ReleaseId:
    return ReleaseId(connection.cluster, ref.namespace, ref.release_name)
