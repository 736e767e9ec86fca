"""What is captured of a failure before anything is rolled away: Pods, events, last log lines.

Helm says which object was not ready, seldom why. Whoever reads the failure later finds
only what was put back since, so what is wrong with the revision's workloads is read when
its operation fails, within bounds, and kept with the revision.

Nothing here is in the way of the operation's end: what can not be read is said in the
text, and the data of Secrets is taken out of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from helm_rollback.application import ill_health, manifest
from helm_rollback.application.asking import A, ask_each
from helm_rollback.application.ill_health import Document
from helm_rollback.application.masking import masked_text, secret_texts, secrets_of
from helm_rollback.application.ports import Cluster, Served, T
from helm_rollback.domain.errors import ClusterPermissionDenied, ClusterUnreachable
from helm_rollback.domain.live_object import Resource
from helm_rollback.domain.record import HelmRecord
from helm_rollback.domain.release import ReleaseId

DEADLINE_SECONDS = 5.0
"""Within which all of it is read."""
TEXT_MAX = 16 * 1024
_WORKLOADS_MAX = 20
_PODS_MAX = 10
_LISTED_MAX = 100
_EVENTS_LISTED_MAX = 500
_EVENTS_MAX = 20
_LOG_LINES = 20
_LOG_BYTES = 2048
_LOG_READ_MAX = 64 * 1024
"""The kubelet counts the bytes from the first of the lines on, so all of them have to come."""
_LINE_MAX = 500
_NO_TEXT = dict.fromkeys([*range(ord("\t")), *range(ord("\n") + 1, ord(" ")), 0x7F])
"""Control characters: containers print them, and terminals obey them."""
_CUT = "… more was captured than is kept\n"

_log = logging.getLogger(__name__)


async def capture_failure(cluster: Cluster, release_id: ReleaseId, record: HelmRecord) -> str:
    """What is wrong with the workloads of a revision now, at most TEXT_MAX bytes; empty where nothing is."""
    seen = _Seen()
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            await _Look(cluster, release_id, seen).at(record)
    except TimeoutError:
        seen.gaps.append("the rest: no answer in time")
    except (ClusterUnreachable, ClusterPermissionDenied) as problem:
        seen.gaps.append(str(problem))
    except Exception:
        _log.exception("release %s: its failure is captured in part", release_id)
        seen.gaps.append("the rest: an internal error, which the log tells")
    return _bounded(masked_text(seen.text().translate(_NO_TEXT), seen.secrets))


@dataclass
class _Seen:
    """What was found so far: what a deadline cuts off does not take the rest with it."""

    sick: list[Document] = field(default_factory=list)
    """Workloads that are not ready, then their Pods that are not."""
    events: list[Document] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)
    """By whose they are."""
    secrets: set[str] = field(default_factory=set)
    knows_secrets: bool = False
    """Whether all is known that must not be told. Until then nothing is that programs may have said."""
    gaps: list[str] = field(default_factory=list)
    """What could not be read, and why."""

    def text(self) -> str:
        return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterable[str]:
        if self.gaps:
            yield "Not read"
            yield from (f"  {gap}" for gap in self.gaps)
        for document in map(self._told, self.sick):
            yield ill_health.title(document)
            yield from (f"  {line}" for line in ill_health.problems(document))
        if self.events:
            yield "Events"
            yield from (f"  {ill_health.event_line(event)}" for event in map(self._told, self.events))
        for whose, log in self.logs.items() if self.knows_secrets else ():
            yield f"Printed last by {whose}"
            yield from (f"  {line}" for line in log.splitlines())

    def _told(self, document: Document) -> Document:
        return document if self.knows_secrets else ill_health.without_messages(document)


class _Look:
    """One look at the workloads of a revision."""

    def __init__(self, cluster: Cluster, release_id: ReleaseId, seen: _Seen) -> None:
        self._cluster = cluster
        self._release_id = release_id
        self._namespace = release_id.namespace
        self._seen = seen

    async def at(self, record: HelmRecord) -> None:
        served = await self._cluster.served_kinds()
        self._seen.secrets |= await asyncio.to_thread(_secrets_in, record)
        places = await asyncio.to_thread(_workloads, record, served)
        workloads = await self._each(places[:_WORKLOADS_MAX], self._read)
        self._seen.sick += [one for one in workloads if one is not None and ill_health.problems(one)]
        pods = await self._failing_pods(served)
        self._seen.knows_secrets = await self._learn_secrets(pods, served)
        async with asyncio.TaskGroup() as reading:
            reading.create_task(self._hear(pods))
            reading.create_task(self._read_events(served))

    async def _read(self, place: _Place) -> Document | None:
        return await self._cluster.read_content(self._release_id, place.resource, place.namespace, place.name)

    async def _failing_pods(self, served: Served) -> list[Document]:
        """Those of the workloads seen so far; they are added to what was seen."""
        resource = served.resource("v1", "Pod")
        if resource is None:
            return []

        async def pods_of(workload: Document) -> list[Document]:
            selector = ill_health.selector_of(workload)
            return await self._list(resource, self._place_of(workload), labels=selector, limit=_LISTED_MAX)

        owners = [one for one in self._seen.sick if ill_health.selector_of(one)]
        listed = [pod for pods in await self._each(owners, pods_of) for pod in pods]
        known = {one["metadata"].get("uid") for one in self._seen.sick}
        new = {pod["metadata"].get("uid"): pod for pod in listed if ill_health.problems(pod)}
        self._seen.sick += [pod for uid, pod in list(new.items())[:_PODS_MAX] if uid not in known]
        return [one for one in self._seen.sick if one["kind"] == "Pod"]

    async def _hear(self, pods: list[Document]) -> None:
        """Read the last lines of the containers that fail; of none, where it is not known what they must not tell."""
        spoken = [(pod, *one) for pod in pods for one in ill_health.containers_to_hear(pod)]

        async def hear(one: tuple[Document, str, bool]) -> None:
            pod, container, previous = one
            log = await self._cluster.read_log(
                self._release_id,
                self._place_of(pod),
                ill_health.name_of(pod),
                container,
                previous=previous,
                lines=_LOG_LINES,
                size=_LOG_READ_MAX,
            )
            if kept := _end_of(log):
                self._seen.logs[f"container {container} of Pod {ill_health.name_of(pod)}"] = kept

        if self._seen.knows_secrets:
            await self._each(spoken[:_PODS_MAX], hear)

    async def _learn_secrets(self, pods: list[Document], served: Served) -> bool:
        """Whether all is known that these Pods get to see of Secrets."""
        resource = served.resource("v1", "Secret")
        places = {
            _Place(resource, self._place_of(pod), name)
            for pod in pods
            for name in ill_health.secret_names(pod)
            if resource is not None
        }
        secrets = await self._each(places, self._read)
        self._seen.secrets |= frozenset[str]().union(*(secret_texts(one) for one in secrets if one is not None))
        return len(secrets) == len(places)

    async def _read_events(self, served: Served) -> None:
        resource = served.resource("v1", "Event")
        if resource is None or not self._seen.sick:
            return

        async def warnings(namespace: str) -> list[Document]:
            return await self._list(resource, namespace, fields="type!=Normal", limit=_EVENTS_LISTED_MAX)

        namespaces = sorted({self._place_of(one) for one in self._seen.sick})
        listed = [event for events in await self._each(namespaces, warnings) for event in events]
        ours = [event for event in listed if ill_health.concerns(event, self._seen.sick)]
        self._seen.events += sorted(ours, key=ill_health.event_time)[-_EVENTS_MAX:]

    def _place_of(self, document: Document) -> str:
        """The namespace that an object is in."""
        return str(document["metadata"].get("namespace", self._namespace))

    async def _list(
        self, resource: Resource, namespace: str, *, labels: str = "", fields: str = "", limit: int
    ) -> list[Document]:
        """Objects of a namespace; where there may be more, that is a gap."""
        listed = await self._cluster.list_contents(
            self._release_id, resource, namespace, labels=labels, fields=fields, limit=limit
        )
        if len(listed) >= limit:
            self._seen.gaps.append(f"more than {limit} {resource.plural} in namespace {namespace}")
        return list(listed)

    async def _each(self, asked: Iterable[A], ask: Callable[[A], Awaitable[T]]) -> list[T]:
        """The answers; what is missing is a gap."""
        answers, problems = await ask_each(asked, ask)
        self._seen.gaps += sorted({str(problem) for problem in problems} - set(self._seen.gaps))
        return answers


@dataclass(frozen=True, slots=True)
class _Place:
    """Where to look for an object."""

    resource: Resource
    namespace: str
    name: str


def _workloads(record: HelmRecord, served: Served) -> list[_Place]:
    """Those of the manifest, then of the hooks."""
    found: dict[_Place, None] = {}
    for text in record.manifests:
        for key, api_version in manifest.named_objects(text, namespace=record.namespace).items():
            resource = served.resource(api_version, key.kind) if key.kind in ill_health.WORKLOADS else None
            if resource is not None:
                found[_Place(resource, key.namespace, key.name)] = None
    return list(found)


def _secrets_in(record: HelmRecord) -> frozenset[str]:
    return frozenset[str]().union(*map(secrets_of, record.manifests))


def _end_of(log: str) -> str:
    """The last lines, as many as are kept. What was cut off is no whole line, and may end in half a secret."""
    if len(log.encode()) >= _LOG_READ_MAX:
        log = log[: log.rfind("\n") + 1]
    kept: list[str] = []
    for line in reversed(log.splitlines()):
        kept.insert(0, line)
        if len("\n".join(kept).encode()) > _LOG_BYTES:
            return "\n".join(kept[1:])
    return "\n".join(kept)


def _bounded(text: str) -> str:
    """The text in lines of LINE_MAX characters at most, cut on a line's end. After masking, which needs whole lines."""
    text = "".join(line if len(line) <= _LINE_MAX else f"{line[:_LINE_MAX]}…\n" for line in text.splitlines(True))
    whole = text.encode()
    if len(whole) <= TEXT_MAX:
        return text
    kept = whole[: TEXT_MAX - len(_CUT.encode())]
    return kept[: kept.rfind(b"\n") + 1].decode(errors="ignore") + _CUT
