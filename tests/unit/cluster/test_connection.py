"""What answers, and their absence, mean."""

import asyncio
import os
import sys
from pathlib import Path

import httpx2
import pytest
from lightkube.config.models import User, UserExec
from unit.cluster.api import Answer, answering, connection

from helm_rollback.application.ports import RecordConflict, WatchExpired
from helm_rollback.cluster.connection import Connection
from helm_rollback.domain.errors import ClusterPermissionDenied, ClusterUnreachable
from helm_rollback.domain.release import ReleaseId

SHOP = ReleaseId("default", "prod", "shop")


async def ask(answer: Answer, method: str = "GET", *, deadline: float = 10.0) -> httpx2.Response:
    asked = connection(answer, deadline=deadline)
    return await asked.request(method, "/api/v1/secrets", needs="list secrets in namespace prod", release_id=SHOP)


@pytest.mark.parametrize("code", [302, 400, 404, 429, 500, 502, 503, 504])
async def test_an_answer_that_is_none_makes_the_cluster_unreachable(code: int) -> None:
    with pytest.raises(ClusterUnreachable) as error:
        await ask(answering(code, {"message": "canary-secret"}))

    assert str(code) in str(error.value)
    assert (error.value.cluster, error.value.release_id) == ("default", SHOP)
    assert "canary" not in str(error.value)


@pytest.mark.parametrize("code", [401, 403, 422])
async def test_a_denial_names_the_missing_right_and_quotes_nothing(code: int) -> None:
    with pytest.raises(ClusterPermissionDenied, match="list secrets in namespace prod") as error:
        await ask(answering(code, {"message": "canary-secret"}))

    assert error.value.release_id == SHOP
    assert "canary" not in str(error.value)


async def test_conflict_and_gone_have_errors_of_their_own() -> None:
    with pytest.raises(RecordConflict):
        await ask(answering(409))
    with pytest.raises(WatchExpired):
        await ask(answering(410))


@pytest.mark.parametrize("kind", [httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ReadTimeout, httpx2.PoolTimeout])
async def test_a_failed_connection_makes_the_cluster_unreachable(kind: type[httpx2.TransportError]) -> None:
    def fail(request: httpx2.Request) -> httpx2.Response:
        raise kind("", request=request)

    with pytest.raises(ClusterUnreachable):
        await ask(fail)


async def test_a_request_ends_at_its_deadline() -> None:
    async def hang(_: httpx2.Request) -> httpx2.Response:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(ClusterUnreachable, match="no answer in time"):
        await ask(hang, deadline=0.01)  # type: ignore[arg-type]


@pytest.mark.parametrize(("method", "sent"), [("GET", 2), ("PUT", 1), ("POST", 1), ("DELETE", 1)])
async def test_only_a_read_is_sent_again_over_a_new_connection(method: str, sent: int) -> None:
    requests: list[httpx2.Request] = []

    def drop(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        raise httpx2.RemoteProtocolError("dropped", request=request)

    with pytest.raises(ClusterUnreachable):
        await ask(drop, method)

    assert len(requests) == sent


@pytest.mark.parametrize("content", [b"<html>", b"[]", b"{}", b"", b'{"kind": "canary-secret'])
def test_what_is_no_kubernetes_object_comes_from_no_api_server(content: bytes) -> None:
    with pytest.raises(ClusterUnreachable, match="kubeconfig") as error:
        connection(answering(200)).parse(content)

    assert "canary" not in str(error.value)
    assert error.value.__cause__ is None


async def test_the_servers_base_path_stands_before_every_path() -> None:
    response = await ask(answering(200))

    assert response.request.url.path == "/k8s/clusters/c-1/api/v1/secrets"
    assert connection(answering(200)).api_server.base_path == "/k8s/clusters/c-1"


async def test_the_fence_gets_the_token_that_requests_bear() -> None:
    server = connection(answering(200)).api_server

    assert await server.authorization() == "Bearer canary-token"
    assert (server.host, server.port, server.ssl_context) == ("api.example", 80, None)


async def test_a_token_file_that_changed_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    asked = connection(answering(200), user=User(token_file=str(file)))
    assert await asked.authorization() == "Bearer first"

    file.write_text("second")
    os.utime(file, ns=(1, 1))

    assert await asked.authorization() == "Bearer second"
    response = await asked.request("GET", "/api", needs="")
    assert response.request.headers["Authorization"] == "Bearer second"


async def test_a_token_file_that_went_is_told_without_its_content(tmp_path: Path) -> None:
    asked = connection(answering(200), user=User(token_file=str(tmp_path / "token")))

    with pytest.raises(ClusterUnreachable, match="token file"):
        await asked.authorization()
    with pytest.raises(ClusterUnreachable, match="token file"):
        await asked.request("GET", "/api", needs="")


def with_plugin(program: str) -> Connection:
    plugin = UserExec(apiVersion="client.authentication.k8s.io/v1beta1", command=sys.executable, args=["-Sc", program])
    return connection(answering(200), user=User(exec=plugin))


async def test_a_credential_plugin_is_run_for_the_fence() -> None:
    asked = with_plugin("""print('{"status": {"token": "minted"}}')""")

    assert await asked.authorization() == "Bearer minted"


@pytest.mark.parametrize(
    "program", ["import sys; sys.exit('canary-secret')", "print('canary-secret')", """print('{"status": {}}')"""]
)
async def test_a_failing_credential_plugin_is_not_quoted(program: str) -> None:
    with pytest.raises(ClusterUnreachable, match="credential plugin") as error:
        await with_plugin(program).authorization()

    assert "canary" not in str(error.value)
    assert error.value.__cause__ is None
