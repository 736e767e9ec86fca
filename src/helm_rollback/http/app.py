"""The routes, each bound to the method that it calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from functools import cache
from typing import Any, Final, cast

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc.status_pb2 import Status
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Match
from starlette.routing import Route as StarletteRoute

from helm_rollback.domain.errors import ForeignPage, InvalidField
from helm_rollback.http import answers
from helm_rollback.http.call import HttpCall, Refusal
from helm_rollback.http.docs_page import PAGE
from helm_rollback.http.foreign_pages import check_sender
from helm_rollback.http.openapi import document
from helm_rollback.http.request_message import (
    BODY_MAX,
    NotJson,
    TooLarge,
    idempotency_key,
    request_message,
    wait_seconds,
)
from helm_rollback.http.routes import ROUTES, Route
from helm_rollback.servicer.error_status import status_of
from helm_rollback.v1 import release_service_pb2, rollback_service_pb2
from helm_rollback.v1 import rollback_service_pb2 as pb

Methods = Mapping[str, Callable[[Any, Any], Any]]
"""The guarded methods, by name. Those that stream are coroutines that write."""

_ENDS_AT_ONCE: Final = 0.1
"""Seconds in which a stream ends after `caught_up`, where its end condition holds already."""
_DESCRIPTORS: Final = {
    method.name: method
    for file in (rollback_service_pb2, release_service_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


def make_app(methods: Methods, *, loopback_only: bool) -> Starlette:
    """The application over these methods; `loopback_only`: where it listens, only this machine can reach it."""
    routes = [
        StarletteRoute(route.path, _endpoint(route, methods, loopback_only=loopback_only), methods=[route.verb])
        for route in ROUTES
    ]
    routes.append(StarletteRoute("/openapi.json", _describe, methods=["GET"]))
    routes.append(StarletteRoute("/docs", _explain, methods=["GET"]))
    return Starlette(routes=routes, exception_handlers={HTTPException: _no_route, Exception: _fault})


async def _describe(_request: Request) -> Response:
    return JSONResponse(_described())


@cache
def _described() -> dict[str, Any]:
    return document(_DESCRIPTORS)


async def _explain(_request: Request) -> Response:
    return HTMLResponse(PAGE)


def _endpoint(route: Route, methods: Methods, *, loopback_only: bool) -> Callable[[Request], Awaitable[Response]]:
    descriptor = _DESCRIPTORS[route.method]
    make_message = GetMessageClass(descriptor.input_type)

    async def endpoint(request: Request) -> Response:
        message: Any = make_message()
        try:
            check_sender(request, loopback_only=loopback_only)
            await request_message(request, message)
            method = _apply_headers(request, route.method, message)
            if descriptor.server_streaming:
                return await _stream(methods[route.method], request, message)
            if method == "WaitOperation":
                message = pb.WaitOperationRequest(operation_id=message.operation_id, timeout=_wait(request))
            return answers.answer(route.method, await methods[method](message, HttpCall(request)))
        except Refusal as refused:
            return answers.refusal(refused.status)
        except (InvalidField, ForeignPage) as problem:
            return answers.refusal(status_of(problem))
        except NotJson:
            kind = InvalidField("Content-Type", "must be application/json")
            return answers.refusal(status_of(kind), http_code=415)
        except TooLarge:
            size = InvalidField("body", f"has more than {BODY_MAX} bytes")
            return answers.refusal(status_of(size), http_code=413)

    return endpoint


def _apply_headers(request: Request, method: str, message: Any) -> str:
    """Take in what HTTP says by headers; the method that is meant."""
    fields = message.DESCRIPTOR.fields_by_name
    key = idempotency_key(request) if "request_id" in fields and request.method in ("POST", "DELETE") else ""
    if key and message.request_id.lower() not in {"", key.lower()}:
        raise InvalidField("request_id", "is another one than the Idempotency-Key")
    if key:
        message.request_id = key
    if method == "StreamHistory" and (token := request.headers.get("last-event-id")):
        message.resume_token = token
    wait = wait_seconds(request)
    if wait is None:
        return method
    if "wait_timeout" in fields and (
        not message.HasField("wait_timeout") or wait < message.wait_timeout.ToTimedelta().total_seconds()
    ):
        message.wait_timeout.FromSeconds(wait)
    return "WaitOperation" if method == "GetOperation" else method


def _wait(request: Request) -> Any:
    return {"seconds": wait_seconds(request)}


async def _stream(method: Callable[[Any, Any], Any], request: Request, message: Any) -> Response:
    """Server-sent events. What is refused before the first of them is an HTTP error."""
    call = HttpCall(request)
    responses = call.responses(method(message, call))
    first = await anext(responses)
    coming = asyncio.ensure_future(cast("Any", anext(responses, None)))
    ends = _has_end(message)
    if ends and first.WhichOneof("item") == "caught_up" and "last-event-id" in request.headers:
        await asyncio.wait({coming}, timeout=_ENDS_AT_ONCE)
        if coming.done() and coming.exception() is None and coming.result() is None:
            return Response(status_code=204)  # a browser then stops to reconnect
    return StreamingResponse(_events(first, coming, responses), media_type="text/event-stream", headers=_NOT_KEPT)


_NOT_KEPT: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


async def _events(
    first: Message, coming: asyncio.Future[Message | None], rest: AsyncGenerator[Message]
) -> AsyncIterator[str]:
    """The text of a stream; when the client goes, the method's stream is ended, too."""
    try:
        yield _event(first)
        while (response := await coming) is not None:
            yield _event(response)
            coming = asyncio.ensure_future(cast("Any", anext(rest, None)))
    except Refusal as refused:
        yield answers.event_text("status", answers.error_content(refused.status))
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
        await rest.aclose()


def _has_end(message: Any) -> bool:
    """Whether the stream that is asked for has an end."""
    if "end_when_caught_up" not in message.DESCRIPTOR.fields_by_name:
        return False
    return bool(message.end_when_caught_up or message.end_after_operation_id)


def _event(response: Any) -> str:
    """One event; its id is the resume token, where the stream has one."""
    if response.WhichOneof("item") == "heartbeat":
        return ": heartbeat\n\n"
    has_token = "resume_token" in response.DESCRIPTOR.fields_by_name
    return answers.event_text("", answers.as_json(response), identity=response.resume_token if has_token else "")


async def _no_route(request: Request, problem: Exception) -> JSONResponse:
    assert isinstance(problem, HTTPException)
    if problem.status_code == 405:
        status = Status(
            code=grpc.StatusCode.UNIMPLEMENTED.value[0], message=f"{request.method} is no verb of this path"
        )
    else:
        status = Status(code=grpc.StatusCode.NOT_FOUND.value[0], message=f"there is no route {request.url.path}")
    return answers.refusal(status, http_code=problem.status_code, headers=_allowed(request))


def _allowed(request: Request) -> dict[str, str]:
    """The verbs of the path, where there are any."""
    fitting = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    verbs = {verb for route in fitting for verb in route.methods}
    return {"Allow": ", ".join(sorted(verbs))} if verbs else {}


async def _fault(_request: Request, problem: Exception) -> JSONResponse:
    return answers.refusal(status_of(problem))
