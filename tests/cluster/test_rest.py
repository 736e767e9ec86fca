"""REST on real Helm: the seed case by plain HTTP, and a stream that outlives `kill -9`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from support.by_hand import ByHand
from support.helm import Helm
from support.process import RunService, ServiceProcess

pytest_plugins = ["support.services"]

KEY = "5f0c1f2e-8f3b-4a53-9d0e-0a4b8f1f7a11"
SECONDS = 60


@pytest.fixture
def shop(namespace: str) -> str:
    return f"default.{namespace}.shop"


@pytest.fixture
def by_hand(helm: Helm, tmp_path: Path) -> ByHand:
    """Two revisions."""
    by_hand = ByHand(helm, tmp_path)
    by_hand.install("1.0.0")
    by_hand.upgrade("1.1.0")
    return by_hand


def open_url(service: ServiceProcess, path: str, body: Any = None, **headers: str) -> HTTPResponse:
    """GET, or POST with a body; header names with `_` for `-`."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    data = None if body is None else json.dumps(body).encode()
    kind = {} if body is None else {"Content-Type": "application/json"}
    address = f"http://{service.ready['http']}/api/v1/helm{path}"
    answer = urlopen(Request(address, data=data, headers=kind | given), timeout=SECONDS)
    assert isinstance(answer, HTTPResponse)
    return answer


def asked(service: ServiceProcess, path: str, body: Any = None, **headers: str) -> dict[str, Any]:
    with open_url(service, path, body, **headers) as answer:
        content: dict[str, Any] = json.load(answer)
    return content


def events(answer: HTTPResponse) -> Iterator[tuple[str, dict[str, Any]]]:
    """Id and data of each event, until the connection ends."""
    identity = ""
    try:
        for line in answer:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "id":
                identity = value
            elif name == "data":
                yield identity, json.loads(value)
    except OSError:
        return


def test_a_rollback_by_plain_http(run_service: RunService, by_hand: ByHand, shop: str) -> None:
    service = run_service()

    with open_url(service, f"/releases/{shop}/rollback", {"targetRevision": 1}, Idempotency_Key=KEY) as accepted:
        location = accepted.headers["Location"].removeprefix("/api/v1/helm")
        first = json.load(accepted)
    ended = asked(service, location, Prefer="wait=60")
    again = asked(service, f"/releases/{shop}/rollback", {"targetRevision": 1}, Idempotency_Key=KEY)
    history = asked(service, f"/releases/{shop}/history")
    whole = [asked(service, f"/releases/{shop}/revisions/{number}?view=FULL")["revision"] for number in (1, 3)]

    assert accepted.status == 202
    assert ended["operation"]["state"] == "SUCCEEDED"
    assert again["operation"] == ended["operation"]
    assert first["operation"]["operationId"] == ended["operation"]["operationId"]
    told = [(one["revision"], one["operationType"], one["chartVersion"]) for one in history["revisions"]]
    assert told == [(3, "ROLLBACK", "1.0.0"), (2, "UPGRADE", "1.1.0"), (1, "INSTALL", "1.0.0")]
    assert whole[0]["manifest"] == whole[1]["manifest"]
    assert whole[0]["valuesYaml"] == whole[1]["valuesYaml"]
    assert by_hand.statuses == {1: "superseded", 2: "superseded", 3: "deployed"}


@pytest.mark.parametrize("last", ["event", "caughtUp"])
def test_a_stream_goes_on_over_kill_9_by_its_last_event_id(
    run_service: RunService, by_hand: ByHand, shop: str, last: str
) -> None:
    """Whether it is lost among the past events, or once it has told them all."""
    service = run_service()
    service.follow(shop, deployed=2).close()
    seen: list[tuple[str, dict[str, Any]]] = []
    with open_url(service, f"/releases/{shop}/history/stream") as stream:
        for event in events(stream):
            seen.append(event)
            if last in event[1]:
                service.kill()
                break

    by_hand.upgrade("1.2.0")
    service.start()
    operation = asked(service, f"/releases/{shop}/rollback", {"targetRevision": 1})["operation"]
    path = f"/releases/{shop}/history/stream?endAfterOperationId={operation['operationId']}"
    with open_url(service, path, Last_Event_ID=seen[-1][0]) as stream:
        seen += events(stream)

    numbers = [int(data["event"]["sequence"]) for _, data in seen if "event" in data]
    assert numbers == list(range(1, len(numbers) + 1))
    assert seen[-1][1]["event"]["operationTransition"]["operation"]["state"] == "SUCCEEDED"


def test_what_is_asked_meanwhile_on_both_doors_is_one_ledger(
    run_service: RunService, by_hand: ByHand, shop: str
) -> None:
    service = run_service()
    marked = asked(service, f"/releases/{shop}/revisions/1/mark", {"mark": "GOOD", "reason": "it sold"})

    with service.stream(shop, tail=1) as stream:
        stream.until(lambda: stream.events, "the mark is told over gRPC")

    assert marked["revision"]["mark"] == "GOOD"
    assert stream.events[0].mark_change.reason == "it sold"
