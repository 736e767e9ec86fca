"""The request message that an HTTP request is: path, query, body and headers, in proto3 JSON.

Stricter than proto3 JSON in one point: an enum is given by name, never by number. All raise
InvalidField, which names the field as JSON does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from starlette.requests import Request

from helm_rollback.application.operations import LONGEST_WAIT
from helm_rollback.domain.errors import InvalidField

BODY_MAX: Final = 32 * 1024 * 1024
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_WAIT = re.compile(r'\s*wait\s*=\s*"?([0-9]{1,30})"?\s*', re.IGNORECASE)
_STEP = re.compile(r"Failed to parse (\w+) field: ")
"""How json_format tells the way to what it can not take."""
_INTEGERS = (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64)


class NotJson(Exception):
    """The body is of another media type."""


class TooLarge(Exception):
    """The body is larger than BODY_MAX."""


async def request_message(request: Request, message: Message) -> None:
    """Fill `message` from a request. Raises InvalidField, NotJson, TooLarge."""
    body = await _body(request) if request.method in ("POST", "DELETE") else {}
    content = _checked(message.DESCRIPTOR, body)
    for name, text in _named(request, message.DESCRIPTOR):
        value = text if isinstance(text, list) else _value(message.DESCRIPTOR, name, text)
        if content.get(name) is None:
            content[name] = value
        elif str(content[name]) != str(value):
            raise InvalidField(name, f"is {text!r} in the address, and something else in the body")
    try:
        json_format.ParseDict(content, message)
    except (json_format.ParseError, ValueError, RecursionError) as problem:
        raise _refused(problem) from None


def _refused(problem: Exception) -> InvalidField:
    """What a failure of proto3 JSON says, of the field that it names."""
    text, steps = str(problem), []
    while (step := _STEP.match(text)) is not None:
        steps.append(step[1])
        text = text[step.end() :]
    return InvalidField(".".join(steps) or "body", f"is not what JSON has for it: {text[:300]}")


def wait_seconds(request: Request) -> int | None:
    """The seconds of `Prefer: wait=…`. A preference that makes no sense is none (RFC 7240)."""
    for header in request.headers.getlist("prefer"):
        for preference in re.split("[,;]", header):
            if found := _WAIT.fullmatch(preference):
                return min(int(found[1]), int(LONGEST_WAIT.total_seconds()))
    return None


def idempotency_key(request: Request) -> str:
    """The `Idempotency-Key`, bare or quoted; empty without one."""
    keys = request.headers.getlist("idempotency-key")
    if len(keys) > 1:
        raise InvalidField("Idempotency-Key", "must be given once")
    return keys[0].strip().removeprefix('"').removesuffix('"') if keys else ""


async def _body(request: Request) -> dict[str, Any]:
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > BODY_MAX:
            raise TooLarge
    if not raw.strip():
        return {}
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise NotJson
    try:
        content = json.loads(raw, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as problem:
        raise InvalidField("body", f"is no JSON: {problem}"[:300]) from None
    if not isinstance(content, dict):
        raise InvalidField("body", "must be a JSON object")
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a name is given twice")
    return content


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number in JSON")


def _named(request: Request, descriptor: Any) -> Iterable[tuple[str, str | list[str]]]:
    """What the address says: of the path, then of the query."""
    yield from request.path_params.items()
    for name in request.query_params:
        if request.method == "POST":
            raise InvalidField(name, "belongs into the body: a POST takes nothing behind the path")
        values = request.query_params.getlist(name)
        field = descriptor.fields_by_camelcase_name.get(name)
        if field is not None and field.is_repeated:
            yield name, values
            continue
        if len(values) > 1 or name in request.path_params:
            raise InvalidField(name, "must be given once")
        yield name, values[0]


def _value(message: Any, name: str, text: str) -> Any:
    """What a text in the address stands for in JSON."""
    field = message.fields_by_camelcase_name.get(name)
    if field is None or (field.message_type is not None and field.message_type.full_name != "google.protobuf.Duration"):
        raise InvalidField(name, _unknown(message))
    _check_enum(field, text, name)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        if text not in {"true", "false"}:
            raise InvalidField(name, "must be true or false")
        return text == "true"
    if field.cpp_type in _INTEGERS:
        if not _WHOLE.fullmatch(text):
            raise InvalidField(name, "must be a whole number")
        return int(text)
    return text


def _checked(message: Any, content: Mapping[str, Any], at: str = "") -> dict[str, Any]:
    """The content under the fields' JSON names, each known and given once, enums by name."""
    checked: dict[str, Any] = {}
    for name, value in content.items():
        field = message.fields_by_camelcase_name.get(name) or message.fields_by_name.get(name)
        if field is None:
            raise InvalidField(f"{at}{name}", _unknown(message))
        place = f"{at}{field.camelcase_name}"
        if field.camelcase_name in checked:
            raise InvalidField(place, "is given twice")
        if value is not None:
            _check_enum(field, value, place)
        is_message = field.message_type is not None and not field.message_type.GetOptions().map_entry
        nested = is_message and isinstance(value, dict)
        checked[field.camelcase_name] = _checked(field.message_type, value, f"{place}.") if nested else value
    return checked


def _check_enum(field: Any, value: object, place: str) -> None:
    """By number an enum's value would pass, as a text, too, and `true` for the value 1."""
    if field.enum_type is not None and not (isinstance(value, str) and value in field.enum_type.values_by_name):
        raise InvalidField(place, f"must be one of {', '.join(field.enum_type.values_by_name)}")


def _unknown(message: Any) -> str:
    return f"is not known here; there are: {', '.join(message.fields_by_camelcase_name)}"
