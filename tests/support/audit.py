"""What the API server itself says was written: the witness that nobody in the service can talk to."""

import json
from pathlib import Path

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


class AuditLog:
    """The log of a cluster with that policy."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def writes(self, namespace: str) -> list[str]:
        """Every write that was carried out in a namespace, in words, in order: `create secrets/sh.helm… by …`."""
        entries = [json.loads(line) for line in self._path.read_text().splitlines()]
        return [
            f"{entry['verb']} {entry['requestURI']} by {entry.get('userAgent', '')}"
            for entry in entries
            if entry["objectRef"].get("namespace") == namespace and 200 <= entry["responseStatus"]["code"] < 300
        ]
