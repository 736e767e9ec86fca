"""RollbackService: putting releases back, and following what becomes of it."""

# ruff: noqa: N802 - the methods' names are the proto's

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, cast

import grpc

from helm_rollback.application import operations
from helm_rollback.application.ports import Ports
from helm_rollback.application.preview import preview_rollback
from helm_rollback.application.rollback import rollback
from helm_rollback.application.stream_history import StreamItem, stream_history
from helm_rollback.domain import resume_token
from helm_rollback.servicer.accepting import accepted, token_before
from helm_rollback.servicer.principal import principal_of
from helm_rollback.servicer.translate import history, preview, resources
from helm_rollback.servicer.translate import rollback_requests as requests
from helm_rollback.servicer.waiting import WaitLimit
from helm_rollback.servicer.writes import Writes
from helm_rollback.v1 import rollback_service_pb2 as pb
from helm_rollback.v1.rollback_service_pb2_grpc import RollbackServiceServicer

Context = grpc.aio.ServicerContext[Any, Any]


class RollbackServicer(RollbackServiceServicer):
    """Each method translates, calls one use case, and translates back."""

    def __init__(self, ports: Ports, writes: Writes) -> None:
        self._ports = ports
        self._writes = writes

    async def Rollback(self, request: pb.RollbackRequest, context: Context) -> pb.RollbackResponse:
        limit, wish = WaitLimit.of(context), requests.rollback(request)
        operation = await accepted(self._ports, self._writes, context, limit, wish, rollback)
        return pb.RollbackResponse(
            operation=resources.operation(operation), resume_token=token_before(self._ports, operation)
        )

    async def RollbackLastSuccessful(
        self, request: pb.RollbackLastSuccessfulRequest, context: Context
    ) -> pb.RollbackLastSuccessfulResponse:
        limit, wish = WaitLimit.of(context), requests.rollback_last_successful(request)
        operation = await accepted(self._ports, self._writes, context, limit, wish, rollback)
        return pb.RollbackLastSuccessfulResponse(
            operation=resources.operation(operation), resume_token=token_before(self._ports, operation)
        )

    async def StreamHistory(
        self, request: pb.StreamHistoryRequest, context: Context
    ) -> AsyncIterator[pb.StreamHistoryResponse]:
        asked = requests.stream_history(request, ledger_id=self._ports.ledger_id)
        await context.send_initial_metadata(())
        items = stream_history(
            self._ports,
            asked.release_id,
            start=asked.start,
            end_when_caught_up=request.end_when_caught_up,
            end_after_operation_id=asked.end_after_operation_id,
            principal=principal_of(context),
        )
        async with aclosing(cast("AsyncGenerator[StreamItem]", items)) as stream:
            async for item in stream:
                token = resume_token.encode(self._ports.ledger_id, asked.release_id, item.position)
                yield history.stream_response(item, token=token)

    async def GetOperation(self, request: pb.GetOperationRequest, context: Context) -> pb.GetOperationResponse:
        operation_id = requests.operation_id(request)
        operation = await operations.get_operation(self._ports, operation_id, principal_of(context))
        return pb.GetOperationResponse(operation=resources.operation(operation))

    async def WaitOperation(self, request: pb.WaitOperationRequest, context: Context) -> pb.WaitOperationResponse:
        limit, wait = WaitLimit.of(context), requests.wait_operation(request)
        operation = await operations.wait_operation(
            self._ports, wait.operation_id, timeout=limit.shorten(wait.timeout), principal=principal_of(context)
        )
        return pb.WaitOperationResponse(operation=resources.operation(operation))

    async def ListOperations(self, request: pb.ListOperationsRequest, context: Context) -> pb.ListOperationsResponse:
        listing = requests.list_operations(request)
        found = await operations.list_operations(
            self._ports,
            release_id=listing.release_id,
            state=listing.state,
            request_id=listing.request_id,
            before=listing.before,
            limit=listing.page_size + 1,  # one more tells whether there is a next page
            principal=principal_of(context),
        )
        page, more = found[: listing.page_size], len(found) > listing.page_size
        return pb.ListOperationsResponse(
            operations=[resources.operation(operation) for operation in page],
            next_page_token=listing.token_after(page[-1].operation_id) if more else "",
        )

    async def CancelOperation(self, request: pb.CancelOperationRequest, context: Context) -> pb.CancelOperationResponse:
        asked, principal = requests.cancel_operation(request), principal_of(context)
        operation = await self._writes.run(
            operations.cancel_operation(self._ports, asked.operation_id, reason=asked.reason, principal=principal)
        )
        return pb.CancelOperationResponse(operation=resources.operation(operation))

    async def PreviewRollback(self, request: pb.PreviewRollbackRequest, context: Context) -> pb.PreviewRollbackResponse:
        question = preview.question(request)
        return preview.response(await preview_rollback(self._ports, question, principal_of(context)))
