"""`FakeFence`: passages to a `FakeCluster`, with the rules of the real one.

The judge is asked about a record first, then `seconds_left`; only then is it stored.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from support.fakes.cluster import FakeCluster
from support.fakes.documents import Document, secret_of

from helm_rollback.application.ports import OpenFence, RecordWrite, TouchedObject
from helm_rollback.fence.refusals import LEASE_LOST, UNREACHABLE, record_refused
from helm_rollback.helm.record import from_secret


class NotPassed(Exception):
    """The fence's answer to a write that it does not pass: what Helm then prints."""


class FakePassage:
    """The port `OpenFence`, and the writes that a `FakeHelm` sends through it."""

    def __init__(
        self,
        cluster: FakeCluster,
        kubeconfig: str,
        *,
        seconds_left: Callable[[], float],
        judge: Callable[[RecordWrite], Awaitable[str]],
    ) -> None:
        self.cluster = cluster
        self._kubeconfig = kubeconfig
        self._seconds_left = seconds_left
        self._judge = judge
        self._touched: list[TouchedObject] = []
        self._refused: list[RecordWrite] = []

    @property
    def kubeconfig(self) -> str:
        return self._kubeconfig

    @property
    def touched(self) -> tuple[TouchedObject, ...]:
        return tuple(self._touched)

    @property
    def refused_records(self) -> tuple[RecordWrite, ...]:
        return tuple(self._refused)

    def read(self) -> FakeCluster:
        """The cluster, for a read, which passes always. Raises NotPassed where it does not answer."""
        if self.cluster.unreachable:
            raise NotPassed(UNREACHABLE)
        return self.cluster

    async def create(self, document: Document) -> None:
        """POST a record. Raises NotPassed, AlreadyStored."""
        await self._pass("POST", document, self.cluster.create)

    async def update(self, document: Document) -> None:
        """PUT a record. Raises NotPassed."""
        await self._pass("PUT", document, self.cluster.update)

    async def delete(self, namespace: str, name: str) -> None:
        """DELETE a record. Raises NotPassed."""
        write = RecordWrite(method="DELETE", namespace=namespace, secret_name=name, stored=None)
        await self._ask(write)
        self.cluster.delete(namespace, name)
        path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
        self._touched.append(TouchedObject(method="DELETE", path=path))

    def apply(self, path: str, method: str = "PATCH") -> None:
        """Write any other object. Raises NotPassed."""
        if self._seconds_left() <= 0:
            raise NotPassed(LEASE_LOST)
        self.read()
        self._touched.append(TouchedObject(method=method, path=path))

    async def _pass(self, method: str, document: Document, store: Callable[[Document], Any]) -> None:
        secret = secret_of(document)
        namespace, name = secret["metadata"]["namespace"], secret["metadata"]["name"]
        write = RecordWrite(method=method, namespace=namespace, secret_name=name, stored=from_secret(secret))
        await self._ask(write)
        store(document)
        path = f"/api/v1/namespaces/{namespace}/secrets"
        self._touched.append(TouchedObject(method=method, path=path if method == "POST" else f"{path}/{name}"))

    async def _ask(self, write: RecordWrite) -> None:
        """Raise NotPassed where a write of a record may not pass."""
        why = await self._judge(write)
        if why:
            self._refused.append(write)
            raise NotPassed(record_refused(why))
        if self._seconds_left() <= 0:
            self._refused.append(write)
            raise NotPassed(LEASE_LOST)
        self.read()


class FakeFence:
    """The port `Fence`."""

    def __init__(self, clusters: Mapping[str, FakeCluster]) -> None:
        self._clusters = clusters
        self._numbers = itertools.count(1)
        self._open: dict[str, FakePassage] = {}

    def passage(self, kubeconfig: str) -> FakePassage:
        """The open passage that a kubeconfig leads to. Raises KeyError once it is closed."""
        return self._open[kubeconfig]

    @asynccontextmanager
    async def open(
        self,
        cluster: str,
        *,
        seconds_left: Callable[[], float],
        judge: Callable[[RecordWrite], Awaitable[str]],
        sent_for: str = "",
    ) -> AsyncIterator[OpenFence]:
        kubeconfig = f"passage {next(self._numbers)}"
        passage = FakePassage(self._clusters[cluster], kubeconfig, seconds_left=seconds_left, judge=judge)
        self._open[kubeconfig] = passage
        try:
            yield passage
        finally:
            del self._open[kubeconfig]
