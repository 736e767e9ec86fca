"""`history`, `releases`, `operation`: the commands that look."""

from __future__ import annotations

from typing import Annotated

import typer

from helm_rollback.cli import output, text
from helm_rollback.cli.arguments import DEFAULT_SERVER, OutputOption, ReleaseArgument, ServerOption
from helm_rollback.cli.connection import CALL_SECONDS, Service, connected, follow
from helm_rollback.cli.exits import ExitCode, exits
from helm_rollback.cli.output import Output
from helm_rollback.v1 import release_pb2
from helm_rollback.v1 import release_service_pb2 as releases_pb
from helm_rollback.v1 import rollback_service_pb2 as pb


def history(
    release: ReleaseArgument,
    *,
    follow_events: Annotated[
        bool, typer.Option("--follow", "-f", help="Print every event, then new ones as they happen.")
    ] = False,
    tail: Annotated[
        int | None, typer.Option("--tail", min=0, help="With --follow: begin with the newest so many events.")
    ] = None,
    limit: Annotated[int, typer.Option("--max", min=1, help="The newest so many revisions.")] = 256,
    server: ServerOption = DEFAULT_SERVER,
    output_format: OutputOption = Output.TABLE,
) -> None:
    """Show a release's revisions, or follow what happens to it."""
    with exits(server), connected(server) as service:
        if follow_events:
            _follow(service, release, tail, output_format)
            return
        revisions = _newest_revisions(service, release, limit)
        if output_format is Output.TABLE:
            output.print_revisions(revisions)
        else:
            for revision in revisions:
                output.print_json(revision)


def _follow(service: Service, release: str, tail: int | None, output_format: Output) -> None:
    request = pb.StreamHistoryRequest(release_id=release)
    if tail is not None:
        request.tail = tail
    for response in follow(service, request):
        item = response.WhichOneof("item")
        if output_format is Output.JSON and item != "heartbeat":
            output.print_json(response)
        elif item == "event":
            output.print_line(text.event_line(response.event))


def _newest_revisions(service: Service, release: str, limit: int) -> list[release_pb2.Revision]:
    """Oldest first, as Helm lists them."""
    revisions: list[release_pb2.Revision] = []
    request = releases_pb.ListRevisionsRequest(release_id=release, page_size=min(limit, 500))
    while len(revisions) < limit:
        page = service.releases.ListRevisions(request, timeout=CALL_SECONDS)
        revisions += page.revisions
        request.page_token = page.next_page_token
        if not page.next_page_token:
            break
    return revisions[:limit][::-1]


def releases(
    *,
    cluster: Annotated[str, typer.Option("--cluster", help="Only of this cluster.")] = "",
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Only of this namespace.")] = "",
    server: ServerOption = DEFAULT_SERVER,
    output_format: OutputOption = Output.TABLE,
) -> None:
    """List the releases that the service knows."""
    with exits(server), connected(server) as service:
        found: list[release_pb2.Release] = []
        request = releases_pb.ListReleasesRequest(cluster=cluster, namespace=namespace, page_size=500)
        while True:
            page = service.releases.ListReleases(request, timeout=CALL_SECONDS)
            found += page.releases
            request.page_token = page.next_page_token
            if not page.next_page_token:
                break
        if output_format is Output.TABLE:
            output.print_releases(found)
        else:
            for release in found:
                output.print_json(release)


def operation(
    operation_id: Annotated[str, typer.Argument(metavar="OPERATION")],
    *,
    server: ServerOption = DEFAULT_SERVER,
    output_format: OutputOption = Output.TABLE,
) -> None:
    """Show an operation. Exit code 1 where it failed or was cancelled."""
    with exits(server), connected(server) as service:
        found = service.rollbacks.GetOperation(
            pb.GetOperationRequest(operation_id=operation_id), timeout=CALL_SECONDS
        ).operation
        show_operation(found, output_format)
    raise typer.Exit(operation_exit(found))


def show_operation(operation: release_pb2.Operation, output_format: Output) -> None:
    if output_format is Output.JSON:
        output.print_json(operation)
    else:
        output.print_operation(operation)


def operation_exit(operation: release_pb2.Operation) -> ExitCode:
    """Whether it came to what was asked for; not over yet is no failure."""
    failed = operation.HasField("end_time") and operation.state != release_pb2.Operation.SUCCEEDED
    return ExitCode.OPERATION_FAILED if failed else ExitCode.DONE
