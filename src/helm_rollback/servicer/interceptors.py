"""Around every call of this service: errors become statuses, and the log gets one line.

The interceptor is the outermost, so nothing escapes it: grpc would send the text of an
unexpected exception to the client. It sees undecodable requests too, since it wraps the
deserializer, whose own failure grpc would answer without our ErrorInfo.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from helm_rollback.domain.errors import InvalidField, TooManyStreams
from helm_rollback.domain.release import ReleaseId
from helm_rollback.servicer.call_log import CallLine
from helm_rollback.servicer.error_status import status_of
from helm_rollback.servicer.principal import principal_of

Context = grpc.aio.ServicerContext[Any, Any]
if TYPE_CHECKING:
    Handler = grpc.RpcMethodHandler[Any, Any]  # generic in its stubs only

_OURS: Final = "/helm_rollback."


@dataclass(frozen=True, slots=True)
class _Undecodable:
    """Stands in for a request whose bytes are no message of its type."""

    problem: str


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Guards the calls of this service; health and reflection pass as they are."""

    def __init__(self, *, max_streams: int) -> None:
        self._max_streams = max_streams
        self._open_streams = 0
        self._open_calls = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def wait_idle(self) -> None:
        """Return when no call is open."""
        await self._idle.wait()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not method.startswith(_OURS):
            return handler
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(
                self.guarded_unary(method, handler.unary_unary),
                request_deserializer=_lenient(handler.request_deserializer),
                response_serializer=handler.response_serializer,
            )
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(
                self.guarded_stream(method, handler.unary_stream),
                request_deserializer=_lenient(handler.request_deserializer),
                response_serializer=handler.response_serializer,
            )
        raise NotImplementedError(f"{method}: requests that are streams are not guarded")

    def guarded_unary(self, method: str, behaviour: Any) -> Any:
        """A servicer's method with the guard around it; REST calls it so."""

        async def guarded(request: Any, context: Context) -> Any:
            line = CallLine.begin(method, request, context)
            refusal: Status | None = None
            try:
                with self._open_call():
                    _check(request, context, line)
                    response = await behaviour(request, context)
                    line.answered(response)
                    return response
            except asyncio.CancelledError:
                line.cancelled()
                raise
            except Exception as error:
                refusal = _refusal(error, request, context, line)
            finally:
                line.write()
            return await _end(refusal, context)

        return guarded

    def guarded_stream(self, method: str, behaviour: Any) -> Any:
        """The same of a method that streams: a coroutine that writes to its context."""

        # A coroutine that writes, not a generator: so the servicer's generator is closed
        # here, at once, when the client goes away, rather than when it is collected.
        async def guarded(request: Any, context: Context) -> None:
            line = CallLine.begin(method, request, context)
            refusal: Status | None = None
            try:
                with self._open_call(), self._open_stream():
                    _check(request, context, line)
                    await _write_all(behaviour(request, context), context)
                    return
            except asyncio.CancelledError:
                line.cancelled()
                raise
            except Exception as error:
                refusal = _refusal(error, request, context, line)
            finally:
                line.write()
            await _end(refusal, context)

        return guarded

    @contextmanager
    def _open_call(self) -> Iterator[None]:
        self._open_calls += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._open_calls -= 1
            if not self._open_calls:
                self._idle.set()

    @contextmanager
    def _open_stream(self) -> Iterator[None]:
        """Count streams here: grpc's own limit of concurrent calls would let them shut out short calls."""
        if self._open_streams >= self._max_streams:
            raise TooManyStreams(self._max_streams)
        self._open_streams += 1
        try:
            yield
        finally:
            self._open_streams -= 1


def _lenient(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any]:
    """The deserializer, but answering with a marker where it would raise."""

    def lenient(raw: bytes) -> Any:
        try:
            return deserialize(raw) if deserialize else raw
        except DecodeError as error:
            return _Undecodable(str(error))

    return lenient


def _check(request: Any, context: Context, line: CallLine) -> None:
    if isinstance(request, _Undecodable):
        raise InvalidField("request", "its bytes are no message of this method's request type")
    line.actor = principal_of(context).name


async def _write_all(responses: Any, context: Context) -> None:
    async with aclosing(responses) as stream:
        async for response in stream:
            await context.write(response)


def _refusal(error: Exception, request: Any, context: Context, line: CallLine) -> Status | None:
    """What to tell the client; nothing where the call has an end already, or there is nobody to tell."""
    if isinstance(error, grpc.aio.AbortError):
        line.aborted(context)
        raise error
    if context.done():
        line.cancelled()
        return None
    status = status_of(error, release_id=_release_id(request))
    line.refused(status)
    return status


def _release_id(request: Any) -> str:
    """The release that the request names, where it is well-formed."""
    text = getattr(request, "release_id", "") if isinstance(request, Message) else ""
    try:
        return str(ReleaseId.parse(text)) if text else ""
    except InvalidField:
        return ""


async def _end(refusal: Status | None, context: Context) -> None:
    if refusal is not None:
        await context.abort_with_status(rpc_status.to_status(refusal))
