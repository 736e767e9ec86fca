"""What the executor's contract is played on: the fakes, or the real Helm and API server.

The suite says only what is to be seen; a stage knows how to bring it about.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from helm_rollback.application.ports import (
    Cluster,
    Fence,
    Helm,
    HelmExit,
    HelmProcess,
    RecordWrite,
    TouchedObject,
    WatchEvent,
    WatchKind,
)
from helm_rollback.domain.helm_call import HelmRollback
from helm_rollback.domain.helm_options import HelmOptions
from helm_rollback.domain.record import HelmRecord, StoredRecord
from helm_rollback.domain.release import ReleaseId
from helm_rollback.domain.status import Status

STAMP = "[0195e0f0-0000-7000-8000-000000000001] Rollback to 1: orders fail"
PATIENCE = 30.0

Judge = Callable[[RecordWrite], Awaitable[str]]
Story = list[tuple[WatchKind, int, Status]]


class Play(Enum):
    """What the release is like before the rollback. Revision 2 is current, 1 the target, unless it says otherwise."""

    GOOD = auto()
    """Both revisions worked."""
    CURRENT_FAILED = auto()
    """The upgrade to 2 failed; 1 is still deployed."""
    UNINSTALLED = auto()
    """2 was uninstalled, its history kept."""
    APPLY_FAILS = auto()
    """The API server refuses an object of 1."""
    APPLY_FAILS_AGAIN = auto()
    """The upgrade to 2 failed, and to apply 2 once more fails, too."""
    WAIT_FAILS = auto()
    """A Deployment of 1 never becomes ready."""
    PRE_HOOK_FAILS = auto()
    POST_HOOK_FAILS = auto()
    PRE_HOOK_HANGS = auto()


@dataclass(frozen=True, kw_only=True)
class Ways:
    """What differs between Helm's majors. In what it prints, `{}` is the release's one object."""

    apply_failed: str
    wait_failed: str
    hook_failed: str
    hook_written: str
    """Where the path ends to which it writes the hook `shop-job`."""


HELM_4 = Ways(
    apply_failed="Error: server-side apply failed for object {} /v1, Kind=ConfigMap: ConfigMap",
    wait_failed="Error: release shop failed: resource Deployment/{} not ready.",
    hook_failed="Error: resource Job/{}-job not ready. status: Failed, message: Job Failed. failed: 1/1\n",
    hook_written="shop-job",
)
HELM_3 = Ways(
    apply_failed='Error: cannot patch "shop" with kind ConfigMap: ConfigMap',
    wait_failed="Error: release shop failed: context deadline exceeded\n",
    hook_failed="Error: 1 error occurred:\n\t* job shop-job failed: BackoffLimitExceeded",
    hook_written="jobs",
)


class Stage(Protocol):
    """One release, and the three ports through which the service works on it."""

    release_id: ReleaseId
    ways: Ways

    @property
    def cluster(self) -> Cluster: ...

    @property
    def helm(self) -> Helm: ...

    @property
    def fence(self) -> Fence: ...

    async def prepare(self, play: Play) -> None:
        """Bring the release about."""

    async def upgrade_by_hand(self) -> None:
        """Somebody else's `helm upgrade`, to the end."""

    async def put_config_map(self, name: str, labels: dict[str, str], annotations: dict[str, str]) -> None:
        """Make a ConfigMap in the release's namespace, or give it these."""

    async def kill(self, process: HelmProcess) -> None:
        """`kill -9`; return when it is dead."""


