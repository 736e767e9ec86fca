"""What goes back: messages as proto3 JSON, refusals as google.rpc.Status does in JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

import grpc
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from starlette.responses import JSONResponse

from helm_rollback.http.routes import ACCEPTING, PREFIX

HTTP_CODES: Final[Mapping[grpc.StatusCode, int]] = {
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNKNOWN: 500,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DATA_LOSS: 500,
}
"""As google/rpc/code.proto maps them."""

_BY_NUMBER: Final = {code.value[0]: code for code in grpc.StatusCode}


def as_json(message: Message) -> dict[str, Any]:
    """A message in proto3 JSON, with its defaults written out."""
    return json_format.MessageToDict(message, always_print_fields_with_no_presence=True)


def answer(method: str, response: Any) -> JSONResponse:
    """What a method answered: 202 where it accepted an operation that is not over yet."""
    if method not in ACCEPTING:
        return JSONResponse(as_json(response))
    operation = response.operation
    return JSONResponse(
        as_json(response),
        status_code=200 if operation.HasField("end_time") else 202,
        headers={"Location": f"{PREFIX}/operations/{operation.operation_id}"},
    )


def refusal(status: Status, *, http_code: int = 0, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """A status as an HTTP error; `http_code` where HTTP has a better one than the table."""
    retry = RetryInfo()
    headers = dict(headers or {})
    if any(detail.Unpack(retry) for detail in status.details):
        headers["Retry-After"] = str(math.ceil(retry.retry_delay.ToTimedelta().total_seconds()))
    content = error_content(status, http_code=http_code)
    return JSONResponse(content, status_code=content["error"]["code"], headers=headers)


def error_content(status: Status, *, http_code: int = 0) -> dict[str, Any]:
    """The body of an error."""
    code = _BY_NUMBER[status.code]
    details = []
    for packed in status.details:
        fields = BadRequest()
        if packed.Unpack(fields):
            for violation in fields.field_violations:
                violation.field = _json_name(violation.field)
            packed.Pack(fields)
        details.append(json_format.MessageToDict(packed))
    number = http_code or HTTP_CODES[code]
    return {"error": {"code": number, "status": code.name, "message": status.message, "details": details}}


def event_text(name: str, content: Mapping[str, Any], *, identity: str = "") -> str:
    """One server-sent event; without a name, clients call it a message."""
    lines = [f"event: {name}"] if name else []
    lines += [f"id: {identity}"] if identity else []
    return "\n".join((*lines, f"data: {json.dumps(content, ensure_ascii=False)}", "", ""))


def _json_name(field: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), field)
