"""What is measured: one rollback by each way, and what the service tells meanwhile."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio
import httpx2
from google.protobuf.duration_pb2 import Duration

from bench.stage import NAMESPACE, Stage
from helm_rollback.application.ports import HelmProcess
from helm_rollback.bootstrap import upstream_of
from helm_rollback.cluster.reader import connect
from helm_rollback.domain.helm_call import HelmRollback
from helm_rollback.domain.helm_options import HelmOptions
from helm_rollback.domain.release import ReleaseId
from helm_rollback.fence.gate import FenceGate
from helm_rollback.helm.process import HelmCommand
from helm_rollback.helm.version import find_helm
from helm_rollback.v1.history_pb2 import HistoryEvent
from helm_rollback.v1.release_pb2 import Operation, Revision
from helm_rollback.v1.rollback_service_pb2 import RollbackRequest, StreamHistoryRequest, WaitOperationRequest
from helm_rollback.v1.rollback_service_pb2_grpc import RollbackServiceStub

WAIT = Duration(seconds=60)


async def bare(stage: Stage, release: str, target: int) -> float:
    """Seconds of `helm rollback --wait`, the bare program."""
    command = stage.helm("rollback", release, str(target), "--wait", "--history-max", "0")
    begin = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *command, env=stage.environment, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    if await process.wait():
        raise SystemExit(f"{' '.join(command)} failed")
    return time.perf_counter() - begin


class Fenced:
    """The service's own Helm and fence, in this process, without anything else of the service."""

    def __init__(self, helm: HelmCommand, fence: FenceGate, api_state: str) -> None:
        self._helm = helm
        self._fence = fence
        self._api_state = api_state

    @classmethod
    @asynccontextmanager
    async def of(cls, stage: Stage) -> AsyncIterator[Fenced]:
        cluster = connect("default", kubeconfig=str(stage.cluster.kubeconfig))
        helm = HelmCommand(await find_helm(str(stage.helm_program)))
        served = await cluster.served_kinds()
        yield cls(helm, FenceGate({"default": upstream_of(cluster)}), served.state)
        helm.close()
        await cluster.close()

    async def rollback(self, release: str, target: int) -> float:
        """Seconds of one Helm run through a fence."""

        async def pass_all(_: object) -> str:
            return ""

        async def started(_: HelmProcess) -> None:
            return None

        begin = time.perf_counter()
        async with self._fence.open("default", seconds_left=lambda: 30.0, judge=pass_all) as fence:
            ended = await self._helm.run(
                ReleaseId("default", NAMESPACE, release),
                HelmRollback(target),
                options=HelmOptions(),
                description="bench",
                kubeconfig=fence.kubeconfig,
                api_state=self._api_state,
                started=started,
            )
        if ended.returncode:
            raise SystemExit(f"helm through the fence failed: {ended.output}")
        return time.perf_counter() - begin


class Service:
    """The service, as a client sees it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = RollbackServiceStub(channel)

    async def rollback(self, release: str, target: int) -> float:
        """Seconds until a Rollback with wait_timeout answers."""
        begin = time.perf_counter()
        answer = await self._stub.Rollback(
            RollbackRequest(release_id=release_id(release), target_revision=target, wait_timeout=WAIT)
        )
        _check(answer.operation)
        return time.perf_counter() - begin

    async def accept(self, release: str, target: int) -> float:
        """Seconds until a Rollback is accepted; it is waited for outside the measurement."""
        begin = time.perf_counter()
        answer = await self._stub.Rollback(RollbackRequest(release_id=release_id(release), target_revision=target))
        seconds = time.perf_counter() - begin
        ended = await self._stub.WaitOperation(
            WaitOperationRequest(operation_id=answer.operation.operation_id, timeout=WAIT)
        )
        _check(ended.operation)
        return seconds

    async def told(self, release: str, seen: dict[tuple[int, str], float]) -> None:
        """Note when each status of each revision arrives in the stream; until cancelled."""
        async for response in self._stub.StreamHistory(StreamHistoryRequest(release_id=release_id(release), tail=0)):
            event: HistoryEvent = response.event
            if event.HasField("revision_transition"):
                change = event.revision_transition
                status = Revision.Status.Name(change.to_status).lower().replace("_", "-")
                seen.setdefault((change.revision, status), time.perf_counter())


def release_id(release: str) -> str:
    return f"default.{NAMESPACE}.{release}"


def _check(operation: Operation) -> None:
    if operation.state != Operation.State.SUCCEEDED:
        raise SystemExit(f"the service's rollback did not succeed: {operation}")


async def watched(stage: Stage, release: str, seen: dict[tuple[int, str], float]) -> None:
    """Note when each status of each revision arrives in a raw watch of the API; until cancelled."""
    context = ssl.create_default_context(cafile=str(stage.cluster.ca_file))
    headers = {"Authorization": f"Bearer {stage.cluster.token}"}
    async with httpx2.AsyncClient(verify=context, headers=headers, trust_env=False, timeout=None) as client:
        path = f"{stage.cluster.server}/api/v1/namespaces/{NAMESPACE}/secrets"
        selector = f"owner=helm,name={release}"
        listed = (await client.get(path, params={"labelSelector": selector, "limit": 1})).json()
        version = listed["metadata"]["resourceVersion"]
        params = {"labelSelector": selector, "watch": "1", "resourceVersion": version}
        async with client.stream("GET", path, params=params) as response:
            async for line in response.aiter_lines():
                labels = json.loads(line)["object"]["metadata"]["labels"]
                seen.setdefault((int(labels["version"]), labels["status"]), time.perf_counter())
