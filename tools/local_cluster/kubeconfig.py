"""Kubeconfig files, written as JSON (which is YAML) so that no library is needed."""

import base64
import json
from pathlib import Path


def write_kubeconfig(path: Path, *, server: str, ca_file: Path, token: str) -> Path:
    """Write a complete kubeconfig, readable by its owner only."""
    name = "local-cluster"
    cluster = {
        "server": server,
        "certificate-authority-data": base64.b64encode(ca_file.read_bytes()).decode(),
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(config, indent=2) + "\n")
    return path
