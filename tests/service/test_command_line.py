"""The command line against a service: what it prints, and how it exits."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from support.fakes import Chart, HelmRun, Point, RunEnd, config_map
from support.service import Service, rollback_request
from support.world import Choices, World
from typer.testing import CliRunner

from helm_rollback.cli.app import app

SHOP = "default.prod.shop"
DONE, OPERATION_FAILED, USAGE, REFUSED, UNREACHABLE = 0, 1, 2, 3, 4


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def documents(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


def environment_of(service: Service) -> dict[str, str]:
    """How a command finds the service."""
    return {"HELM_ROLLBACK_SERVER": service.address, "COLUMNS": "200", "TZ": "UTC"}


async def started(service: Service, *arguments: str) -> asyncio.subprocess.Process:
    """The command, running in a process of its own."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "helm_rollback", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=os.environ | environment_of(service),
    )  # fmt: skip


async def texts(process: asyncio.subprocess.Process, count: int) -> list[str]:
    """What the next lines say, without sequence and time."""
    assert process.stdout is not None
    return [(await process.stdout.readline()).decode().split("  ")[-1].strip() for _ in range(count)]


async def run(service: Service, *arguments: str, **environment: str) -> Ran:
    """The command, ended; in this process, since starting Python takes longer than all the rest."""
    runner = CliRunner(env=environment_of(service) | environment)
    ended = await asyncio.to_thread(runner.invoke, app, arguments)
    return Ran(ended.exit_code, ended.stdout, ended.stderr)


async def test_the_installed_command_prints_and_exits_as_its_parts_do(world: World, service: Service) -> None:
    world.release()
    process = await started(service, "last-successful", SHOP)

    out, err = await process.communicate()

    assert (process.returncode, out) == (REFUSED, b"")
    assert b"CURRENT_IS_SUCCESSFUL" in err


async def test_a_rollback_that_worked_exits_with_0(world: World, service: Service) -> None:
    world.release()

    ran = await run(service, "rollback", SHOP, "1", "--reason", "it broke", "--actor", "ci")

    assert (ran.code, ran.err) == (DONE, "")
    assert "Rollback to 1 SUCCEEDED, revision 3" in ran.out
    assert "it broke" in ran.out


async def test_a_rollback_that_failed_exits_with_1(world: World, service: Service) -> None:
    world.release()
    world.helm.scripts.append(HelmRun(end=RunEnd.WAIT_FAILS))

    ran = await run(service, "rollback", SHOP, "1", "--output", "json")

    assert ran.code == OPERATION_FAILED
    assert [document["failure"]["errorReason"] for document in ran.documents] == ["WAIT_TIMED_OUT"]


async def test_without_waiting_it_exits_at_once(world: World) -> None:
    world.release()
    service = await world.start(Choices(works=False))

    ran = await run(service, "rollback", SHOP, "1", "--no-wait", "-o", "json")

    assert (ran.code, ran.documents[0]["state"]) == (DONE, "PENDING")


async def test_the_last_successful_revision_is_put_back(world: World, service: Service) -> None:
    world.release(revisions=2).upgrade(Chart(version="9.9.9"), fails=True)

    ran = await run(service, "last-successful", SHOP, "-o", "json")

    assert ran.code == DONE
    assert ran.documents[0]["selection"]["revision"] == 2


@pytest.mark.parametrize("command", [("rollback", SHOP, "1"), ("last-successful", SHOP)])
async def test_what_is_left_over_can_be_deleted(world: World, service: Service, command: tuple[str, ...]) -> None:
    world.release().upgrade(Chart(version="9.9.9", manifest=config_map("extra")), fails=True)
    world.cluster.objects.put("extra")

    ran = await run(service, *command, "--remove-leftovers")

    assert "ConfigMap/extra" in ran.out
    assert world.cluster.objects.names == []


async def test_a_repeated_request_is_one_operation(world: World, service: Service) -> None:
    world.release()
    call = ("rollback", SHOP, "1", "--request-id", str(uuid4()), "-o", "json")

    first, second = await run(service, *call), await run(service, *call)

    assert first.documents[0]["operationId"] == second.documents[0]["operationId"]


REFUSALS = [
    (("rollback", "default.prod.none", "1"), REFUSED, "RELEASE_NOT_FOUND"),
    (("last-successful", SHOP), REFUSED, "CURRENT_IS_SUCCESSFUL"),
    (("rollback", SHOP, "1", "--expected-current-revision", "1"), REFUSED, "CURRENT_REVISION_CHANGED"),
    (("operation", str(uuid4())), REFUSED, "OPERATION_NOT_FOUND"),
    (("history", "default.prod.none", "--follow"), REFUSED, "RELEASE_NOT_FOUND"),
    (("operation", "1"), USAGE, "INVALID_FIELD"),
    (("rollback", "shop", "1"), USAGE, "INVALID_FIELD"),
    (("rollback", SHOP, "1", "--reason", "two\nlines"), USAGE, "INVALID_FIELD"),
    (("rollback", SHOP, "1", "--timeout", "25h"), USAGE, "INVALID_FIELD"),
    (("rollback", SHOP, "0"), USAGE, "REVISION"),
    (("rollback", SHOP, "-1"), USAGE, "-1"),
    (("rollback", SHOP, "2147483648"), USAGE, "REVISION"),
    (("rollback", SHOP, "one"), USAGE, "REVISION"),
    (("rollback", SHOP), USAGE, "REVISION"),
    (("rollback", SHOP, "1", "--timeout", "soon"), USAGE, "30s, 5m or 1h"),
    (("rollback", SHOP, "1", "--actor", "Zoë"), USAGE, "ASCII"),
    (("rollback", SHOP, "1", "--reason", "\udcff"), USAGE, "UTF-8"),
    (("history", SHOP, "--output", "yaml"), USAGE, "--output"),
]