@dataclass(frozen=True, kw_only=True)
class Performance:
    """One rollback, and all that was to be seen of it."""

    exit: HelmExit
    story: Story
    """What a watch told, leaving out what did not change a status."""
    stored: dict[int, StoredRecord]
    """The records afterwards."""
    touched: tuple[TouchedObject, ...]
    refused: tuple[tuple[str, str], ...]
    """Method and Secret of each record write that was not passed."""

    @property
    def statuses(self) -> dict[int, Status]:
        assert all(stored.record and stored.record.status is stored.ref.status for stored in self.stored.values())
        return {revision: stored.ref.status for revision, stored in self.stored.items()}

    def record(self, revision: int) -> HelmRecord:
        record = self.stored[revision].record
        assert record is not None
        return record

    @property
    def objects(self) -> list[TouchedObject]:
        """What was written besides records."""
        return [written for written in self.touched if "/secrets" not in written.path]


def created(stage: Stage) -> tuple[str, int]:
    """Text and target in the record that the stage's Helm creates for a rollback to 1. Older ones tell no target."""
    return (STAMP, 1) if stage.helm.writes_stamp else ("Rollback to 1", 0)


async def allow(_: RecordWrite) -> str:
    """A judge without objections."""
    return ""


async def _ignore(_: HelmProcess) -> None:
    return


async def perform(
    stage: Stage,
    target: int = 1,
    *,
    judge: Judge = allow,
    seconds_left: Callable[[], float] = lambda: 30.0,
    options: HelmOptions | None = None,
    started: Callable[[HelmProcess], Awaitable[None]] = _ignore,
) -> Performance:
    """Roll back, watched from before until after."""
    _, version = await stage.cluster.list_all()
    audience = Audience(stage, version)
    try:
        async with stage.fence.open(stage.cluster.name, seconds_left=seconds_left, judge=judge) as passage:
            ended = await stage.helm.run(
                stage.release_id,
                HelmRollback(target),
                options=options or HelmOptions(),
                description=STAMP,
                api_state="",
                kubeconfig=passage.kubeconfig,
                started=started,
            )
            touched = tuple(passage.touched)
            refused = tuple((write.method, write.secret_name) for write in passage.refused_records)
        stored = await stored_records(stage)
        await audience.until_seen([one.ref.resource_version for one in stored.values()])
    finally:
        await audience.leave()
    return Performance(exit=ended, story=audience.story, stored=stored, touched=touched, refused=refused)


async def stored_records(stage: Stage) -> dict[int, StoredRecord]:
    """Every record of the release."""
    refs = (await stage.cluster.list_release(stage.release_id)).refs
    records = {ref.revision: await stage.cluster.read_record(ref) for ref in refs}
    return {revision: stored for revision, stored in records.items() if stored is not None}


class Audience:
    """Watches the cluster while something happens."""

    def __init__(self, stage: Stage, resource_version: int) -> None:
        self._stage = stage
        self.events: list[WatchEvent] = []
        self._seen = resource_version
        self._came = asyncio.Event()
        self._watching = asyncio.create_task(self._watch())

    @property
    def story(self) -> Story:
        """What was told of the release. A version that leaves the status as it was is none (a hook makes some)."""
        story: Story = []
        last: dict[int, Status] = {}
        for event in self.events:
            assert event.stored is not None
            revision, status = event.stored.ref.revision, event.stored.ref.status
            if event.kind is not WatchKind.MODIFIED or last.get(revision) is not status:
                story.append((event.kind, revision, status))
            last[revision] = status
        return story

    async def until_told(self, kind: WatchKind, revision: int, status: Status) -> None:
        await self._until(lambda: (kind, revision, status) in self.story)

    async def until_seen(self, versions: list[int]) -> None:
        await self._until(lambda: self._seen >= max(versions, default=0))

    async def leave(self) -> None:
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)

    async def _until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self._came.clear()
                await self._came.wait()

    async def _watch(self) -> None:
        async for event in self._stage.cluster.watch(self._seen):
            ref = event.stored.ref if event.stored is not None else None
            place = (self._stage.release_id.namespace, self._stage.release_id.name)
            if ref is not None and (ref.namespace, ref.release_name) == place:
                self.events.append(event)
            self._seen = event.resource_version
            self._came.set()
