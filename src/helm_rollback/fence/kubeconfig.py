"""The kubeconfig that Helm is given: a loopback address and a one-time token.

The token is the password of the server's URL, which Go's http package sends as Basic
authorization and masks in its error texts. A `token` of the kubeconfig would not be
sent: client-go leaves a user's credentials out unless the server speaks TLS
(`tools/clientcmd/client_config.go`).
"""

from __future__ import annotations

import base64
import json

_USER = "fence"


def kubeconfig(port: int, token: str) -> str:
    """A complete kubeconfig. JSON is YAML, so nothing needs quoting rules. `token` must suit a URL as it is."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": _USER,
            "clusters": [{"name": _USER, "cluster": {"server": f"http://{_USER}:{token}@127.0.0.1:{port}"}}],
            "users": [{"name": _USER, "user": {}}],
            "contexts": [{"name": _USER, "context": {"cluster": _USER, "user": _USER}}],
        },
        indent=1,
    )


def authorization(token: str) -> str:
    """The header with which a client that read the kubeconfig comes."""
    return "Basic " + base64.b64encode(f"{_USER}:{token}".encode()).decode()
