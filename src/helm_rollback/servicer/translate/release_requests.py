"""Requests of ReleaseService, as what the use cases take.

All raise InvalidField or, where several fields are bad, InvalidFields.
"""

from __future__ import annotations

from dataclasses import dataclass

from helm_rollback.application.acceptance import checked_reason
from helm_rollback.application.ports import RevisionPosition
from helm_rollback.application.stream_releases import ReleaseFilter
from helm_rollback.domain.release import ReleaseId, check_dns_label
from helm_rollback.domain.revision import Mark
from helm_rollback.domain.status import Status
from helm_rollback.domain.violations import Violations
from helm_rollback.servicer import page_token
from helm_rollback.servicer.translate import fields
from helm_rollback.v1 import release_pb2
from helm_rollback.v1 import release_service_pb2 as pb


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseListing:
    cluster: str
    namespace: str
    status: Status | None
    after: str
    page_size: int

    def token_after(self, release_id: ReleaseId) -> str:
        """The token of the page behind this release."""
        return page_token.encode(str(release_id), *_release_filters(self.cluster, self.namespace, self.status))


def list_releases(request: pb.ListReleasesRequest) -> ReleaseListing:
    found = Violations()
    cluster = found.take(lambda: _optional_label(request.cluster, field="cluster"), "")
    namespace = found.take(lambda: _optional_label(request.namespace, field="namespace"), "")
    statuses = release_pb2.Revision.Status.DESCRIPTOR
    status = found.take(lambda: fields.choice(request.status, of=Status, proto=statuses, field="status"), None)
    page = fields.page(request, found, *_release_filters(cluster, namespace, status))
    found.check()
    return ReleaseListing(cluster=cluster, namespace=namespace, status=status, after=page.position, page_size=page.size)


RELEASE_IDS_MAX = 500


def stream_releases(request: pb.StreamReleasesRequest) -> ReleaseFilter:
    found = Violations()
    cluster = found.take(lambda: _optional_label(request.cluster, field="cluster"), "")
    namespace = found.take(lambda: _optional_label(request.namespace, field="namespace"), "")
    if len(request.release_ids) > RELEASE_IDS_MAX:
        found.add("release_ids", f"are {len(request.release_ids)}, at most {RELEASE_IDS_MAX} can be named")
    named = [
        found.take(lambda text=text: ReleaseId.parse(text, field="release_ids"), None)  # type: ignore[misc]
        for text in request.release_ids[:RELEASE_IDS_MAX]
    ]
    found.check()
    release_ids = frozenset(release_id for release_id in named if release_id is not None)
    return ReleaseFilter(cluster=cluster, namespace=namespace, release_ids=release_ids)


def _release_filters(cluster: str, namespace: str, status: Status | None) -> tuple[str, ...]:
    return ("ListReleases", cluster, namespace, status or "")


def _optional_label(text: str, *, field: str) -> str:
    if text:
        check_dns_label(text, field=field, what=f"the {field}")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionListing:
    release_id: ReleaseId
    successful_only: bool
    before: RevisionPosition | None
    page_size: int

    def token_after(self, position: RevisionPosition) -> str:
        """The token of the page behind this revision."""
        text = f"{position.incarnation}.{position.revision}.{position.key}"
        return page_token.encode(text, *_revision_filters(self.release_id, self.successful_only))


def list_revisions(request: pb.ListRevisionsRequest) -> RevisionListing:
    found = Violations()
    release_id = fields.release_id(request, found)
    page = fields.page(request, found, *_revision_filters(release_id, request.successful_only))
    found.check()
    return RevisionListing(
        release_id=release_id,
        successful_only=request.successful_only,
        before=RevisionPosition(*map(int, page.position.split("."))) if page.position else None,
        page_size=page.size,
    )


def _revision_filters(release_id: ReleaseId, successful_only: bool) -> tuple[str, ...]:
    return ("ListRevisions", str(release_id), str(successful_only))


@dataclass(frozen=True, slots=True, kw_only=True)
class OneRevision:
    release_id: ReleaseId
    revision: int
    incarnation: int
    """0: the current one."""
    full: bool


def get_revision(request: pb.GetRevisionRequest) -> OneRevision:
    found = Violations()
    release_id, incarnation = _one_revision(request, found)
    if request.view not in pb.GetRevisionRequest.View.values():
        found.add("view", f"{request.view} is no value of View that this version knows")
    found.check()
    return OneRevision(
        release_id=release_id,
        revision=request.revision,
        incarnation=incarnation,
        full=request.view == pb.GetRevisionRequest.FULL,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Marking:
    release_id: ReleaseId
    revision: int
    incarnation: int
    """0: the current one."""
    mark: Mark
    reason: str


def mark_revision(request: pb.MarkRevisionRequest) -> Marking:
    found = Violations()
    release_id, incarnation = _one_revision(request, found)
    marks = release_pb2.Revision.Mark.DESCRIPTOR
    mark = found.take(lambda: fields.choice(request.mark, of=Mark, proto=marks, field="mark"), Mark.UNMARKED)
    if mark is None:
        found.add("mark", "must be GOOD, BAD or UNMARKED")
    found.take(lambda: checked_reason(request.reason), "")
    found.check()
    return Marking(
        release_id=release_id,
        revision=request.revision,
        incarnation=incarnation,
        mark=mark or Mark.UNMARKED,
        reason=request.reason,
    )


def _one_revision(request: pb.GetRevisionRequest | pb.MarkRevisionRequest, found: Violations) -> tuple[ReleaseId, int]:
    """Release and incarnation; the revision itself is checked."""
    release_id = fields.release_id(request, found)
    if request.revision < 1:
        found.add("revision", "must be a revision, 1 or higher")
    return release_id, found.take(lambda: fields.not_negative(request.incarnation, field="incarnation"), 0)
