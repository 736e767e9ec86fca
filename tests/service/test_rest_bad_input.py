"""What REST refuses: by its field, in the form of every other error, and with nothing done."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest
from starlette.requests import Request
from support.rest import KEY, SHOP, client_of, reason, violations
from support.service import Service
from support.world import Choices, World

from helm_rollback.domain.errors import ForeignPage
from helm_rollback.http.foreign_pages import check_sender


@pytest.fixture
async def service(world: World) -> Service:
    world.release()
    return await world.start()


@pytest.fixture
async def client(service: Service) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(service) as client:
        yield client


BODIES = [
    (b'{"targetRevision": 1, "force": true}', "force"),
    (b'{"targetRevision": 1, "targetRevision": 2}', "body"),
    (b'{"targetRevision": 1, "target_revision": 1}', "targetRevision"),
    (b'{"targetRevision": "one"}', "targetRevision"),
    (b'{"targetRevision": 1.5}', "targetRevision"),
    (b'{"targetRevision": 1099511627776}', "targetRevision"),
    (b'{"targetRevision": 1, "reason": 7}', "reason"),
    (b'{"targetRevision": 1, "helmOptions": 7}', "helmOptions"),
    (b'{"targetRevision": 1, "helmOptions": {"timeout": 5}}', "helmOptions.timeout"),
    (b'{"targetRevision": 1, "helmOptions": {"timeout": "5"}}', "helmOptions.timeout"),
    (b'{"targetRevision": 1, "helmOptions": {"waitForJobs": "yes"}}', "helmOptions.waitForJobs"),
    (b'{"targetRevision": 1, "helmOptions": {"wait": true}}', "helmOptions.wait"),
    (b'{"targetRevision": NaN}', "body"),
    (b'{"targetRevision": 0}', "targetRevision"),
    (b'{"targetRevision": 1, "releaseId": "default.prod.blog"}', "releaseId"),
    (b'{"targetRevision": 1, "helmOptions": {"waitStrategy": 1}}', "helmOptions.waitStrategy"),
    (b'{"targetRevision": 1, "helmOptions": {"waitStrategy": true}}', "helmOptions.waitStrategy"),
    (b'{"targetRevision": 1, "helmOptions": {"waitStrategy": "SOON"}}', "helmOptions.waitStrategy"),
    (b'{"targetRevision": 1, "helmOptions": {"timeout": "-1s"}}', "helmOptions.timeout"),
    (b'{"targetRevision": 1, "expireAfter": "1"}', "expireAfter"),
    (b"[1]", "body"),
    (b"{", "body"),
    (b"\xff", "body"),
    (b"[" * 100_000, "body"),
    (b'{"targetRevision": ' + b"9" * 5000 + b"}", "body"),
]


@pytest.mark.parametrize(("body", "field"), BODIES)
async def test_a_bad_body_is_refused_by_its_field(
    world: World, client: httpx2.AsyncClient, body: bytes, field: str
) -> None:
    answer = await client.post(f"{SHOP}/rollback", content=body, headers={"Content-Type": "application/json"})

    assert reason(answer) == (400, "INVALID_ARGUMENT", "INVALID_FIELD")
    assert violations(answer) == [field]
    assert world.helm.started == []


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/releases/shop", "releaseId"),
        (f"{SHOP}/revisions/one", "revision"),
        (f"{SHOP}/revisions/-1", "revision"),
        (f"{SHOP}/history?pageSize=ten", "pageSize"),
        (f"{SHOP}/history?pageSize=1&pageSize=2", "pageSize"),
        (f"{SHOP}/history?releaseId=default.prod.blog", "releaseId"),
        (f"{SHOP}/history?successfulOnly=yes", "successfulOnly"),
        (f"{SHOP}/history?limit=1", "limit"),
        ("/releases?status=7", "status"),
        ("/operations/mine", "operationId"),
    ],
)
async def test_a_bad_address_is_refused_by_its_field(client: httpx2.AsyncClient, path: str, field: str) -> None:
    answer = await client.get(path)

    assert reason(answer) == (400, "INVALID_ARGUMENT", "INVALID_FIELD")
    assert violations(answer) == [field]


@pytest.mark.parametrize("path", ["rollback?targetRevision=1", "rollback/last-successful?reason=why"])
async def test_a_post_takes_nothing_behind_the_path(world: World, client: httpx2.AsyncClient, path: str) -> None:
    """A link could hold it."""
    answer = await client.post(f"{SHOP}/{path}")

    assert reason(answer) == (400, "INVALID_ARGUMENT", "INVALID_FIELD")
    assert violations(answer) == [path.partition("?")[2].partition("=")[0]]
    assert world.helm.started == []


async def test_two_request_ids_are_one_too_many(client: httpx2.AsyncClient) -> None:
    body = {"targetRevision": 1, "requestId": KEY}

    answer = await client.post(f"{SHOP}/rollback", json=body, headers={"Idempotency-Key": KEY.replace("5", "6")})

    assert violations(answer) == ["requestId"]


async def test_one_request_id_is_the_same_in_upper_case(client: httpx2.AsyncClient) -> None:
    body = {"targetRevision": 1, "requestId": KEY.upper()}

    answer = await client.post(f"{SHOP}/rollback", json=body, headers={"Idempotency-Key": KEY})

    assert answer.json()["operation"]["requestId"] == KEY


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{SHOP}/revisions/1/mark", {"mark": "GOOD", "revision": "1"}),
        (f"{SHOP}/revisions/1/mark", {"mark": "GOOD", "releaseId": None, "revision": 1}),
        (f"{SHOP}/revisions/1/mark", {"mark": "GOOD", "release_id": "default.prod.shop"}),
    ],
)
async def test_what_the_address_says_may_be_said_again(
    client: httpx2.AsyncClient, path: str, body: dict[str, object]
) -> None:
    answer = await client.post(path, json=body)

    assert answer.json()["revision"]["mark"] == "GOOD"


async def test_what_is_no_json_has_another_media_type(client: httpx2.AsyncClient) -> None:
    """A form that a web page sends without asking first must not roll anything back."""
    answer = await client.post(f"{SHOP}/rollback", data={"targetRevision": "1"})

    assert reason(answer) == (415, "INVALID_ARGUMENT", "INVALID_FIELD")


async def test_a_body_that_is_too_large_is_refused(client: httpx2.AsyncClient) -> None:
    body = b'{"reason": "' + b"x" * (32 * 1024 * 1024) + b'"}'

    answer = await client.post(f"{SHOP}/rollback", content=body, headers={"Content-Type": "application/json"})

    assert reason(answer) == (413, "INVALID_ARGUMENT", "INVALID_FIELD")


@pytest.mark.parametrize(
    ("verb", "path", "error"),
    [
        ("GET", "/nowhere", (404, "NOT_FOUND", "")),
        ("GET", "/releases/default.prod%2Fshop", (404, "NOT_FOUND", "")),
        ("DELETE", f"{SHOP}/history", (405, "UNIMPLEMENTED", "")),
    ],
)
async def test_what_is_no_route_is_an_error_in_the_same_form(
    client: httpx2.AsyncClient, verb: str, path: str, error: tuple[int, str, str]
) -> None:
    assert reason(await client.request(verb, path)) == error


async def test_a_verb_that_there_is_not_is_told_the_others(client: httpx2.AsyncClient) -> None:
    answer = await client.put("/releases")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"


FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://["},
    {"Host": "["},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Host": "evil.example:8080"},
    {"Host": "evil.example:8080", "Origin": "http://evil.example:8080", "Sec-Fetch-Site": "same-origin"},
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize(
    ("verb", "path"), [("POST", f"{SHOP}/rollback/last-successful"), ("DELETE", f"{SHOP}?reason=gone")]
)
async def test_a_page_of_another_site_changes_nothing(
    world: World, client: httpx2.AsyncClient, verb: str, path: str, headers: dict[str, str]
) -> None:
    """A browser sends such a request without asking first; an empty body has no media type that could tell."""
    answer = await client.request(verb, path, headers=headers)

    assert reason(answer) == (403, "PERMISSION_DENIED", "PERMISSION_DENIED")
    assert world.helm.started == []


async def test_a_foreign_name_for_this_machine_reads_nothing_either(client: httpx2.AsyncClient) -> None:
    answer = await client.get(f"{SHOP}/history", headers={"Host": "evil.example:8080"})

    assert reason(answer) == (403, "PERMISSION_DENIED", "PERMISSION_DENIED")


def test_a_service_that_others_reach_may_have_any_name() -> None:
    """A proxy beside it connects by loopback, and says the name that its client used."""
    headers = [(b"host", b"rollback.example"), (b"origin", b"https://rollback.example")]
    request = Request({"type": "http", "method": "POST", "server": ("127.0.0.1", 8080), "headers": headers})

    check_sender(request, loopback_only=False)
    with pytest.raises(ForeignPage):
        check_sender(request, loopback_only=True)


async def test_the_services_own_page_and_a_person_are_heard(service: Service, client: httpx2.AsyncClient) -> None:
    address = service.http.removeprefix("http://").partition("/")[0]
    own = {"Origin": f"http://{address}", "Sec-Fetch-Site": "same-origin"}
    through_a_proxy = {"Origin": "https://rollback.example", "Sec-Fetch-Site": "same-origin"}

    path, body = f"{SHOP}/rollback/preview", {"targetRevision": 1}
    by_page = [(await client.post(path, json=body, headers=headers)).status_code for headers in (own, through_a_proxy)]
    typed = await client.get(f"{SHOP}/history", headers={"Host": "localhost:80", "Sec-Fetch-Site": "none"})

    assert (by_page, typed.status_code) == ([200, 200], 200)


async def test_who_has_to_come_again_is_told_when(world: World) -> None:
    world.release()
    world.cluster.unreachable = True
    service = await world.start(Choices(observes=False))
    async with client_of(service) as client:
        answer = await client.get(SHOP)

    assert reason(answer) == (503, "UNAVAILABLE", "CLUSTER_UNREACHABLE")
    assert answer.headers["retry-after"] == "1"
