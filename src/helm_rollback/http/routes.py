"""Every route of REST, in one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PREFIX: Final = "/api/v1/helm"


@dataclass(frozen=True, slots=True)
class Route:
    """What a verb on a path calls. Names in braces are fields of the request, by their JSON names."""

    verb: str
    path: str
    method: str


ROUTES: Final = (
    Route("GET", f"{PREFIX}/releases", "ListReleases"),
    Route("POST", f"{PREFIX}/releases", "Install"),
    Route("GET", f"{PREFIX}/releases/stream", "StreamReleases"),  # before what takes any word for an id
    Route("GET", f"{PREFIX}/releases/{{releaseId}}", "GetRelease"),
    Route("DELETE", f"{PREFIX}/releases/{{releaseId}}", "Uninstall"),
    Route("POST", f"{PREFIX}/releases/{{releaseId}}/upgrade", "Upgrade"),
    Route("POST", f"{PREFIX}/releases/{{releaseId}}/rollback", "Rollback"),
    Route("POST", f"{PREFIX}/releases/{{releaseId}}/rollback/last-successful", "RollbackLastSuccessful"),
    Route("POST", f"{PREFIX}/releases/{{releaseId}}/rollback/preview", "PreviewRollback"),
    Route("GET", f"{PREFIX}/releases/{{releaseId}}/history", "ListRevisions"),
    Route("GET", f"{PREFIX}/releases/{{releaseId}}/history/stream", "StreamHistory"),
    Route("GET", f"{PREFIX}/releases/{{releaseId}}/revisions", "ListRevisions"),
    Route("GET", f"{PREFIX}/releases/{{releaseId}}/revisions/{{revision}}", "GetRevision"),
    Route("POST", f"{PREFIX}/releases/{{releaseId}}/revisions/{{revision}}/mark", "MarkRevision"),
    Route("GET", f"{PREFIX}/operations", "ListOperations"),
    Route("GET", f"{PREFIX}/operations/{{operationId}}", "GetOperation"),
    Route("POST", f"{PREFIX}/operations/{{operationId}}/cancel", "CancelOperation"),
)

ACCEPTING: Final = frozenset({"Rollback", "RollbackLastSuccessful", "Install", "Upgrade", "Uninstall"})
"""The methods that accept an operation."""
