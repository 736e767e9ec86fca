"""Requests to one API server, and what their failures mean.

Every request ends: with an answer, or with one of our errors within its deadline.
An error's text is made here of what was asked and the status code, never of an
answer's body: that may hold a Secret.

    nothing listens, no answer in time, 429, 5xx, no JSON    ClusterUnreachable
    401, 403, 422 (what an admission policy answers)         ClusterPermissionDenied
    409                                                      RecordConflict
    410                                                      WatchExpired
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import httpx2
from lightkube.config.client_adapter import BearerTokenFileAuth, ConnectionParams, verify_cluster
from lightkube.config.kubeconfig import SingleConfig
from lightkube.config.models import User
from lightkube.core.exceptions import ConfigError

from helm_rollback.application.ports import RecordConflict, WatchExpired
from helm_rollback.cluster.kubeconfig import ClusterSettingsError
from helm_rollback.domain.errors import ClusterPermissionDenied, ClusterUnreachable
from helm_rollback.domain.release import ReleaseId

JSON = "application/json"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
DEADLINE_SECONDS = 10.0

# kube-apiserver closes a connection that was idle for 90 s. httpx's own 5 s would
# cost a TLS handshake at nearly every rollback of a quiet service. Kept are as many as
# may be open: forty looks at once wait for a free one faster than they open their own.
_LIMITS = httpx2.Limits(max_connections=12, max_keepalive_connections=12, keepalive_expiry=75)
_DROPPED = (httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError)
# A connection that fell silent was seldom the only one. Until the kept ones have expired,
# each request makes its own, instead of trying them one by one, a deadline each.
_DISTRUST_SECONDS = 75.0
_FRESH_LIMITS = httpx2.Limits(max_connections=12, max_keepalive_connections=0)
_DENIALS = {
    401: "does not know this service's credentials",
    403: "does not allow it",
    422: "does not take what it writes; an admission policy may forbid it",
}
_LOOPBACK = ("127.", "localhost", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiServer:
    """What somebody else needs to speak to the API server himself."""

    host: str
    port: int
    server_hostname: str
    """The name its certificate must bear."""
    ssl_context: ssl.SSLContext | None
    """With the client certificate, if there is one; None for plain HTTP."""
    base_path: str
    """What stands before `/api` in every path; "" in most clusters."""
    authorization: Callable[[], Awaitable[str]]
    """The Authorization header as of now, "" where a certificate does it. Raises ClusterUnreachable."""


class Connection:
    """One API server as one user, over a few connections that are kept alive."""

    def __init__(
        self,
        cluster: str,
        config: SingleConfig,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
        deadline: float = DEADLINE_SECONDS,
    ) -> None:
        """Reads the certificates, asks nothing yet. Raises ClusterSettingsError."""
        self.cluster = cluster
        self._config = config
        self._user = config.user or User()
        self._deadline = deadline
        self._token_file = Path(self._user.token_file) if self._user.token_file else None
        try:
            url = httpx2.URL(config.cluster.server)
            # As in Go, no proxy of the environment comes between this host and itself.
            trust_env = not url.host.startswith(_LOOPBACK)
            settings = ConnectionParams(timeout=self._timeout(read=deadline), trust_env=trust_env).httpx_params(config)
            self._client = httpx2.AsyncClient(**{**settings, "transport": transport, "limits": _LIMITS})
            self._fresh = httpx2.AsyncClient(**{**settings, "transport": transport, "limits": _FRESH_LIMITS})
            # A context of its own for the fence: httpx sets protocols on the one it is given.
            self._ssl_context = self._make_ssl_context() if url.scheme == "https" else None
        except (ConfigError, OSError, ValueError, httpx2.InvalidURL) as error:
            raise ClusterSettingsError(
                f"context {config.context_name} of kubeconfig {config.fname} can not be used: {_words(error)}; "
                "check server, certificates and credentials of that context"
            ) from None
        self._token_stamp = self._read_token_stamp()
        self._distrusted_until = 0.0

    @property
    def api_server(self) -> ApiServer:
        """The same server and user, for the fence."""
        url = httpx2.URL(self._config.cluster.server)
        return ApiServer(
            host=url.host,
            port=url.port or (443 if url.scheme == "https" else 80),
            server_hostname=url.host,
            ssl_context=self._ssl_context,
            base_path=url.path.rstrip("/"),
            authorization=self.authorization,
        )

    async def close(self) -> None:
        """Close what is kept alive."""
        await self._client.aclose()
        await self._fresh.aclose()

    async def authorization(self) -> str:
        """The Authorization header that the next request would bear. Raises ClusterUnreachable."""
        self._notice_new_token()
        if self._client.auth is None:
            return ""
        # The first request of an auth flow bears what is known now. A token that the
        # server no longer takes is renewed by the flow of a real request, after its 401.
        flow = self._client.auth.async_auth_flow(httpx2.Request("GET", self._config.cluster.server))
        try:
            async with asyncio.timeout(self._deadline):
                signed = await anext(flow)
        except (ConfigError, OSError, KeyError, ValueError) as error:
            self._no_credentials(error)
        finally:
            await flow.aclose()
        return str(signed.headers.get("Authorization", ""))

    async def request(
        self,
        method: str,
        path: str,
        *,
        needs: str,
        release_id: ReleaseId | None = None,
        params: Mapping[str, str | int] | None = None,
        accept: str = JSON,
        headers: Mapping[str, str] | None = None,
        body: object = None,
        expected: Collection[int] = (),
        deadline: float | None = None,
    ) -> httpx2.Response:
        """Send one request; its answer, read whole, when it is a success or one of the `expected` codes.

        `needs` says in words what right it takes ("list secrets in namespace shop").
        A read that meets a connection which the server has just dropped is sent again, once.
        """
        request = self._build(method, path, params=params, accept=accept, headers=headers, body=body)
        try:
            async with asyncio.timeout(deadline or self._deadline):
                try:
                    response = await self._send(request)
                except _DROPPED:
                    if method != "GET":
                        raise
                    response = await self._send(request)
        except (httpx2.HTTPError, ConfigError, OSError, KeyError, ValueError) as error:
            self._unreachable(error, release_id)
        if response.status_code not in expected:
            self.check_status(response.status_code, needs=needs, release_id=release_id)
        return response

    @asynccontextmanager
    async def stream(
        self, path: str, *, needs: str, params: Mapping[str, str | int], read_timeout: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The chunks of an answer that goes on. `read_timeout` bounds the silence between two of them."""
        timeout = self._timeout(read=read_timeout)
        request = self._build("GET", path, params=params, accept=JSON, timeout=timeout)
        try:
            async with asyncio.timeout(self._deadline):
                response = await self._send(request, stream=True)
        except (httpx2.HTTPError, ConfigError, OSError, KeyError, ValueError) as error:
            self._unreachable(error)
        try:
            self.check_status(response.status_code, needs=needs)
            yield response.aiter_bytes()
        except httpx2.HTTPError as error:
            self._unreachable(error)
        finally:
            await response.aclose()

    def check_status(self, code: int, *, needs: str, release_id: ReleaseId | None = None) -> None:
        """Raise what this status code of an answer means; nothing for a success."""
        if 200 <= code < 300:
            return
        if code in _DENIALS:
            raise ClusterPermissionDenied(
                release_id or ReleaseId(self.cluster, "*", "*"),
                f"it must be able to {needs}, the API server {_DENIALS[code]}",
            )
        if code == 409:
            raise RecordConflict(f"the record is no longer what it was: {needs}")
        if code == 410:
            raise WatchExpired(f"no longer kept by the API server: {needs}")
        raise ClusterUnreachable(self.cluster, f"it answered {code} to: {needs}", release_id)

    def parse(self, content: bytes, *, release_id: ReleaseId | None = None) -> dict[str, Any]:
        """The Kubernetes object, or watch event, in an answer. Raises ClusterUnreachable: this was no API server."""
        try:
            document = json.loads(content)
        except ValueError:
            document = None
        if not isinstance(document, dict) or document.keys().isdisjoint(("kind", "type")):
            problem = (
                "its answer is no Kubernetes object; does `server` in the kubeconfig name a Kubernetes API server?"
            )
            raise ClusterUnreachable(self.cluster, problem, release_id)
        return document

    def _build(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None,
        accept: str,
        headers: Mapping[str, str] | None = None,
        body: object = None,
        timeout: httpx2.Timeout | None = None,
    ) -> httpx2.Request:
        self._notice_new_token()
        content = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        all_headers = {"Accept": accept, **(headers or {})}
        if content is not None:
            all_headers["Content-Type"] = JSON
        return self._client.build_request(
            method, path, params=params, headers=all_headers, content=content, timeout=timeout or self._client.timeout
        )

    async def _send(self, request: httpx2.Request, *, stream: bool = False) -> httpx2.Response:
        sender = self._fresh if time.monotonic() < self._distrusted_until else self._client
        return await sender.send(request, stream=stream, auth=self._client.auth)

    def _unreachable(self, error: Exception, release_id: ReleaseId | None = None) -> NoReturn:
        if isinstance(error, httpx2.TimeoutException | TimeoutError):
            self._distrusted_until = time.monotonic() + _DISTRUST_SECONDS
            raise ClusterUnreachable(self.cluster, "no answer in time", release_id) from error
        if isinstance(error, httpx2.HTTPError):
            problem = f"{self._config.cluster.server}: {_words(error)}"
            raise ClusterUnreachable(self.cluster, problem, release_id) from error
        self._no_credentials(error, release_id)

    def _no_credentials(self, error: Exception, release_id: ReleaseId | None = None) -> NoReturn:
        # Neither text nor cause: what a credential plugin prints may be a credential.
        problem = f"the kubeconfig's token file or credential plugin gave nothing ({type(error).__name__})"
        raise ClusterUnreachable(self.cluster, problem, release_id) from None

    def _notice_new_token(self) -> None:
        """lightkube reads a token file again only after a 401; the fence has no such moment."""
        if self._token_file is not None and (stamp := self._read_token_stamp()) != self._token_stamp:
            self._client.auth = BearerTokenFileAuth(str(self._token_file))
            self._token_stamp = stamp

    def _read_token_stamp(self) -> int:
        try:
            return self._token_file.stat().st_mtime_ns if self._token_file else 0
        except OSError:
            return 0

    def _timeout(self, *, read: float) -> httpx2.Timeout:
        # Half of it to connect: a handshake that our own deadline cuts off would leave its
        # socket to the garbage collector, one that times out here is closed.
        return httpx2.Timeout(self._deadline, connect=self._deadline / 2, read=read)

    def _make_ssl_context(self) -> ssl.SSLContext:
        return verify_cluster(self._config.cluster, self._user, self._config.abs_file)


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
