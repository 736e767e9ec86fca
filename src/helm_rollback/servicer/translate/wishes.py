"""The fields that every request for an operation has, as what the use cases take."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Generic, Protocol, TypedDict, TypeVar

from google.protobuf.duration_pb2 import Duration

from helm_rollback.application.acceptance import DEFAULT_EXPIRE_AFTER, Command
from helm_rollback.domain.helm_options import DEFAULT_TIMEOUT, HelmOptions, ServerSideApply, WaitStrategy
from helm_rollback.domain.release import ReleaseId
from helm_rollback.domain.violations import Violations
from helm_rollback.servicer.translate import fields
from helm_rollback.v1 import helm_options_pb2

C = TypeVar("C", bound=Command, covariant=True)

NO_WAIT: Final = timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish(Generic[C]):
    """What the caller wants, and how long the call is to wait for the outcome; absent: not at all."""

    command: C
    wait_timeout: timedelta


class Wishing(Protocol):
    """A request for an operation."""

    release_id: str
    request_id: str
    reason: str

    @property
    def helm_options(self) -> helm_options_pb2.HelmOptions: ...

    @property
    def wait_timeout(self) -> Duration: ...

    @property
    def expire_after(self) -> Duration: ...

    @property
    def DESCRIPTOR(self) -> Any: ...  # noqa: N802 - protobuf's name

    def HasField(self, field_name: Any) -> bool: ...  # noqa: N802


class Common(TypedDict):
    """The fields that all commands have."""

    release_id: ReleaseId
    request_id: str
    expected_current_revision: int | None
    reason: str
    helm_options: HelmOptions
    expire_after: timedelta
    take_over_pending: bool


def common(request: Wishing, found: Violations) -> Common:
    """These fields, and in `found` what is wrong with them. An install has no current revision to speak of."""
    expire_after = DEFAULT_EXPIRE_AFTER
    if request.HasField("expire_after"):
        expire_after = found.take(lambda: fields.span(request.expire_after, field="expire_after"), expire_after)
    knows_current = "expected_current_revision" in request.DESCRIPTOR.fields_by_name
    known: Any = request
    expected = (
        known.expected_current_revision if knows_current and known.HasField("expected_current_revision") else None
    )
    return Common(
        release_id=fields.release_id(request, found),
        request_id=request.request_id,
        expected_current_revision=expected,
        reason=request.reason,
        helm_options=found.take(lambda: helm_options(request.helm_options), HelmOptions()),
        expire_after=expire_after,
        take_over_pending=known.take_over_pending if knows_current else False,
    )


def wait_timeout(request: Wishing, found: Violations) -> timedelta:
    return found.take(lambda: fields.span(request.wait_timeout, field="wait_timeout"), NO_WAIT)


def helm_options(options: helm_options_pb2.HelmOptions) -> HelmOptions:
    """Helm's options; an absent message is the same as an empty one."""
    found = Violations()
    timeout = DEFAULT_TIMEOUT
    if options.HasField("timeout"):
        timeout = found.take(lambda: fields.span(options.timeout, field="helm_options.timeout"), timeout)
    strategy = found.take(
        lambda: fields.choice(
            options.wait_strategy,
            of=WaitStrategy,
            proto=helm_options_pb2.HelmOptions.WaitStrategy.DESCRIPTOR,
            field="helm_options.wait_strategy",
        ),
        None,
    )
    server_side = found.take(
        lambda: fields.choice(
            options.server_side_apply,
            of=ServerSideApply,
            proto=helm_options_pb2.HelmOptions.ServerSideApply.DESCRIPTOR,
            field="helm_options.server_side_apply",
        ),
        None,
    )
    return found.finish(
        lambda: HelmOptions(
            timeout=timeout,
            wait_strategy=strategy or WaitStrategy.WATCHER,
            wait_for_jobs=options.wait_for_jobs,
            disable_hooks=options.disable_hooks,
            cleanup_on_fail=options.cleanup_on_fail,
            force_replace=options.force_replace,
            force_conflicts=options.force_conflicts,
            server_side_apply=server_side or ServerSideApply.AUTO,
        )
    )
