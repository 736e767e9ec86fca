"""The few plain HTTPS requests that setting a cluster up needs.

Deliberately not the client of the service under test: a fault in that one
must not hide behind the same fault here. http.client also knows no proxies.
"""

import json
import ssl
from contextlib import closing
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any

JsonObject = dict[str, Any]


class ApiError(RuntimeError):
    """The API server refused; `status` is the HTTP code."""

    def __init__(self, method: str, path: str, status: int, body: str) -> None:
        self.status = status
        super().__init__(f"{method} {path}: {status} {body}")


class Client:
    """JSON over HTTPS as one user."""

    def __init__(self, server: str, ca_file: Path, token: str) -> None:
        self._address = server.removeprefix("https://")
        self._tls = ssl.create_default_context(cafile=str(ca_file))
        self._token = token

    def get(self, path: str) -> JsonObject:
        """Read an object or a list."""
        return self.request("GET", path)

    def create(self, path: str, body: JsonObject) -> JsonObject:
        """Create an object in the collection at `path`."""
        return self.request("POST", path, body)

    def delete(self, path: str) -> JsonObject:
        """Delete an object or a collection."""
        return self.request("DELETE", path)

    def request(
        self, method: str, path: str, body: JsonObject | None = None, *, content_type: str = "application/json"
    ) -> JsonObject:
        """Send one request; raise ApiError for a refusal, OSError for no answer."""
        status, text = self._send(method, path, body, content_type=content_type, timeout=10)
        if status >= 300:
            raise ApiError(method, path, status, text)
        answer: JsonObject = json.loads(text)
        return answer

    def exists(self, path: str) -> bool:
        """Whether the object is there (False only for 404)."""
        try:
            self.get(path)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def is_ready(self) -> bool:
        """Whether /readyz answers 200; False also when nobody listens."""
        try:
            return self._send("GET", "/readyz", timeout=2)[0] == 200
        except (OSError, HTTPException):
            return False

    def _send(
        self,
        method: str,
        path: str,
        body: JsonObject | None = None,
        *,
        content_type: str = "application/json",
        timeout: float,
    ) -> tuple[int, str]:
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Accept": "application/json",
            "Content-Type": content_type,
        }
        with closing(HTTPSConnection(self._address, context=self._tls, timeout=timeout)) as connection:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")
