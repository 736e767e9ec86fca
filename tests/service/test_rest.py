"""REST: the same methods as over gRPC, by plain HTTP and JSON."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from support.fakes import HelmRun, Point, RunEnd
from support.rest import KEY, SHOP, client_of, reason
from support.service import Service, eventually
from support.world import Choices, World

from helm_rollback.http.routes import ROUTES
from helm_rollback.v1 import release_service_pb2, rollback_service_pb2


@pytest.fixture
async def service(world: World) -> Service:
    world.release()
    return await world.start()


@pytest.fixture
async def client(service: Service) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(service) as client:
        yield client


async def events_of(client: httpx2.AsyncClient, **request: Any) -> list[dict[str, str]]:
    """The server-sent events of a stream that ends."""
    events = []
    async with client.stream("GET", f"{SHOP}/history/stream", **request) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for block in _blocks(answer):
            events.append(dict(line.split(": ", 1) for line in block))
    return events


async def _blocks(answer: httpx2.Response) -> AsyncIterator[list[str]]:
    block: list[str] = []
    async for line in answer.aiter_lines():
        if line:
            block.append(line)
        elif block:
            yield block
            block = []


def test_every_method_but_the_wait_has_a_route() -> None:
    """GetOperation with `Prefer: wait` is the wait."""
    files = (rollback_service_pb2, release_service_pb2)
    methods = {m.name for file in files for s in file.DESCRIPTOR.services_by_name.values() for m in s.methods}

    assert {route.method for route in ROUTES} == methods - {"WaitOperation"}


async def test_the_openapi_document_has_every_route_and_resolves(service: Service) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.get(service.http.replace("/api/v1/helm", "/openapi.json"))

    document = answer.json()
    described = {(verb.upper(), path) for path, verbs in document["paths"].items() for verb in verbs}
    assert described == {(route.verb, route.path) for route in ROUTES}
    operations = [one for verbs in document["paths"].values() for one in verbs.values()]
    assert len({one["operationId"] for one in operations}) == len(operations)
    references = set(re.findall(r'"#/components/schemas/([A-Za-z]+)"', answer.text))
    assert references == set(document["components"]["schemas"])
    rollback = document["components"]["schemas"]["RollbackRequest"]["properties"]
    assert rollback["targetRevision"] == {"type": "integer", "format": "int32"}
    assert rollback["waitTimeout"]["type"] == "string"
    assert rollback["helmOptions"] == {"$ref": "#/components/schemas/HelmOptions"}


# --- rolling back ---------------------------------------------------------------------


async def test_a_rollback_is_accepted_followed_and_seen_in_the_history(client: httpx2.AsyncClient) -> None:
    accepted = await client.post(f"{SHOP}/rollback", json={"targetRevision": 1, "reason": "orders fail"})
    location = accepted.headers["location"].removeprefix("/api/v1/helm")
    ended = await client.get(location, headers={"Prefer": "wait=20"})
    history = await client.get(f"{SHOP}/history")

    assert accepted.status_code == 202
    assert accepted.json()["operation"]["state"] in {"PENDING", "RUNNING"}
    assert accepted.json()["resumeToken"]
    operation = ended.json()["operation"]
    assert (ended.status_code, operation["state"], operation["resultRevision"]) == (200, "SUCCEEDED", 3)
    told = [(one["revision"], one["operationType"], one["chartVersion"]) for one in history.json()["revisions"]]
    assert told == [(3, "ROLLBACK", "1.0.0"), (2, "UPGRADE", "2.0.0"), (1, "INSTALL", "1.0.0")]


async def test_who_waits_is_answered_200_with_the_outcome_good_or_bad(world: World, client: httpx2.AsyncClient) -> None:
    world.helm.scripts.append(HelmRun(end=RunEnd.APPLY_FAILS))

    failed = await client.post(f"{SHOP}/rollback", json={"targetRevision": 1, "waitTimeout": "20s"})
    worked = await client.post(f"{SHOP}/rollback/last-successful", headers={"Prefer": "respond-async, wait=20"})

    assert (failed.status_code, failed.json()["operation"]["state"]) == (200, "FAILED")
    assert failed.json()["operation"]["failure"]["errorReason"] == "OBJECT_REJECTED"
    assert (worked.status_code, worked.json()["operation"]["state"]) == (200, "SUCCEEDED")
    assert worked.json()["operation"]["selection"]["revision"] == 1


async def test_the_shorter_wait_wins(world: World, client: httpx2.AsyncClient) -> None:
    hold = world.helm.hold(Point.AFTER_CREATE)

    answer = await client.post(
        f"{SHOP}/rollback", json={"targetRevision": 1, "waitTimeout": "600s"}, headers={"Prefer": "wait=1"}
    )
    hold.release()

    assert answer.status_code == 202


@pytest.mark.parametrize("key", [KEY, f'"{KEY}"'], ids=["bare", "quoted"])
async def test_an_idempotency_key_names_one_operation(client: httpx2.AsyncClient, key: str) -> None:
    first = await client.post(f"{SHOP}/rollback", json={"targetRevision": 1}, headers={"Idempotency-Key": key})
    again = await client.post(f"{SHOP}/rollback", json={"targetRevision": 1, "requestId": KEY})
    other = await client.post(f"{SHOP}/rollback", json={"targetRevision": 2}, headers={"Idempotency-Key": key})

    assert first.json()["operation"]["operationId"] == again.json()["operation"]["operationId"]
    assert again.json()["operation"]["requestId"] == KEY
    assert reason(other) == (409, "ALREADY_EXISTS", "REQUEST_ID_REUSED")


async def test_the_actor_is_told_by_a_header(client: httpx2.AsyncClient) -> None:
    answer = await client.post(
        f"{SHOP}/rollback", json={"targetRevision": 1}, headers={"X-Helm-Rollback-Actor": "deploy-bot"}
    )

    assert answer.json()["operation"]["actor"] == "deploy-bot"


async def test_a_revision_is_marked_and_shown(client: httpx2.AsyncClient) -> None:
    marked = await client.post(f"{SHOP}/revisions/1/mark", json={"mark": "BAD", "reason": "it loses orders"})
    shown = await client.get(f"{SHOP}/revisions/1", params={"view": "FULL"})
    refused = await client.post(f"{SHOP}/rollback", json={"targetRevision": 1})

    assert marked.json()["revision"]["mark"] == shown.json()["revision"]["mark"] == "BAD"
    assert "kind: ConfigMap" in shown.json()["revision"]["manifest"]
    assert reason(refused) == (400, "FAILED_PRECONDITION", "REVISION_MARKED_BAD")


async def test_what_waits_is_listed_and_cancelled(world: World) -> None:
    world.release()
    service = await world.start(Choices(works=False))
    async with client_of(service) as client:
        accepted = (await client.post(f"{SHOP}/rollback", json={"targetRevision": 1})).json()["operation"]
        listed = await client.get("/operations", params={"state": "PENDING", "releaseId": "default.prod.shop"})
        busy = await client.post(f"{SHOP}/rollback", json={"targetRevision": 1})
        cancelled = await client.post(f"/operations/{accepted['operationId']}/cancel")

    assert [one["operationId"] for one in listed.json()["operations"]] == [accepted["operationId"]]
    assert reason(busy) == (409, "ABORTED", "OPERATION_IN_PROGRESS")
    assert (cancelled.status_code, cancelled.json()["operation"]["state"]) == (200, "CANCELLED")


async def test_defaults_are_written_out_and_pages_are_turned(client: httpx2.AsyncClient) -> None:
    release = (await client.get(SHOP)).json()["release"]
    first = (await client.get(f"{SHOP}/revisions", params={"pageSize": 1, "successfulOnly": "true"})).json()
    second = await client.get(
        f"{SHOP}/history", params={"pageSize": 1, "successfulOnly": "true", "pageToken": first["nextPageToken"]}
    )

    assert release["activeOperationId"] == ""
    assert release["lastSequence"] == "2"
    assert [one["revision"] for one in first["revisions"]] == [2]
    assert [one["revision"] for one in second.json()["revisions"]] == [1]


# --- following ------------------------------------------------------------------------


async def test_a_stream_is_resumed_by_the_last_event_id(client: httpx2.AsyncClient) -> None:
    past = await events_of(client, params={"endWhenCaughtUp": "true"})
    accepted = (await client.post(f"{SHOP}/rollback", json={"targetRevision": 1})).json()["operation"]

    rest = await events_of(
        client,
        params={"afterSequence": "0", "endAfterOperationId": accepted["operationId"]},
        headers={"Last-Event-ID": past[-1]["id"]},
    )

    told = [json.loads(event["data"]) for event in past + rest]
    sequences = [int(one["event"]["sequence"]) for one in told if "event" in one]
    assert sequences == list(range(1, 9))
    assert all(event["id"] for event in past + rest)
    assert not any("event" in event for event in past + rest), "they are messages, without a name"
    assert told[-1]["event"]["operationTransition"]["operation"]["state"] == "SUCCEEDED"


@pytest.mark.parametrize("ends", ["operation", "caught up"])
async def test_a_reconnect_with_nothing_left_is_told_to_stop(client: httpx2.AsyncClient, ends: str) -> None:
    body = {"targetRevision": 1, "waitTimeout": "20s"}
    operation = (await client.post(f"{SHOP}/rollback", json=body)).json()["operation"]
    params = {"endAfterOperationId": operation["operationId"]} if ends == "operation" else {"endWhenCaughtUp": "true"}
    told = await events_of(client, params=params)

    again = await client.get(f"{SHOP}/history/stream", params=params, headers={"Last-Event-ID": told[-1]["id"]})

    assert (again.status_code, again.content) == (204, b"")


async def test_a_stream_that_is_refused_is_an_http_error(client: httpx2.AsyncClient) -> None:
    unknown = await client.get("/releases/default.prod.none/history/stream")
    token = await client.get(f"{SHOP}/history/stream", headers={"Last-Event-ID": "mine"})

    assert reason(unknown) == (404, "NOT_FOUND", "RELEASE_NOT_FOUND")
    assert reason(token) == (400, "INVALID_ARGUMENT", "INVALID_RESUME_TOKEN")


async def test_a_drain_ends_a_stream_with_its_status(world: World, client: httpx2.AsyncClient) -> None:
    async with client.stream("GET", f"{SHOP}/history/stream", params={"tail": "0"}) as answer:
        blocks = _blocks(answer)
        assert "caughtUp" in (await anext(blocks))[-1]
        await world.stop()
        last = await anext(blocks)

    assert last[0] == "event: status"
    assert json.loads(last[1].removeprefix("data: "))["error"]["status"] == "UNAVAILABLE"


async def test_a_stream_whose_client_went_makes_room_for_another(world: World) -> None:
    world.release()
    service = await world.start(Choices(max_streams=1))
    path = f"{SHOP}/history/stream"
    async with client_of(service) as client:
        async with client.stream("GET", path) as first:
            assert first.status_code == 200
            assert reason(await client.get(path)) == (429, "RESOURCE_EXHAUSTED", "TOO_MANY_STREAMS")

        async def is_free() -> bool:
            async with client.stream("GET", path) as again:
                return again.status_code == 200

        await eventually(is_free, "there is room for another stream")


# --- one table ------------------------------------------------------------------------

CONTRACT = {
    ("POST", "/releases"): "Install",
    ("GET", "/releases"): "ListReleases",
    ("GET", "/releases/stream"): "StreamReleases",
    ("GET", "/releases/{releaseId}"): "GetRelease",
    ("DELETE", "/releases/{releaseId}"): "Uninstall",
    ("POST", "/releases/{releaseId}/upgrade"): "Upgrade",
    ("POST", "/releases/{releaseId}/rollback"): "Rollback",
    ("POST", "/releases/{releaseId}/rollback/last-successful"): "RollbackLastSuccessful",
    ("POST", "/releases/{releaseId}/rollback/preview"): "PreviewRollback",
    ("GET", "/releases/{releaseId}/history"): "ListRevisions",
    ("GET", "/releases/{releaseId}/revisions"): "ListRevisions",
    ("GET", "/releases/{releaseId}/history/stream"): "StreamHistory",
    ("GET", "/releases/{releaseId}/revisions/{revision}"): "GetRevision",
    ("POST", "/releases/{releaseId}/revisions/{revision}/mark"): "MarkRevision",
    ("GET", "/operations"): "ListOperations",
    ("GET", "/operations/{operationId}"): "GetOperation",
    ("POST", "/operations/{operationId}/cancel"): "CancelOperation",
}


async def test_routes_and_openapi_are_those_of_the_contract(service: Service, client: httpx2.AsyncClient) -> None:
    root = service.http.removesuffix("/api/v1/helm")
    described = (await client.get(f"{root}/openapi.json")).json()["paths"]

    whole = {(verb, f"/api/v1/helm{path}"): method for (verb, path), method in CONTRACT.items()}
    assert {(route.verb, route.path): route.method for route in ROUTES} == whole
    assert {(verb.upper(), path) for path, verbs in described.items() for verb in verbs} == set(whole)


async def test_the_page_for_people_needs_no_other_server(service: Service, client: httpx2.AsyncClient) -> None:
    page = await client.get(f"{service.http.removesuffix('/api/v1/helm')}/docs")

    assert page.headers["content-type"].startswith("text/html")
    assert "/openapi.json" in page.text
    assert "://" not in page.text
