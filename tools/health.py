"""Asks a service over gRPC whether it is well: the container's health probe.

    python health.py [HOST:PORT]

Exit code 0 for SERVING, 1 for all else. Kubernetes has a gRPC probe of its own and
does not need this.
"""

from __future__ import annotations

import os
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

_SECONDS = 4.0


def main(arguments: list[str]) -> int:
    """Ask once and print the answer."""
    address = arguments[0] if arguments else _own_address()
    try:
        with grpc.insecure_channel(address) as channel:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=_SECONDS)
    except grpc.RpcError as problem:
        print(f"{address}: {problem.code().name}")
        return 1
    print(f"{address}: {health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)}")
    return 0 if answer.status == health_pb2.HealthCheckResponse.SERVING else 1


def _own_address() -> str:
    """Where the service beside us listens; one that listens everywhere is asked on loopback."""
    host, _, port = os.environ.get("HELM_ROLLBACK_GRPC", "127.0.0.1:50051").rpartition(":")
    return f"{'127.0.0.1' if host in ('', '0.0.0.0', '[::]') else host}:{port}"  # noqa: S104


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
