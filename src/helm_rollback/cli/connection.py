"""A connection to a service, and following a stream across reconnects."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import grpc

from helm_rollback.v1.release_service_pb2_grpc import ReleaseServiceStub
from helm_rollback.v1.rollback_service_pb2 import StreamHistoryRequest, StreamHistoryResponse
from helm_rollback.v1.rollback_service_pb2_grpc import RollbackServiceStub

CALL_SECONDS: Final = 60.0
"""The deadline of a call that does not wait for an outcome."""
PATIENCE_SECONDS: Final = 30.0
"""For how long a stream that was cut tries to get back."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_MESSAGE_MAX: Final = 64 * 1024 * 1024
_LOST: Final = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


@dataclass(frozen=True, slots=True)
class Service:
    """Both services behind one address."""

    rollbacks: RollbackServiceStub
    releases: ReleaseServiceStub


@contextmanager
def connected(server: str) -> Iterator[Service]:
    options = (
        ("grpc.max_receive_message_length", _MESSAGE_MAX),
        ("grpc.keepalive_time_ms", 20_000),  # find a dead server under a silent stream
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.max_reconnect_backoff_ms", 2_000),
    )
    with grpc.insecure_channel(server, options=options) as channel:
        yield Service(RollbackServiceStub(channel), ReleaseServiceStub(channel))


def follow(service: Service, request: StreamHistoryRequest) -> Iterator[StreamHistoryResponse]:
    """The stream's responses without a gap or a repetition, whatever happens to the connection.

    A stream that never began raises at once; one that was cut is resumed after its last
    response for a while. `caught_up` comes once.
    """
    begun = caught_up = False
    lost_at, pause = 0.0, _FIRST_PAUSE
    while True:
        try:
            for response in service.rollbacks.StreamHistory(request):
                begun, lost_at, pause = True, 0.0, _FIRST_PAUSE
                request.resume_token = response.resume_token
                if response.WhichOneof("item") == "caught_up":
                    if caught_up:
                        continue
                    caught_up = True
                yield response
            return
        except grpc.RpcError as error:
            lost_at = lost_at or time.monotonic()
            if not begun or not _was_lost(error) or time.monotonic() - lost_at > PATIENCE_SECONDS:
                raise
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _was_lost(error: grpc.RpcError) -> bool:
    return isinstance(error, grpc.Call) and error.code() in _LOST
