"""kube-apiserver on a port that it keeps through stop and start."""

import signal
from pathlib import Path

from local_cluster.client import Client
from local_cluster.keys import Keys
from local_cluster.processes import Child, NotReady, free_port
from local_cluster.settings import ClusterSettings

METADATA_AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
"""


class ApiServer:
    """The API server; its data lives in etcd, so it may be taken down and up."""

    def __init__(self, settings: ClusterSettings, folder: Path, keys: Keys, *, etcd_url: str, token: str) -> None:
        self._settings = settings
        self._folder = folder
        self._keys = keys
        self._etcd_url = etcd_url
        self._token = token
        self._child: Child | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where it listens, or listened before it was stopped."""
        return f"https://127.0.0.1:{self._port}"

    @property
    def client(self) -> Client:
        """A client with all rights."""
        return Client(self.url, self._keys.ca, self._token)

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._child.pid if self._child else None

    def start(self) -> None:
        """Start and wait for /readyz; the first start tries a second port if need be."""
        if self._child is not None:
            return
        if self._port:
            self._start()
            return
        self._write_inputs()
        try:
            self._port = free_port()
            self._start()
        except NotReady:
            self.stop()
            self._port = free_port()
            self._start()

    def stop(self, *, kill: bool = False) -> None:
        """End the process, if any; `kill` as a crash would, without goodbye."""
        if self._child is not None:
            first = signal.SIGKILL if kill else signal.SIGTERM
            self._child.end(self._settings.stop_timeout, first=first)
            self._child = None

    def send(self, number: signal.Signals) -> None:
        """Pause it (SIGSTOP) or let it go on (SIGCONT), as a stalled network would."""
        if self._child is not None:
            self._child.send(number)

    def _start(self) -> None:
        self._child = Child("kube-apiserver", self._argv(), log=self._folder / "apiserver.log")
        self._child.wait_until(self.client.is_ready, self._settings.start_timeout)

    def _write_inputs(self) -> None:
        tokens = self._folder / "tokens.csv"
        tokens.touch(mode=0o600)
        tokens.write_text(f'{self._token},admin,admin,"system:masters"\n')
        policy = self._settings.audit_policy or METADATA_AUDIT_POLICY
        (self._folder / "audit-policy.yaml").write_text(policy)

    def _argv(self) -> list[str]:
        keys = self._keys
        argv = [
            str(self._settings.program("kube-apiserver")),
            f"--etcd-servers={self._etcd_url}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._port}",
            f"--cert-dir={self._folder}",
            f"--tls-cert-file={keys.server_certificate}",
            f"--tls-private-key-file={keys.server_key}",
            f"--token-auth-file={self._folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            f"--service-account-key-file={keys.service_account_key}",
            f"--service-account-signing-key-file={keys.service_account_key}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.96.0.0/16",
            # Nobody sends node heartbeats, so no node may be tainted for lack of them.
            "--disable-admission-plugins=TaintNodesByCondition",
            "--profiling=false",
        ]
        if self._settings.audit_log is not None:
            argv += [
                f"--audit-log-path={self._settings.audit_log}",
                f"--audit-policy-file={self._folder / 'audit-policy.yaml'}",
            ]
        return argv + list(self._settings.extra_apiserver_args)
