"""REST as somebody with curl uses it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.process import ServiceProcess


@dataclass(frozen=True)
class Answered:
    """What curl printed."""

    code: int
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Curl:
    """Calls one service."""

    service: ServiceProcess
    folder: Path

    def __call__(self, verb: str, path: str, body: Any = None, *headers: str) -> Answered:
        """Call `path` below /api/v1/helm; a body travels by file, since a chart is too long for an argument."""
        arguments = ["curl", "-sS", "-i", "-X", verb, *(word for header in headers for word in ("-H", header))]
        if body is not None:
            file = self.folder / "body.json"
            file.write_text(json.dumps(body))
            arguments += ["-H", "Content-Type: application/json", "--data-binary", f"@{file}"]
        address = f"http://{self.service.ready['http']}/api/v1/helm{path}"
        done = subprocess.run([*arguments, address], capture_output=True, check=True, timeout=120)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        named = dict(line.split(": ", 1) for line in lines)
        return Answered(
            int(first.split()[1]), {key.lower(): value for key, value in named.items()}, json.loads(content)
        )
