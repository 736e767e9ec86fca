"""The contract of the executor's ports: what each end of a rollback looks like in the records.

`Executor` needs an API server, `ExecutorWithWorkloads` also Pods. The fakes are held to
both in this folder, the real Helm in tests/cluster/test_executor_contract.py.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from contract.executor.stage import Audience, Play, Stage, allow, created, perform

from helm_rollback.application.ports import HelmProcess, RecordWrite, WatchKind
from helm_rollback.domain import evidence
from helm_rollback.domain.helm_options import HelmOptions
from helm_rollback.domain.operation import FailureReason
from helm_rollback.domain.record import secret_name
from helm_rollback.domain.status import Status

ADDED, MODIFIED = WatchKind.ADDED, WatchKind.MODIFIED
PENDING, SUPERSEDED, DEPLOYED, FAILED = (
    Status.PENDING_ROLLBACK,
    Status.SUPERSEDED,
    Status.DEPLOYED,
    Status.FAILED,
)
SOON = HelmOptions(timeout=timedelta(seconds=2))


class Executor:
    """Rows that end without a Pod."""

    async def test_a_rollback_adds_a_revision_supersedes_the_deployed_one_and_is_deployed(self, stage: Stage) -> None:
        await stage.prepare(Play.GOOD)

        seen = await perform(stage)

        assert (seen.exit.returncode, seen.exit.output) == (0, "Rollback was a success! Happy Helming!\n")
        assert seen.story == [(ADDED, 3, PENDING), (MODIFIED, 2, SUPERSEDED), (MODIFIED, 3, DEPLOYED)]
        assert seen.statuses == {1: SUPERSEDED, 2: SUPERSEDED, 3: DEPLOYED}
        assert seen.refused == ()

    async def test_its_record_bears_stamp_and_target_and_the_targets_content(self, stage: Stage) -> None:
        await stage.prepare(Play.GOOD)

        seen = await perform(stage)

        first, second, third = seen.record(1), seen.record(2), seen.record(3)
        assert (third.description, third.rollback_target) == created(stage)
        assert (third.manifest_digest, third.values_digest) == (first.manifest_digest, first.values_digest)
        assert third.chart_version == first.chart_version != second.chart_version
        assert third.first_deployed == second.first_deployed == first.first_deployed
        assert third.last_deployed is not None
        assert second.last_deployed is not None
        assert third.last_deployed > second.last_deployed
        assert evidence.operation_type(third) == "ROLLBACK"

    async def test_the_fence_knows_what_was_written(self, stage: Stage) -> None:
        await stage.prepare(Play.GOOD)

        seen = await perform(stage)

        secrets = f"/api/v1/namespaces/{stage.release_id.namespace}/secrets"
        written = [(one.method, one.path) for one in seen.touched if one.path.startswith(secrets)]
        assert written[0] == ("POST", secrets)
        assert written[-1] == ("PUT", f"{secrets}/{secret_name('shop', 3)}")
        assert [one.path.rpartition("/")[2] for one in seen.objects] == ["shop"]

    async def test_of_a_failed_current_the_deployed_one_is_superseded(self, stage: Stage) -> None:
        await stage.prepare(Play.CURRENT_FAILED)

        seen = await perform(stage)

        assert seen.exit.returncode == 0
        assert seen.story == [(ADDED, 3, PENDING), (MODIFIED, 1, SUPERSEDED), (MODIFIED, 3, DEPLOYED)]
        assert seen.statuses == {1: SUPERSEDED, 2: FAILED, 3: DEPLOYED}

    async def test_an_uninstalled_release_is_rolled_back_without_superseding(self, stage: Stage) -> None:
        await stage.prepare(Play.UNINSTALLED)

        seen = await perform(stage)

        assert seen.exit.returncode == 0
        assert seen.story == [(ADDED, 3, PENDING), (MODIFIED, 3, DEPLOYED)]
        assert seen.statuses == {1: SUPERSEDED, 2: Status.UNINSTALLED, 3: DEPLOYED}

    async def test_a_failed_apply_supersedes_its_base_and_overwrites_the_stamp(self, stage: Stage) -> None:
        await stage.prepare(Play.APPLY_FAILS)

        seen = await perform(stage)

        assert (seen.exit.returncode, seen.exit.reason) == (1, FailureReason.OBJECT_REJECTED)
        assert seen.story == [(ADDED, 3, PENDING), (MODIFIED, 2, SUPERSEDED), (MODIFIED, 3, FAILED)]
        assert seen.statuses == {1: SUPERSEDED, 2: SUPERSEDED, 3: FAILED}
        assert seen.record(3).description.startswith('Rollback "shop" failed: ')
        assert stage.helm.reason_of(seen.record(3).description) is FailureReason.OBJECT_REJECTED
        assert seen.record(3).rollback_target == created(stage)[1]
        assert evidence.apply_completed(seen.record(3)) is False
        assert seen.objects == []
        assert stage.ways.apply_failed.format(place(stage)) in seen.exit.output
        assert "data: Forbidden: field is immutable when `immutable` is set" in seen.exit.output

    async def test_a_failed_apply_supersedes_even_a_failed_base(self, stage: Stage) -> None:
        await stage.prepare(Play.APPLY_FAILS_AGAIN)

        seen = await perform(stage, 2)

        assert seen.exit.returncode == 1
        assert seen.story == [(ADDED, 3, PENDING), (MODIFIED, 2, SUPERSEDED), (MODIFIED, 3, FAILED)]
        assert seen.statuses == {1: DEPLOYED, 2: SUPERSEDED, 3: FAILED}

    async def test_a_target_that_is_not_stored_leaves_no_record(self, stage: Stage) -> None:
        await stage.prepare(Play.GOOD)

        seen = await perform(stage, 7)

        assert (seen.exit.returncode, seen.exit.reason) == (1, FailureReason.EXTERNAL_CHANGE)
        assert (seen.story, seen.touched) == ([], ())
        assert seen.statuses == {1: SUPERSEDED, 2: DEPLOYED}

    async def test_a_release_that_is_not_there_leaves_no_record(self, stage: Stage) -> None:
        seen = await perform(stage)

        assert (seen.exit.returncode, seen.exit.reason) == (1, FailureReason.EXTERNAL_CHANGE)
        assert (seen.story, seen.stored) == ([], {})

    async def test_a_creation_that_is_refused_ends_helm_before_it_applies(self, stage: Stage) -> None:
        await stage.prepare(Play.GOOD)

        seen = await perform(stage, judge=refusing("POST", 3))

        assert (seen.exit.returncode, seen.exit.reason) == (1, FailureReason.EXTERNAL_CHANGE)
        assert (seen.story, seen.touched) == ([], ())
        assert seen.refused == (("POST", secret_name("shop", 3)),)

    async def test_a_number_that_someone_took_meanwhile_ends_helm_before_it_applies(self, stage: Stage) -> None:
        await stage.prepare(Play.GOOD)

        async def too_late(write: RecordWrite) -> str:
            if write.method == "POST":
                await stage.upgrade_by_hand()
            return ""

        seen = await perform(stage, judge=too_late)

        assert (seen.exit.returncode, seen.exit.reason) == (1, FailureReason.EXTERNAL_CHANGE)
        assert seen.statuses == {1: SUPERSEDED, 2: SUPERSEDED, 3: DEPLOYED}
        assert seen.record(3).description == "Upgrade complete"
        assert seen.objects == []

    async def test_superseding_that_is_refused_is_only_logged(self, stage: Stage) -> None:
        await stage.prepare(Play.GOOD)

        seen = await perform(stage, judge=refusing("PUT", 2))

        assert seen.exit.returncode == 0
        assert seen.story == [(ADDED, 3, PENDING), (MODIFIED, 3, DEPLOYED)]
        assert seen.statuses == {1: SUPERSEDED, 2: DEPLOYED, 3: DEPLOYED}

    async def test_a_final_write_that_is_refused_leaves_it_pending_and_nothing_deployed(self, stage: Stage) -> None:
        await stage.prepare(Play.GOOD)

        seen = await perform(stage, judge=refusing("PUT", 3))

        assert (seen.exit.returncode, seen.exit.reason) == (1, FailureReason.EXTERNAL_CHANGE)
        assert seen.story == [(ADDED, 3, PENDING), (MODIFIED, 2, SUPERSEDED)]
        assert seen.statuses == {1: SUPERSEDED, 2: SUPERSEDED, 3: PENDING}

    async def test_without_the_lease_nothing_is_written(self, stage: Stage) -> None:
        await stage.prepare(Play.GOOD)

        seen = await perform(stage, seconds_left=lambda: 0.0)

        assert (seen.exit.returncode, seen.exit.reason) == (1, FailureReason.INTERRUPTED)
        assert (seen.story, seen.touched) == ([], ())
        assert seen.refused == (("POST", secret_name("shop", 3)),)

    async def test_a_lease_that_ends_after_the_creation_leaves_it_pending(self, stage: Stage) -> None:
        await stage.prepare(Play.GOOD)
        left = iter([30.0])

        def only_once() -> float:
            return next(left, 0.0)

        seen = await perform(stage, seconds_left=only_once)

        assert (seen.exit.returncode, seen.exit.reason) == (1, FailureReason.INTERRUPTED)
        assert seen.story == [(ADDED, 3, PENDING)]
        assert seen.objects == []

    async def test_a_helm_killed_before_it_supersedes_leaves_its_stamp_pending(self, stage: Stage) -> None:
        await stage.prepare(Play.GOOD)
        processes: list[HelmProcess] = []

        async def started(process: HelmProcess) -> None:
            processes.append(process)

        async def kill(write: RecordWrite) -> str:
            if write.method == "PUT":
                await stage.kill(processes[0])
                return "its sender is dead"
            return ""

        seen = await perform(stage, judge=kill, started=started)

        assert (seen.exit.returncode, seen.exit.reason) == (-9, FailureReason.INTERRUPTED)
        assert seen.story == [(ADDED, 3, PENDING)]
        assert seen.statuses == {1: SUPERSEDED, 2: DEPLOYED, 3: PENDING}
        assert (seen.record(3).description, seen.record(3).rollback_target) == created(stage)
        assert [one.path.rpartition("/")[2] for one in seen.objects] == ["shop"]


class ExecutorWithWorkloads:
    """Rows in which Pods run."""

    async def test_a_wait_that_fails_supersedes_nothing(self, stage: Stage) -> None:
        await stage.prepare(Play.WAIT_FAILS)

        seen = await perform(stage, options=SOON)

        assert (seen.exit.returncode, seen.exit.reason) == (1, FailureReason.WAIT_TIMED_OUT)
        assert seen.exit.output.startswith(stage.ways.wait_failed.format(place(stage)))
        assert seen.exit.output.endswith("context deadline exceeded\n")
        assert seen.story == [(ADDED, 3, PENDING), (MODIFIED, 3, FAILED)]
        assert seen.statuses == {1: SUPERSEDED, 2: DEPLOYED, 3: FAILED}
        assert seen.record(3).description.startswith('Release "shop" failed: ')
        assert seen.record(3).rollback_target == created(stage)[1]
        assert evidence.apply_completed(seen.record(3)) is True

    async def test_a_pre_rollback_hook_that_fails_leaves_it_pending_and_nothing_applied(self, stage: Stage) -> None:
        await stage.prepare(Play.PRE_HOOK_FAILS)

        seen = await perform(stage)

        assert (seen.exit.returncode, seen.exit.reason) == (1, FailureReason.HOOK_FAILED)
        assert seen.story == [(ADDED, 3, PENDING)]
        assert seen.statuses == {1: SUPERSEDED, 2: DEPLOYED, 3: PENDING}
        assert (seen.record(3).description, seen.record(3).rollback_target) == created(stage)
        assert evidence.apply_completed(seen.record(3)) is False
        assert seen.exit.output.startswith(stage.ways.hook_failed.format(place(stage)))
        assert [one.path.rpartition("/")[2] for one in seen.objects] == [stage.ways.hook_written]

    async def test_a_post_rollback_hook_that_fails_leaves_it_pending_though_applied(self, stage: Stage) -> None:
        await stage.prepare(Play.POST_HOOK_FAILS)

        seen = await perform(stage)

        assert (seen.exit.returncode, seen.exit.reason) == (1, FailureReason.HOOK_FAILED)
        assert seen.story == [(ADDED, 3, PENDING)]
        assert seen.statuses == {1: SUPERSEDED, 2: DEPLOYED, 3: PENDING}
        assert seen.record(3).description == created(stage)[0]
        assert evidence.apply_completed(seen.record(3)) is True
        assert seen.exit.output.startswith(stage.ways.hook_failed.format(place(stage)))
        assert [one.path.rpartition("/")[2] for one in seen.objects] == ["shop", stage.ways.hook_written]

    async def test_hooks_can_be_left_out(self, stage: Stage) -> None:
        await stage.prepare(Play.PRE_HOOK_FAILS)

        seen = await perform(stage, options=HelmOptions(disable_hooks=True))

        assert seen.exit.returncode == 0
        assert seen.statuses == {1: SUPERSEDED, 2: SUPERSEDED, 3: DEPLOYED}

    async def test_a_helm_killed_in_a_hook_leaves_its_stamp_pending(self, stage: Stage) -> None:
        await stage.prepare(Play.PRE_HOOK_HANGS)
        process: asyncio.Future[HelmProcess] = asyncio.get_running_loop().create_future()

        async def started(one: HelmProcess) -> None:
            process.set_result(one)

        _, version = await stage.cluster.list_all()
        audience = Audience(stage, version)
        performing = asyncio.create_task(perform(stage, judge=allow, started=started))
        await audience.until_told(ADDED, 3, PENDING)
        await audience.leave()
        await stage.kill(await process)
        seen = await performing

        assert (seen.exit.returncode, seen.exit.reason) == (-9, FailureReason.INTERRUPTED)
        assert seen.statuses == {1: SUPERSEDED, 2: DEPLOYED, 3: PENDING}
        assert seen.record(3).description == created(stage)[0]


def place(stage: Stage) -> str:
    """The release's one object, as Helm names it in its errors."""
    return f"{stage.release_id.namespace}/shop"


class refusing:  # noqa: N801 - reads as a phrase where it is used
    """A judge that refuses one kind of write of one revision."""

    def __init__(self, method: str, revision: int) -> None:
        self._refused = (method, secret_name("shop", revision))

    async def __call__(self, write: RecordWrite) -> str:
        return "the test says so" if (write.method, write.secret_name) == self._refused else ""
