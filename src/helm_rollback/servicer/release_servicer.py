"""ReleaseService: releases and their revisions, looked at, made, removed and marked."""

# ruff: noqa: N802 - the methods' names are the proto's

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, cast

import grpc

from helm_rollback.application import releases
from helm_rollback.application.chart_operations import install, upgrade
from helm_rollback.application.marking import mark_revision
from helm_rollback.application.ports import Ports
from helm_rollback.application.stream_releases import ReleasesItem, stream_releases
from helm_rollback.application.uninstall import uninstall
from helm_rollback.domain.release import ReleaseId
from helm_rollback.servicer.accepting import accepted, token_before
from helm_rollback.servicer.principal import principal_of
from helm_rollback.servicer.translate import chart_requests, history, release_requests, resources
from helm_rollback.servicer.waiting import WaitLimit
from helm_rollback.servicer.writes import Writes
from helm_rollback.v1 import release_service_pb2 as pb
from helm_rollback.v1.release_service_pb2_grpc import ReleaseServiceServicer

Context = grpc.aio.ServicerContext[Any, Any]


class ReleaseServicer(ReleaseServiceServicer):
    """Each method translates, calls one use case, and translates back."""

    def __init__(self, ports: Ports, writes: Writes) -> None:
        self._ports = ports
        self._writes = writes

    async def GetRelease(self, request: pb.GetReleaseRequest, context: Context) -> pb.GetReleaseResponse:
        release_id = ReleaseId.parse(request.release_id)
        release = await releases.get_release(self._ports, release_id, principal_of(context))
        return pb.GetReleaseResponse(release=resources.release(release))

    async def ListReleases(self, request: pb.ListReleasesRequest, context: Context) -> pb.ListReleasesResponse:
        listing = release_requests.list_releases(request)
        found = await releases.list_releases(
            self._ports,
            cluster=listing.cluster,
            namespace=listing.namespace,
            status=listing.status,
            after=listing.after,
            limit=listing.page_size + 1,  # one more tells whether there is a next page
            principal=principal_of(context),
        )
        page, more = found[: listing.page_size], len(found) > listing.page_size
        return pb.ListReleasesResponse(
            releases=[resources.release(release) for release in page],
            next_page_token=listing.token_after(page[-1].release_id) if more else "",
        )

    async def ListRevisions(self, request: pb.ListRevisionsRequest, context: Context) -> pb.ListRevisionsResponse:
        listing = release_requests.list_revisions(request)
        found = await releases.list_revisions(
            self._ports,
            listing.release_id,
            successful_only=listing.successful_only,
            before=listing.before,
            limit=listing.page_size + 1,
            principal=principal_of(context),
        )
        page, more = found[: listing.page_size], len(found) > listing.page_size
        return pb.ListRevisionsResponse(
            revisions=[resources.revision(revision) for _, revision in page],
            next_page_token=listing.token_after(page[-1][0]) if more else "",
        )

    async def GetRevision(self, request: pb.GetRevisionRequest, context: Context) -> pb.GetRevisionResponse:
        asked = release_requests.get_revision(request)
        revision = await releases.get_revision(
            self._ports,
            asked.release_id,
            asked.revision,
            incarnation=asked.incarnation,
            principal=principal_of(context),
        )
        if not asked.full:
            return pb.GetRevisionResponse(revision=resources.revision(revision))
        content = await releases.get_revision_content(self._ports, revision)
        return pb.GetRevisionResponse(revision=resources.revision(revision, content))

    async def MarkRevision(self, request: pb.MarkRevisionRequest, context: Context) -> pb.MarkRevisionResponse:
        asked = release_requests.mark_revision(request)
        revision = await self._writes.run(
            mark_revision(
                self._ports,
                asked.release_id,
                asked.revision,
                incarnation=asked.incarnation,
                mark=asked.mark,
                reason=asked.reason,
                principal=principal_of(context),
            )
        )
        return pb.MarkRevisionResponse(revision=resources.revision(revision))

    async def StreamReleases(
        self, request: pb.StreamReleasesRequest, context: Context
    ) -> AsyncIterator[pb.StreamReleasesResponse]:
        wanted = release_requests.stream_releases(request)
        await context.send_initial_metadata(())
        items = stream_releases(self._ports, wanted, principal_of(context))
        async with aclosing(cast("AsyncGenerator[ReleasesItem]", items)) as stream:
            async for item in stream:
                yield history.releases_response(item)

    async def Install(self, request: pb.InstallRequest, context: Context) -> pb.InstallResponse:
        limit, wish = WaitLimit.of(context), chart_requests.install(request)
        operation = await accepted(self._ports, self._writes, context, limit, wish, install)
        return pb.InstallResponse(
            operation=resources.operation(operation), resume_token=token_before(self._ports, operation)
        )

    async def Upgrade(self, request: pb.UpgradeRequest, context: Context) -> pb.UpgradeResponse:
        limit, wish = WaitLimit.of(context), chart_requests.upgrade(request)
        operation = await accepted(self._ports, self._writes, context, limit, wish, upgrade)
        return pb.UpgradeResponse(
            operation=resources.operation(operation), resume_token=token_before(self._ports, operation)
        )

    async def Uninstall(self, request: pb.UninstallRequest, context: Context) -> pb.UninstallResponse:
        limit, wish = WaitLimit.of(context), chart_requests.uninstall(request)
        operation = await accepted(self._ports, self._writes, context, limit, wish, uninstall)
        return pb.UninstallResponse(
            operation=resources.operation(operation), resume_token=token_before(self._ports, operation)
        )