@pytest.mark.parametrize(
    ("arguments", "code", "told"), REFUSALS, ids=[f"{case[0][0]}-{case[2]}-{n}" for n, case in enumerate(REFUSALS)]
)
async def test_a_refusal_is_told_in_a_sentence(
    world: World, service: Service, arguments: tuple[str, ...], code: int, told: str
) -> None:
    world.release()

    ran = await run(service, *arguments)

    assert (ran.code, ran.out) == (code, "")
    assert told in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("command", [("rollback", SHOP, "1"), ("history", SHOP, "-f"), ("releases",)])
async def test_where_nobody_answers_it_exits_with_4(service: Service, command: tuple[str, ...]) -> None:
    ran = await run(service, *command, HELM_ROLLBACK_SERVER="127.0.0.1:1")

    assert ran.code == UNREACHABLE
    assert "no service answers at 127.0.0.1:1" in ran.err


async def test_the_history_is_a_table_as_helms_is(world: World, service: Service) -> None:
    world.release()
    await run(service, "rollback", SHOP, "1", "--reason", "it broke", "--actor", "ci")

    ran = await run(service, "history", SHOP)

    heading, *rows = [line.split() for line in ran.out.splitlines() if line.strip(" ─")]
    assert " ".join(heading) == "Revision Status Operation Chart Version Who and why"
    assert [" ".join(row) for row in rows] == [
        "1 SUPERSEDED Install 1.0.0 Install complete",
        "2 SUPERSEDED Upgrade 2.0.0 Upgrade complete",
        "3 DEPLOYED Rollback to 1 1.0.0 ci: it broke",
    ]


async def test_the_history_is_one_document_a_line_for_scripts(world: World, service: Service) -> None:
    world.release()

    ran = await run(service, "history", SHOP, "--output", "json", "--max", "1")

    assert [(document["revision"], document["status"]) for document in ran.documents] == [(2, "DEPLOYED")]
    assert ran.documents[0]["rollbackTarget"] == 0


async def test_following_prints_each_event_as_it_happens(world: World, service: Service) -> None:
    world.release()
    process = await started(service, "history", SHOP, "--follow")
    past = await texts(process, 2)

    await service.rollbacks.Rollback(rollback_request())
    lines = await texts(process, 6)
    process.terminate()
    await process.communicate()

    assert past == [
        "revision 1 → SUPERSEDED (Install, 1.0.0, adopted)",
        "revision 2 → DEPLOYED (Upgrade, 2.0.0, adopted)",
    ]
    assert lines == [
        "operation Rollback to 1 PENDING by anonymous",
        "operation Rollback to 1 RUNNING",
        "revision 3 → PENDING_ROLLBACK (Rollback to 1, 1.0.0)",
        "revision 2 DEPLOYED → SUPERSEDED (Upgrade, 2.0.0)",
        "revision 3 PENDING_ROLLBACK → DEPLOYED (Rollback to 1, 1.0.0)",
        "operation Rollback to 1 SUCCEEDED, revision 3",
    ]


async def interrupted(process: asyncio.subprocess.Process) -> bytes:
    """Press Ctrl-C, and once more while nothing comes of it: Python drops one that meets a destructor.

    Not once it has begun to answer: one that comes while Python ends would end it by the signal.
    """
    assert process.stderr is not None
    answer = asyncio.ensure_future(process.stderr.readline())
    while not answer.done():
        process.send_signal(signal.SIGINT)
        await asyncio.wait({answer}, timeout=5)
    return answer.result() + (await process.communicate())[1]


async def test_whoever_interrupts_it_is_told_the_way_on(world: World, service: Service) -> None:
    world.release()
    hold = world.helm.hold(Point.AFTER_CREATE)
    process = await started(service, "rollback", SHOP, "1")
    await hold.reached.wait()

    err = await interrupted(process)
    hold.release()

    # Where the interrupt met an exec() of Python's own, as dataclasses do, Python ends by the signal; shells say 130.
    assert process.returncode in (130, -signal.SIGINT)
    goes_on = "the operation goes on; see: helm-rollback operation "
    assert goes_on in err.decode() or "--request-id" in err.decode()  # where it had no answer yet


async def test_releases_and_operations_are_shown(world: World, service: Service) -> None:
    world.release()
    made = (await run(service, "rollback", SHOP, "1", "-o", "json")).documents[0]

    listed = await run(service, "releases")
    shown = await run(service, "operation", made["operationId"])
    again = await run(service, "operation", made["operationId"], "-o", "json")

    assert SHOP in listed.out
    assert "Rollback to 1 SUCCEEDED" in shown.out
    assert again.documents == [made]
