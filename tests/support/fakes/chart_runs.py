"""`helm install`, `helm upgrade` and `helm uninstall` on a `FakeCluster`, write by write.

The order of the writes is that of `pkg/action/install.go`, `upgrade.go` and `uninstall.go`;
scripts end them as they end a rollback.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import yaml
from support.fakes.cluster import AlreadyStored
from support.fakes.documents import Chart, Document, go_time, release_document, with_info
from support.fakes.ends import HelmFailed, HelmKilled, HelmRun, Hold, Point, Reached, RunEnd
from support.fakes.fence import FakePassage, NotPassed

from helm_rollback.domain.chart import ChartArchive, ChartChange, ValuesMode
from helm_rollback.domain.helm_call import HelmInstall, HelmUninstall, HelmUpgrade
from helm_rollback.domain.record import secret_name

if TYPE_CHECKING:
    from support.fakes.helm import Started


def packed(chart: Chart) -> bytes:
    """The chart as `helm package` packs it."""
    files = {
        f"{chart.name}/Chart.yaml": yaml.safe_dump({"apiVersion": "v2", "name": chart.name, "version": chart.version}),
        f"{chart.name}/templates/all.yaml": chart.rendered,
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return gzip.compress(buffer.getvalue(), mtime=0)


def unpacked(change: ChartChange, reused: Document | None) -> Chart:
    """The chart that an install or an upgrade was given, with its values."""
    assert isinstance(change.chart, ChartArchive)
    with tarfile.open(fileobj=io.BytesIO(change.chart.content), mode="r:gz") as archive:
        texts = {member.name.partition("/")[2]: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    about = yaml.safe_load(texts["Chart.yaml"])
    given = yaml.safe_load(change.values_yaml) or {}
    mode = change.values_mode or (ValuesMode.RESET if given else ValuesMode.REUSE)
    kept = reused["config"] if reused is not None and mode is not ValuesMode.RESET else {}
    manifest = texts["templates/all.yaml"].decode()
    return Chart(name=about["name"], version=about["version"], values={**kept, **given}, manifest=manifest)


class OtherRun:
    """One run of what is no rollback."""

    def __init__(
        self, passage: FakePassage, asked: Started, script: HelmRun, holds: dict[Point, Hold], *, stamped: bool
    ) -> None:
        self._passage = passage
        self._asked = asked
        self._script = script
        self._holds = holds
        self.interrupted = Reached()

    async def interrupt_when(self, cancelled: Callable[[], Awaitable[None]]) -> None:
        await cancelled()
        self.interrupted.set()

    async def perform(self) -> None:
        if isinstance(self._asked.call, HelmUninstall):
            await self._uninstall(keep_history=self._asked.call.keep_history)
        else:
            await self._bring()

    @property
    def _stored(self) -> dict[int, Document]:
        return self._passage.read().documents(self._asked.release_id.namespace, self._asked.release_id.name)

    # --- install and upgrade ---

    async def _bring(self) -> None:
        stored, call = self._stored, self._asked.call
        assert isinstance(call, HelmInstall | HelmUpgrade)
        current = stored[max(stored)] if stored else None
        self._refuse(call, current)
        document = self._document(call, current)
        await self._at(Point.BEFORE_CREATE)
        try:
            if isinstance(call, HelmInstall) and current is not None:
                await self._passage.update(with_info(current, "superseded", "superseded by new release"))
            await self._passage.create(document)
        except NotPassed as problem:
            raise HelmFailed(f"create: failed to create: {problem}") from problem
        except AlreadyStored as problem:
            raise HelmFailed("release: already exists") from problem
        await self._at(Point.AFTER_CREATE)
        await self._end(document, current, call)

    def _refuse(self, call: HelmInstall | HelmUpgrade, current: Document | None) -> None:
        if self._script.end is RunEnd.REFUSED_AT_ONCE:
            raise HelmFailed(self._script.cause(self._asked.release_id))
        status = current["info"]["status"] if current is not None else ""
        if isinstance(call, HelmInstall):
            if status and not (call.replace and status in ("uninstalled", "failed")):
                raise HelmFailed(
                    "INSTALLATION FAILED: release name check failed: cannot reuse a name that is still in use"
                )
        elif status.startswith("pending-"):
            raise HelmFailed("UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress")
        elif status in ("", "uninstalled", "uninstalling"):
            raise HelmFailed(f'UPGRADE FAILED: "{self._asked.release_id.name}" has no deployed releases')

    def _document(self, call: HelmInstall | HelmUpgrade, current: Document | None) -> Document:
        cluster, release_id = self._passage.read(), self._asked.release_id
        revision, now = (current["version"] if current is not None else 0) + 1, cluster.now()
        is_upgrade = isinstance(call, HelmUpgrade)
        chart = unpacked(call.change, current if is_upgrade else None)
        document = release_document(release_id.name, release_id.namespace, revision, chart, first_deployed=now, now=now)
        if is_upgrade and current is not None:
            document["info"]["first_deployed"] = current["info"]["first_deployed"]
            return with_info(document, "pending-upgrade", "Preparing upgrade")
        return with_info(document, "pending-install", "Initial install underway")

    async def _end(self, document: Document, current: Document | None, call: HelmInstall | HelmUpgrade) -> None:
        if self.interrupted.is_set():
            await self._fail(document, call, "context canceled")
        match self._script.end:
            case RunEnd.KILLED_AT_CREATE:
                raise HelmKilled
            case RunEnd.SUCCESS | RunEnd.KILLED_AFTER_SUPERSEDE:
                self._passage.apply(f"/api/v1/namespaces/{document['namespace']}/configmaps/shop")
            case RunEnd.APPLY_FAILS:
                if self._script.applied:
                    self._passage.apply(f"/api/v1/namespaces/{document['namespace']}/configmaps/shop")
                await self._fail(document, call, self._script.cause(self._asked.release_id))
            case RunEnd.PRE_HOOK_FAILS:
                pre = "failed pre-install" if isinstance(call, HelmInstall) else "pre-upgrade hooks failed"
                await self._fail(document, call, f"{pre}: {self._script.cause(self._asked.release_id)}")
            case _:
                self._passage.apply(f"/api/v1/namespaces/{document['namespace']}/configmaps/shop")
                await self._fail(document, call, self._script.cause(self._asked.release_id))
        await self._at(Point.BEFORE_SUPERSEDE)
        if isinstance(call, HelmUpgrade) and current is not None:
            await self._supersede(current)
        await self._at(Point.AFTER_SUPERSEDE)
        if self._script.end is RunEnd.KILLED_AFTER_SUPERSEDE:
            raise HelmKilled
        await self._passage.update(with_info(document, "deployed", self._asked.description))
        await self._at(Point.AFTER_END)

    async def _fail(self, document: Document, call: HelmInstall | HelmUpgrade, cause: str) -> None:
        name = self._asked.release_id.name
        is_install = isinstance(call, HelmInstall)
        if isinstance(call, HelmInstall) and call.atomic:
            await self._delete_all(with_info(document, "uninstalling", "Deletion in progress (or silently failed)"))
            why = "uninstalled due to rollback-on-failure being set"
            raise HelmFailed(f"INSTALLATION FAILED: release {name} failed, and has been {why}: {cause}")
        text = f'Release "{name}" failed: {cause}' if is_install else f'Upgrade "{name}" failed: {cause}'
        with suppress(NotPassed):
            await self._passage.update(with_info(document, "failed", text))
        await self._at(Point.AFTER_END)
        raise HelmFailed(f"{'INSTALLATION' if is_install else 'UPGRADE'} FAILED: {cause}")

    async def _supersede(self, current: Document) -> None:
        deployed = [one for one in self._stored.values() if one["info"]["status"] == "deployed"]
        await self._passage.update(with_info(deployed[-1] if deployed else current, "superseded"))

    # --- uninstall ---

    async def _uninstall(self, *, keep_history: bool) -> None:
        stored = self._stored
        if not stored:
            raise HelmFailed(f"uninstall: Release not loaded: {self._asked.release_id.name}: release: not found")
        current = stored[max(stored)]
        await self._at(Point.BEFORE_CREATE)
        deleted = go_time(self._passage.read().now())
        leaving = with_info(current, "uninstalling", "Deletion in progress (or silently failed)", deleted=deleted)
        with suppress(NotPassed):
            await self._passage.update(leaving)
        await self._at(Point.AFTER_CREATE)
        if self._script.end is RunEnd.KILLED_AT_CREATE:
            raise HelmKilled
        if self._script.end is not RunEnd.SUCCESS:
            raise HelmFailed(f"failed to delete release: {self._asked.release_id.name}")
        self._passage.apply(f"/api/v1/namespaces/{current['namespace']}/configmaps/shop", method="DELETE")
        if keep_history:
            for one in self._stored.values():
                if one["info"]["status"] == "deployed":
                    await self._passage.update(with_info(one, "superseded"))
            await self._passage.update(with_info(leaving, "uninstalled", self._asked.description))
        else:
            await self._delete_all(leaving)
        await self._at(Point.AFTER_END)

    async def _delete_all(self, last: Document) -> None:
        await self._passage.update(last)
        for revision in self._stored:
            await self._passage.delete(last["namespace"], secret_name(last["name"], revision))

    async def _at(self, point: Point) -> None:
        if point in self._holds:
            await self._holds[point].keep()
