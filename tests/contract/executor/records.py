"""The contract of the port `Cluster`: what is read, and what a guarded write changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from contract.executor.stage import STAMP, Audience, Play, Stage, perform, stored_records
from contract.executor.suite import refusing

from helm_rollback.application.ports import RecordConflict, ServedKind, WatchKind
from helm_rollback.domain.record import RecordRef, StoredRecord, secret_name
from helm_rollback.domain.status import Status


async def left_pending(stage: Stage) -> StoredRecord:
    """The record of a rollback whose last write was refused."""
    await stage.prepare(Play.GOOD)
    return (await perform(stage, judge=refusing("PUT", 3))).stored[3]


class Records:
    """How release records are read and written, guarded by their version."""

    async def test_a_release_is_listed_ascending_with_what_its_labels_tell(self, stage: Stage) -> None:
        await stage.prepare(Play.GOOD)

        listed = (await stage.cluster.list_release(stage.release_id)).refs
        everything, version = await stage.cluster.list_all()

        assert [(ref.revision, ref.status) for ref in listed] == [(1, Status.SUPERSEDED), (2, Status.DEPLOYED)]
        assert [ref.secret_name for ref in listed] == [secret_name("shop", 1), secret_name("shop", 2)]
        assert {(ref.namespace, ref.release_name) for ref in listed} == {(stage.release_id.namespace, "shop")}
        assert len({ref.uid for ref in listed}) == 2
        assert set(listed) <= set(everything)
        assert version >= max(ref.resource_version for ref in listed)

    async def test_a_revision_is_read_from_where_helm_keeps_it(self, stage: Stage) -> None:
        await stage.prepare(Play.GOOD)

        stored = await stage.cluster.read_revision(stage.release_id, 1)

        assert stored == (await stored_records(stage))[1]
        assert await stage.cluster.read_revision(stage.release_id, 3) is None

    async def test_the_versions_of_a_failed_rollback_before_its_last_still_bear_the_stamp(self, stage: Stage) -> None:
        await stage.prepare(Play.APPLY_FAILS)
        _, before = await stage.cluster.list_all()
        audience = Audience(stage, before)

        failed = (await perform(stage)).stored[3]
        await audience.until_seen([failed.ref.resource_version])
        await audience.leave()
        added = next(event for event in audience.events if event.kind is WatchKind.ADDED)
        first = await stage.cluster.read_version(failed.ref, added.resource_version)
        last_but_one = await stage.cluster.read_version(failed.ref, failed.ref.resource_version - 1)

        assert first is not None
        assert first.record is not None
        assert (first.record.status, first.record.description) == (Status.PENDING_ROLLBACK, STAMP)
        assert first.ref.uid == failed.ref.uid
        assert last_but_one == first
        assert await stage.cluster.read_version(failed.ref, before) is None

    async def test_setting_a_record_failed_changes_status_and_description_only(self, stage: Stage) -> None:
        pending = await left_pending(stage)
        assert pending.record is not None

        written = await stage.cluster.set_failed(pending, description="it hung")

        assert written.record == replace(pending.record, status=Status.FAILED, description="it hung")
        assert written.ref.status is Status.FAILED
        assert (written.ref.uid, written.ref.create_time) == (pending.ref.uid, pending.ref.create_time)
        assert written.ref.resource_version > pending.ref.resource_version
        assert (await stored_records(stage))[3] == written

    async def test_a_version_that_is_no_longer_the_newest_is_not_set_failed(self, stage: Stage) -> None:
        pending = await left_pending(stage)
        written = await stage.cluster.set_failed(pending, description="first")

        with pytest.raises(RecordConflict):
            await stage.cluster.set_failed(pending, description="second")

        assert (await stored_records(stage))[3] == written

    async def test_exactly_the_named_version_is_deleted(self, stage: Stage) -> None:
        pending = await left_pending(stage)
        written = await stage.cluster.set_failed(pending, description="")

        with pytest.raises(RecordConflict):
            await stage.cluster.delete_record(pending.ref)
        await stage.cluster.delete_record(written.ref)

        assert sorted(await stored_records(stage)) == [1, 2]
        assert await stage.cluster.read_record(written.ref) is None
        with pytest.raises(RecordConflict):
            await stage.cluster.delete_record(written.ref)

    async def test_a_record_is_put_back_as_another_secret(self, stage: Stage) -> None:
        pending = await left_pending(stage)
        await stage.cluster.delete_record(pending.ref)

        async def create() -> RecordRef:
            return await stage.cluster.create_record(
                stage.release_id,
                3,
                pending.payload,
                status=Status.SUPERSEDED,
                description="it was",
                labels={"team": "shop", "owner": "me"},
            )

        ref = await create()

        stored = await stage.cluster.read_record(ref)
        assert pending.record is not None
        assert stored is not None
        assert stored.record == replace(pending.record, status=Status.SUPERSEDED, description="it was")
        assert (stored.ref.status, stored.further_labels) == (Status.SUPERSEDED, {"team": "shop"})
        assert ref.uid != pending.ref.uid
        with pytest.raises(RecordConflict):
            await create()

    async def test_the_kinds_of_the_core_are_served(self, stage: Stage) -> None:
        served = (await stage.cluster.served_kinds()).kinds

        needed = {ServedKind("v1", "ConfigMap"), ServedKind("v1", "Secret"), ServedKind("apps/v1", "Deployment")}
        assert needed <= served
        assert ServedKind("v1", "Widget") not in served
