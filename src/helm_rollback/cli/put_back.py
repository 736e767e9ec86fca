"""`rollback` and `last-successful`: the commands that put a release back."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated
from uuid import uuid4

import grpc
import typer
from google.protobuf.duration_pb2 import Duration

from helm_rollback.cli import arguments, text
from helm_rollback.cli.connection import CALL_SECONDS, Service, connected, follow
from helm_rollback.cli.exits import ExitCode, exits, heed_no_more_interrupts, say
from helm_rollback.cli.look import operation_exit, show_operation
from helm_rollback.cli.output import Output
from helm_rollback.v1 import rollback_service_pb2 as pb
from helm_rollback.v1.helm_options_pb2 import HelmOptions
from helm_rollback.v1.release_pb2 import Operation

Accepted = pb.RollbackResponse | pb.RollbackLastSuccessfulResponse


def rollback(
    release: arguments.ReleaseArgument,
    revision: arguments.RevisionArgument,
    *,
    reason: arguments.ReasonOption = "",
    request_id: arguments.RequestIdOption = "",
    expected_current_revision: arguments.ExpectedOption = None,
    timeout: arguments.TimeoutOption = None,
    expire_after: arguments.ExpireOption = None,
    wait: arguments.WaitOption = True,
    wait_for_jobs: arguments.WaitForJobsOption = False,
    no_hooks: arguments.NoHooksOption = False,
    cleanup_on_fail: arguments.CleanupOption = False,
    take_over_pending: arguments.TakeOverOption = False,
    remove_leftovers: arguments.LeftoversOption = False,
    allow_marked_bad: Annotated[bool, typer.Option("--allow-marked-bad", help="Also to one marked BAD.")] = False,
    actor: arguments.ActorOption = "",
    server: arguments.ServerOption = arguments.DEFAULT_SERVER,
    output_format: arguments.OutputOption = Output.TABLE,
) -> None:
    """Put a release back to a revision."""
    request_id = request_id or str(uuid4())
    with exits(server, request_id=request_id), connected(server) as service:
        request = pb.RollbackRequest(
            release_id=release,
            target_revision=revision,
            request_id=request_id,
            expected_current_revision=expected_current_revision,
            reason=reason,
            helm_options=_helm_options(timeout, wait_for_jobs, no_hooks, cleanup_on_fail),
            expire_after=_duration(expire_after),
            take_over_pending=take_over_pending,
            remove_leftovers=remove_leftovers,
            allow_marked_bad=allow_marked_bad,
        )
        accepted = service.rollbacks.Rollback(request, timeout=CALL_SECONDS, metadata=_metadata(actor))
        _finish(service, accepted, wait=wait, output_format=output_format)


def last_successful(
    release: arguments.ReleaseArgument,
    *,
    reason: arguments.ReasonOption = "",
    request_id: arguments.RequestIdOption = "",
    expected_current_revision: arguments.ExpectedOption = None,
    timeout: arguments.TimeoutOption = None,
    expire_after: arguments.ExpireOption = None,
    wait: arguments.WaitOption = True,
    wait_for_jobs: arguments.WaitForJobsOption = False,
    no_hooks: arguments.NoHooksOption = False,
    cleanup_on_fail: arguments.CleanupOption = False,
    take_over_pending: arguments.TakeOverOption = False,
    remove_leftovers: arguments.LeftoversOption = False,
    actor: arguments.ActorOption = "",
    server: arguments.ServerOption = arguments.DEFAULT_SERVER,
    output_format: arguments.OutputOption = Output.TABLE,
) -> None:
    """Put a release back to the newest revision that is known to have worked."""
    request_id = request_id or str(uuid4())
    with exits(server, request_id=request_id), connected(server) as service:
        request = pb.RollbackLastSuccessfulRequest(
            release_id=release,
            request_id=request_id,
            expected_current_revision=expected_current_revision,
            reason=reason,
            helm_options=_helm_options(timeout, wait_for_jobs, no_hooks, cleanup_on_fail),
            expire_after=_duration(expire_after),
            take_over_pending=take_over_pending,
            remove_leftovers=remove_leftovers,
        )
        accepted = service.rollbacks.RollbackLastSuccessful(request, timeout=CALL_SECONDS, metadata=_metadata(actor))
        _finish(service, accepted, wait=wait, output_format=output_format)


def _finish(service: Service, accepted: Accepted, *, wait: bool, output_format: Output) -> None:
    """Show what became of it; ends the command."""
    operation = accepted.operation
    if wait and not operation.HasField("end_time"):
        try:
            operation = _outcome(service, accepted)
        except (grpc.RpcError, KeyboardInterrupt) as interruption:
            if isinstance(interruption, KeyboardInterrupt):
                heed_no_more_interrupts()
            say(f"the operation goes on; see: helm-rollback operation {operation.operation_id}")
            if isinstance(interruption, KeyboardInterrupt):
                raise typer.Exit(ExitCode.INTERRUPTED) from None
            raise
    show_operation(operation, output_format)
    raise typer.Exit(operation_exit(operation))


def _outcome(service: Service, accepted: Accepted) -> Operation:
    """Follow the release until the operation is over, with a line on stderr that tells how it goes."""
    from rich.console import Console
    from rich.text import Text

    operation = accepted.operation
    request = pb.StreamHistoryRequest(
        release_id=operation.release_id,
        resume_token=accepted.resume_token,
        end_after_operation_id=operation.operation_id,
    )
    with Console(stderr=True).status(Text(text.operation_line(operation))) as line:
        for response in follow(service, request):
            if response.WhichOneof("item") == "event":
                line.update(Text(text.event_text(response.event)))
                operation = _newer(operation, response)
    return operation


def _newer(operation: Operation, response: pb.StreamHistoryResponse) -> Operation:
    """The operation as the event tells it, where it tells of this one."""
    told = response.event.operation_transition.operation
    return told if told.operation_id == operation.operation_id else operation


def _helm_options(timeout: timedelta | None, wait_for_jobs: bool, no_hooks: bool, cleanup_on_fail: bool) -> HelmOptions:
    return HelmOptions(
        timeout=_duration(timeout),
        wait_for_jobs=wait_for_jobs,
        disable_hooks=no_hooks,
        cleanup_on_fail=cleanup_on_fail,
    )


def _duration(value: timedelta | None) -> Duration | None:
    if value is None:
        return None
    message = Duration()
    message.FromTimedelta(value)
    return message


def _metadata(actor: str) -> tuple[tuple[str, str], ...]:
    if not actor:
        return ()
    if not actor.isascii() or not actor.isprintable():
        raise typer.BadParameter("must be one line of ASCII: gRPC's metadata hold nothing else", param_hint="--actor")
    return (("x-helm-rollback-actor", actor),)
