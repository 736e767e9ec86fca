"""Puts a release back, waits for the outcome, and tells what happens meanwhile.

    python put_back.py 127.0.0.1:50051 default.prod.shop 1

It needs nothing but the package helm-rollback, and goes on where it was when the service
is restarted: the operation does not depend on this process, and the stream resumes by token.
"""

import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import TypeVar

import grpc
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from helm_rollback.v1.release_pb2 import Operation
from helm_rollback.v1.rollback_service_pb2 import (
    GetOperationRequest,
    RollbackRequest,
    StreamHistoryRequest,
    StreamHistoryResponse,
)
from helm_rollback.v1.rollback_service_pb2_grpc import RollbackServiceStub

T = TypeVar("T")

COME_AGAIN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
SILENCE = 45.0
"""Seconds without even a heartbeat, after which a stream is cut, and opened anew."""
PATIENCE = 120.0
"""Seconds without any answer, after which this client gives up."""


def reason_of(error: grpc.RpcError) -> str:
    """The service's own word for what is wrong; decide by this, not by the message."""
    status, info = rpc_status.from_call(error), ErrorInfo()
    return info.reason if status and any(detail.Unpack(info) for detail in status.details) else ""


def put_back(service: RollbackServiceStub, release_id: str, revision: int) -> Operation:
    """Have the rollback accepted, follow the release until it is over."""
    request = RollbackRequest(
        release_id=release_id,
        target_revision=revision,
        request_id=str(uuid.uuid4()),  # asked again under this id, it is still one rollback
        reason="put back by an example",
    )
    accepted = again_while_away(lambda _: service.Rollback(request, timeout=10))
    follow = StreamHistoryRequest(
        release_id=release_id,
        resume_token=accepted.resume_token,
        end_after_operation_id=accepted.operation.operation_id,
    )
    again_while_away(lambda heard: tell_events(service, follow, heard))
    question = GetOperationRequest(operation_id=accepted.operation.operation_id)
    return again_while_away(lambda _: service.GetOperation(question, timeout=10)).operation


def tell_events(service: RollbackServiceStub, request: StreamHistoryRequest, heard: Callable[[], None]) -> None:
    """Print each event once: the request's token moves on with what was heard."""
    for response in responses(service, request):
        heard()
        request.resume_token = response.resume_token
        if response.WhichOneof("item") == "event":
            change = response.event.WhichOneof("change")
            print(f"{response.event.sequence} {change}", flush=True)


def responses(service: RollbackServiceStub, request: StreamHistoryRequest) -> Iterator[StreamHistoryResponse]:
    """What the stream tells, until it ends or has been silent for too long."""
    stream = service.StreamHistory(request)
    while True:
        silence = threading.Timer(SILENCE, stream.cancel)
        silence.start()
        try:
            response = next(stream, None)
        finally:
            silence.cancel()
        if response is None:
            return
        yield response


def again_while_away(call: Callable[[Callable[[], None]], T]) -> T:
    """The answer, however often the service has to be asked. `call` says what it heard, which renews the patience."""
    give_up = time.monotonic() + PATIENCE

    def heard() -> None:
        nonlocal give_up
        give_up = time.monotonic() + PATIENCE

    while True:
        try:
            return call(heard)
        except grpc.RpcError as error:
            if error.code() not in COME_AGAIN or time.monotonic() > give_up:
                raise
            time.sleep(0.2)


def main() -> int:
    address, release_id, revision = sys.argv[1:]
    with grpc.insecure_channel(address) as channel:
        service = RollbackServiceStub(channel)
        try:
            operation = put_back(service, release_id, int(revision))
        except grpc.RpcError as error:
            print(f"refused: {reason_of(error) or error.code().name}: {error.details()}", file=sys.stderr)
            return 1
    print(f"operation {operation.operation_id} {Operation.State.Name(operation.state)}", flush=True)
    return 0 if operation.state == Operation.SUCCEEDED else 1


if __name__ == "__main__":
    sys.exit(main())
