"""The OpenAPI document of REST, made from the routes and the proto's descriptors."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

from helm_rollback.http.routes import ACCEPTING, ROUTES, Route

_WELL_KNOWN: Final[Mapping[str, dict[str, Any]]] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$", "examples": ["300s"]},
}
_SCALARS: Final[Mapping[int, dict[str, Any]]] = {
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptor.TYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.TYPE_INT64: {"type": "string", "format": "int64"},
}
_ERROR: Final = {
    "type": "object",
    "description": "As google.rpc.Status: details hold an ErrorInfo with one of the reasons in error_reason.proto.",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "integer", "description": "The HTTP status."},
                "status": {"type": "string", "description": "The name of the google.rpc.Code."},
                "message": {"type": "string"},
                "details": {"type": "array", "items": {"type": "object"}},
            },
            "required": ["code", "status", "message", "details"],
        }
    },
    "required": ["error"],
}
_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "`requestId`, a UUID, bare or quoted.",
    "schema": {"type": "string"},
}
_PREFER: Final = {
    "name": "Prefer",
    "in": "header",
    "description": "`wait=SECONDS`: how long to wait for the outcome.",
    "schema": {"type": "string", "examples": ["wait=30"]},
}
_LAST_EVENT: Final = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "The id of the last event that was seen; beats a start in the query.",
    "schema": {"type": "string"},
}


def document(methods: Mapping[str, Any]) -> dict[str, Any]:
    """The document; `methods` are the proto's, by name."""
    schemas: dict[str, Any] = {"Error": _ERROR}
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.verb.lower()] = _operation(route, methods[route.method], schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "helm-rollback", "version": version("helm-rollback")},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _operation(route: Route, method: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    by_path = [name for name in method.input_type.fields_by_camelcase_name if f"{{{name}}}" in route.path]
    described: dict[str, Any] = {
        "operationId": f"{route.method}Of{route.path.rsplit('/', 1)[-1].title()}" if _is_alias(route) else route.method,
        "parameters": [_parameter(method.input_type, name, "path", schemas) for name in by_path],
        "responses": _responses(route, method, schemas),
    }
    if route.verb in ("POST", "DELETE"):
        described["requestBody"] = {"content": {"application/json": {"schema": _reference(method.input_type, schemas)}}}
    if route.verb != "POST":
        rest = [name for name in _in_query(method.input_type) if name not in by_path]
        described["parameters"] += [_parameter(method.input_type, name, "query", schemas) for name in rest]
    described["parameters"] += _headers(route, method)
    return described


def _in_query(message: Any) -> list[str]:
    """The fields that can stand in an address: all but messages that have fields of their own."""
    return [
        name
        for name, field in message.fields_by_camelcase_name.items()
        if field.message_type is None or field.message_type.full_name in _WELL_KNOWN
    ]


def _is_alias(route: Route) -> bool:
    """Whether an earlier route calls the same method."""
    return next(one for one in ROUTES if one.method == route.method) is not route


def _headers(route: Route, method: Any) -> list[dict[str, Any]]:
    if method.server_streaming:
        return [_LAST_EVENT] if _is_resumed(method) else []
    if route.method in ACCEPTING:
        return [_KEY, _PREFER]
    return [_PREFER] if route.method == "GetOperation" else []


def _is_resumed(method: Any) -> bool:
    """Whether a stream goes on after the last event that was seen."""
    return "resume_token" in method.input_type.fields_by_name


def _responses(route: Route, method: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    schema = _reference(method.output_type, schemas)
    refused = _response("Refused.", {"$ref": _path("Error")})
    if method.server_streaming:
        told = _response("Events, each with this as its data.", schema, kind="text/event-stream")
        over = {"description": "Nothing is left before the end that was asked for."}
        return {"200": told} | ({"204": over} if _is_resumed(method) else {}) | {"default": refused}
    if route.method not in ACCEPTING:
        return {"200": _response("Done.", schema), "default": refused}
    location = {"headers": {"Location": {"description": "Where the operation is.", "schema": {"type": "string"}}}}
    return {
        "200": _response("Accepted, and over.", schema) | location,
        "202": _response("Accepted, and not over yet.", schema) | location,
        "default": refused,
    }


def _response(description: str, schema: dict[str, Any], *, kind: str = "application/json") -> dict[str, Any]:
    return {"description": description, "content": {kind: {"schema": schema}}}


def _parameter(message: Any, name: str, place: str, schemas: dict[str, Any]) -> dict[str, Any]:
    schema = _schema(message.fields_by_camelcase_name[name], schemas)
    return {"name": name, "in": place, "required": place == "path", "schema": schema}


def _reference(message: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    """A reference to a message's schema, which is made on the way where it is missing."""
    if message.name not in schemas:
        schemas[message.name] = {}  # messages may hold one another
        schemas[message.name] |= {
            "type": "object",
            "properties": {field.camelcase_name: _schema(field, schemas) for field in message.fields},
            "additionalProperties": False,
        }
    return {"$ref": _path(message.name)}


def _schema(field: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return {"type": "object", "additionalProperties": _single(field.message_type.fields_by_name["value"], schemas)}
    single = _single(field, schemas)
    return {"type": "array", "items": single} if field.is_repeated else single


def _single(field: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    if field.enum_type is not None:
        return {"type": "string", "enum": list(field.enum_type.values_by_name)}
    if field.message_type is None:
        return dict(_SCALARS[field.type])
    return dict(_WELL_KNOWN.get(field.message_type.full_name) or _reference(field.message_type, schemas))


def _path(name: str) -> str:
    return f"#/components/schemas/{name}"
