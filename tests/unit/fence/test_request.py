"""Requests are parsed strictly and written anew: no two readings, no credential but ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helm_rollback.fence.kubeconfig import authorization
from helm_rollback.fence.request import BODY_MAX, HEAD_MAX, BadRequest, Request, head_bytes
from helm_rollback.fence.request_reader import RequestReader

AUTHORIZATION = authorization("token")
LOGIN = f"Authorization: {AUTHORIZATION}\r\n"


def read(raw: str | bytes, *, pieces: int = 1) -> list[tuple[Request, bytes]]:
    data = raw.encode("latin-1") if isinstance(raw, str) else raw
    reader = RequestReader(AUTHORIZATION)
    size = max(1, -(-len(data) // pieces))
    whole = []
    for at in range(0, len(data), size):
        whole += reader.feed(data[at : at + size])
    return whole


def get(target: str = "/version", headers: str = "") -> str:
    return f"GET {target} HTTP/1.1\r\nHost: x\r\n{LOGIN}{headers}\r\n"


def post(body: str = "{}", headers: str = "", target: str = "/api/v1/namespaces/n/configmaps") -> str:
    return f"POST {target} HTTP/1.1\r\nHost: x\r\n{LOGIN}{headers}Content-Length: {len(body)}\r\n\r\n{body}"


def written(raw: str) -> str:
    request, body = read(raw)[0]
    head = head_bytes(
        request, base_path="/k8s", authority="api:6443", authorization="Bearer real", body_length=len(body) or None
    )
    return head.decode("latin-1")


@pytest.mark.parametrize("pieces", [1, 7, 1000])
def test_reads_a_whole_request_from_any_pieces(pieces: int) -> None:
    [(request, body)] = read(post('{"a":1}', "Content-Type: application/json; charset=utf-8\r\n"), pieces=pieces)

    assert (request.method, request.segments) == ("POST", ("api", "v1", "namespaces", "n", "configmaps"))
    assert request.content_type == "application/json"
    assert body == b'{"a":1}'


def test_reads_a_chunked_body_without_extensions_and_trailers() -> None:
    head = f"POST /api/v1/x HTTP/1.1\r\nHost: x\r\n{LOGIN}Transfer-Encoding: chunked\r\n\r\n"

    [(request, body)] = read(f"{head}2;evil=1\r\nab\r\n1\r\nc\r\n0\r\nAuthorization: Bearer x\r\n\r\n")

    assert body == b"abc"
    assert sum(name == "authorization" for name, _ in request.headers) == 1


def test_the_head_is_written_anew_with_our_credentials_only() -> None:
    head = written(
        get(
            "/api/v1/pods?limit=5&watch=true",
            "Accept: application/json\r\nUser-Agent: Helm/4.3.1\r\nConnection: keep-alive, X-Secret\r\nX-Secret: 1\r\n"
            "Impersonate-User: admin\r\nImpersonate-Extra-a: b\r\nX-Remote-User: admin\r\nX-Forwarded-For: 1.1.1.1\r\n"
            "Cookie: a=b\r\nKeep-Alive: 5\r\nTE: trailers\r\nProxy-Authorization: x\r\n"
            "X-HTTP-Method-Override: DELETE\r\n",
        )
    )

    assert head == (
        "GET /k8s/api/v1/pods?limit=5&watch=true HTTP/1.1\r\n"
        "Host: api:6443\r\n"
        "accept: application/json\r\n"
        "user-agent: Helm/4.3.1\r\n"
        "Authorization: Bearer real\r\n\r\n"
    )


def test_a_body_gets_a_length_however_it_came() -> None:
    assert "Content-Length: 2\r\n" in written(post("{}"))


@pytest.mark.parametrize(
    "login", ["", "Authorization: Bearer token\r\n", f"Authorization: {authorization('other')}\r\n", LOGIN + LOGIN]
)
def test_without_the_token_nobody_is_let_in(login: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read(f"GET /version HTTP/1.1\r\nHost: x\r\n{login}\r\n")

    assert refused.value.code == 401


@pytest.mark.parametrize(
    "raw",
    [
        f"POST / HTTP/1.1\r\n{LOGIN}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        f"POST /a HTTP/1.1\r\n{LOGIN}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        f"POST /a HTTP/1.1\r\n{LOGIN}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        f"POST /a HTTP/1.1\r\n{LOGIN}Content-Length: 3, 3\r\n\r\nabc",
        f"POST /a HTTP/1.1\r\n{LOGIN}Content-Length: +3\r\n\r\nabc",
        f"POST /a HTTP/1.1\r\n{LOGIN}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        f"POST /a HTTP/1.1\r\n{LOGIN}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        f"POST /a HTTP/1.1\r\n{LOGIN}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        f"POST /a HTTP/1.1\r\n{LOGIN}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        f"POST /a HTTP/1.1\r\n{LOGIN}Transfer-Encoding: chunked\r\n\r\nx\r\n",
        f"GET /a HTTP/1.1\r\n{LOGIN}X: a\r\n Authorization: b\r\n\r\n",
        f"GET /a HTTP/1.1\r\n{LOGIN}X: a\x00b\r\n\r\n",
        f"GET /a HTTP/1.1\nHost: x\n{LOGIN}\n",
        f"GET /a HTTP/1.0\r\n{LOGIN}\r\n",
        f"GET /a HTTP/1.1\r\n{LOGIN}Content-Length: 1\r\n\r\nx",
        f"GET http://other/a HTTP/1.1\r\n{LOGIN}\r\n",
        f"GET //other/a HTTP/1.1\r\n{LOGIN}\r\n",
        f"GET * HTTP/1.1\r\n{LOGIN}\r\n",
        f"OPTIONS /a HTTP/1.1\r\n{LOGIN}\r\n",
        f"TRACE /a HTTP/1.1\r\n{LOGIN}\r\n",
        f"CONNECT a:1 HTTP/1.1\r\n{LOGIN}\r\n",
        f"PROPFIND /a HTTP/1.1\r\n{LOGIN}\r\n",
        f"BREW /a HTTP/1.1\r\n{LOGIN}\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        get(headers="Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"),
        get(headers="Upgrade: websocket\r\n"),
        post(headers="Expect: 100-continue\r\n"),
        post(headers="Content-Encoding: gzip\r\n"),
        post(headers="Content-Type: application/json\r\nContent-Type: application/yaml\r\n"),
        post(target="/api/v1/namespaces/n/../m/secrets"),
        post(target="/api/v1/namespaces/n/%2e%2e/m/secrets"),
        post(target="/api/v1/namespaces/n%2fsecrets"),
        post(target="/api/v1/namespaces//secrets"),
        post(target="/api/v1/namespaces/n/secrets/"),
        post(target="/api/v1/namespaces/n/secrets/x%00"),
        get("/" + "a" * HEAD_MAX),
        get(headers="".join(f"X-{n}: {'a' * 1000}\r\n" for n in range(70))),
    ],
)
@pytest.mark.parametrize("pieces", [1, 50])
def test_what_could_be_read_in_two_ways_is_refused(raw: str, pieces: int) -> None:
    with pytest.raises(BadRequest) as refused:
        read(raw, pieces=pieces)

    assert refused.value.code in (400, 401)


def test_an_escaped_path_is_understood_as_the_api_server_does() -> None:
    [(request, _)] = read(post(target="/api/v1/namespaces/n/%73ecrets"))

    assert request.segments[-1] == "secrets"


def test_too_large_a_body_is_refused_before_it_is_read() -> None:
    with pytest.raises(BadRequest) as refused:
        read(f"POST /a HTTP/1.1\r\n{LOGIN}Content-Length: {BODY_MAX + 1}\r\n\r\n")

    assert refused.value.code == 413


def test_a_chunked_body_has_the_same_limit() -> None:
    chunk = f"{1024 * 1024:x}\r\n{'a' * 1024 * 1024}\r\n"

    with pytest.raises(BadRequest) as refused:
        read(f"POST /a HTTP/1.1\r\n{LOGIN}Transfer-Encoding: chunked\r\n\r\n{chunk * 9}")

    assert refused.value.code == 413


@pytest.mark.parametrize(
    ("query", "dry"),
    [
        ("", False),
        ("?dryRun=All", True),
        ("?dryRun=", False),
        ("?dryRun=All&dryRun=All", False),
        ("?dryrun=All", False),
        ("?a=b&dryRun=%41ll", True),
    ],
)
def test_only_one_word_makes_a_dry_run(query: str, dry: bool) -> None:
    [(request, _)] = read(post(target=f"/api/v1/namespaces/n/secrets{query}"))

    assert request.is_dry_run is dry


@given(st.binary(max_size=300), st.integers(1, 20))
def test_random_bytes_raise_nothing_but_bad_request(data: bytes, pieces: int) -> None:
    try:
        whole = read(data, pieces=pieces)
    except BadRequest:
        return
    assert whole == []
