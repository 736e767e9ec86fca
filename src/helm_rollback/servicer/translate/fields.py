"""Single fields of a request, checked. Each function raises InvalidField, naming the field."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final, Protocol, TypeVar

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.duration_pb2 import Duration

from helm_rollback.domain.errors import InvalidField
from helm_rollback.domain.release import ReleaseId
from helm_rollback.domain.violations import Violations
from helm_rollback.servicer import page_token

E = TypeVar("E", bound=StrEnum)

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
# The range of google.protobuf.Duration, about ten thousand years.
_DURATION_SECONDS_MAX: Final = 315_576_000_000
_DURATION_NANOS_MAX: Final = 999_999_999


def uuid(text: str, *, field: str) -> str:
    """A UUID of any version, in its canonical spelling."""
    if not text:
        raise InvalidField(field, "is required")
    if not _UUID.fullmatch(text):
        raise InvalidField(field, "must be a UUID, such as 01890a5d-ac96-774b-bcce-b302099a8057")
    return text.lower()


def optional_uuid(text: str, *, field: str) -> str:
    """A UUID, or nothing."""
    return uuid(text, field=field) if text else ""


class OfRelease(Protocol):
    """A request that names a release."""

    release_id: str


_UNREADABLE: Final = ReleaseId("", "", "")


def release_id(request: OfRelease, found: Violations) -> ReleaseId:
    """The release that is named; a stand-in where it is refused, for the other fields to be checked."""
    return found.take(lambda: ReleaseId.parse(request.release_id), _UNREADABLE)


def not_negative(number: int, *, field: str) -> int:
    """A number that counts something."""
    if number < 0:
        raise InvalidField(field, "must not be negative")
    return number


def span(value: Duration, *, field: str) -> timedelta:
    """A span of time: valid as the proto says, and not negative. Less than a microsecond is dropped."""
    seconds, nanos = value.seconds, value.nanos
    valid = abs(seconds) <= _DURATION_SECONDS_MAX and abs(nanos) <= _DURATION_NANOS_MAX and seconds * nanos >= 0
    if not valid:
        raise InvalidField(field, "is no valid duration: seconds and nanos are out of range, or of different signs")
    if seconds < 0 or nanos < 0:
        raise InvalidField(field, "must not be negative")
    return timedelta(seconds=seconds, microseconds=nanos // 1000)


class Paged(Protocol):
    """A request for a page of a listing."""

    page_size: int
    page_token: str


@dataclass(frozen=True, slots=True)
class Page:
    """Which page: what follows `position`, from the start where that is empty."""

    position: str
    size: int


def page(request: Paged, found: Violations, *listing: str) -> Page:
    """The page that is asked for; `listing` as in `page_token`, and `found` what was wrong with it.

    A token is bound to the filters, so where one of these is bad, nothing can be said of it.
    """
    token = "" if found else request.page_token
    return Page(
        position=found.take(lambda: page_token.decode(token, *listing), ""),
        size=found.take(lambda: page_token.page_size(request.page_size), 0),
    )


def choice(number: int, *, of: type[E], proto: EnumDescriptor, field: str) -> E | None:
    """The value that an enum's number stands for; None for unspecified. A number unknown here is refused."""
    if number == 0:
        return None
    name = proto.values_by_number.get(number)
    if name is None:
        raise InvalidField(field, f"{number} is no value of {proto.name} that this version knows")
    return of(name.name)
