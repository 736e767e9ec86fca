"""One WATCH of a cluster's release Secrets, until the server or the network ends it.

Lossless only together with who calls it: he remembers the last resource version and
watches again from there, or LISTs again after WatchExpired.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

from helm_rollback.application.ports import WatchEvent, WatchExpired, WatchKind
from helm_rollback.cluster.connection import Connection
from helm_rollback.domain.errors import ClusterUnreachable
from helm_rollback.helm.record import UndecodableRecord, from_secret

# A connection that died silently is noticed after this long; to watch again costs one request.
WATCH_SECONDS = 60
_GRACE_SECONDS = 15
# A Secret holds 1 MiB, which base64 makes 1.4; the rest is room for labels and managedFields.
LINE_BYTES_MAX = 4 * 1024 * 1024

_logger = logging.getLogger(__name__)


async def watch(connection: Connection, resource_version: int) -> AsyncIterator[WatchEvent]:
    """Every change after `resource_version`, in the cluster's order.

    Ends when the server ends the watch. Raises WatchExpired where the changes since
    `resource_version` are no longer known, or one of them can not be told or taken:
    watching again would only meet it again.
    """
    params: dict[str, str | int] = {
        "watch": 1,
        "labelSelector": "owner=helm",
        "allowWatchBookmarks": "true",
        "resourceVersion": resource_version,
        "timeoutSeconds": WATCH_SECONDS,
    }
    stream = connection.stream(
        "/api/v1/secrets",
        needs="watch secrets in all namespaces",
        params=params,
        read_timeout=WATCH_SECONDS + _GRACE_SECONDS,
    )
    skipped: set[str] = set()
    async with stream as chunks:
        async for line in split_lines(chunks):
            try:
                event = _event(connection, connection.parse(line), skipped)
            except ClusterUnreachable as problem:  # which it said itself, so it is reached
                raise WatchExpired(f"a change can not be told: {problem}") from problem
            if event is not None:
                yield event


async def split_lines(chunks: AsyncIterator[bytes], *, limit: int = LINE_BYTES_MAX) -> AsyncIterator[bytes]:
    """The lines in `chunks`, wherever those are cut. What comes after the last newline was cut off: dropped.

    Raises WatchExpired for a line above `limit` bytes: a LIST gets past it, watching again would not.
    """
    pending = bytearray()
    async for chunk in chunks:
        searched = len(pending)
        pending += chunk
        start = 0
        while (end := pending.find(b"\n", max(start, searched))) >= 0:
            if end - start > limit:
                break
            if end > start:
                yield bytes(pending[start:end])
            start = end + 1
        del pending[:start]
        if len(pending) > limit:
            raise WatchExpired(f"a change is larger than {limit} bytes")


def _event(connection: Connection, change: dict[str, Any], skipped: set[str]) -> WatchEvent | None:
    """The change as an event; None for what no use case can use."""
    word, content = change.get("type"), change.get("object") or {}
    if word == "ERROR":
        connection.check_status(content.get("code") or 500, needs="watch secrets in all namespaces")
        return None
    try:
        kind = WatchKind(str(word))
    except ValueError:
        return None
    metadata = content.get("metadata") or {}
    if kind is WatchKind.BOOKMARK:
        return WatchEvent(kind=kind, resource_version=int(metadata["resourceVersion"]), stored=None)
    try:
        stored = from_secret(content)
    except UndecodableRecord as problem:
        _log_skipped(metadata, problem, skipped)
        return None
    return WatchEvent(kind=kind, resource_version=stored.ref.resource_version, stored=stored)


def _log_skipped(metadata: dict[str, Any], problem: UndecodableRecord, skipped: set[str]) -> None:
    """Somebody else's Secret with Helm's label: told once a watch, not at each of its changes."""
    uid = str(metadata.get("uid"))
    if uid not in skipped:
        skipped.add(uid)
        _logger.debug("secret skipped: namespace=%s problem=%s", metadata.get("namespace"), problem)
