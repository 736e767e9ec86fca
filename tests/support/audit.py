"""What the API server itself says was written: the witness that nobody in the service can talk to."""

import json
from pathlib import Path
from typing import Any

POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: None
  verbs: [get, list, watch]
- level: Metadata
  resources: [{group: "", resources: [secrets, configmaps]}]
- level: None
"""


_WORDS = {"create": "CREATE", "delete": "DELETE"}


class AuditLog:
    """The log of a cluster with that policy."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def writes(self, namespace: str) -> list[str]:
        """Every write that was carried out in a namespace, in words, in order: `create secrets/sh.helm… by …`."""
        return [
            f"{entry['verb']} {entry['requestURI']} by {entry.get('userAgent', '')}"
            for entry in self._carried_out(namespace)
        ]

    def config_maps(self, namespace: str) -> list[tuple[str, str]]:
        """What was done to which ConfigMap of a namespace, in order: CREATE, DELETE, or PATCH (maybe of nothing)."""
        return [
            (_WORDS.get(entry["verb"]) or ("CREATE" if entry["responseStatus"]["code"] == 201 else "PATCH"), name)
            for entry in self._carried_out(namespace)
            if entry["objectRef"]["resource"] == "configmaps" and (name := entry["objectRef"].get("name"))
        ]

    def _carried_out(self, namespace: str) -> list[dict[str, Any]]:
        entries = [json.loads(line) for line in self._path.read_text().splitlines()]
        return [
            entry
            for entry in entries
            if entry["objectRef"].get("namespace") == namespace and 200 <= entry["responseStatus"]["code"] < 300
        ]
