"""The cluster as one thing: start all, hand out what clients need, end all."""

import secrets
import shutil
import signal
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from local_cluster.apiserver import ApiServer
from local_cluster.client import Client
from local_cluster.etcd import Etcd
from local_cluster.guard import Guard
from local_cluster.keys import write_keys
from local_cluster.kubeconfig import write_kubeconfig
from local_cluster.settings import ClusterSettings
from local_cluster.users import Rule, User, create_account, wait_until_effective
from local_cluster.workloads import Workloads, wait_for_service_account


class LocalCluster:
    """A running cluster while its `with` block lasts.

    Everything lies in one temporary folder that goes away with it. An
    exception anywhere, also halfway through the start, ends what was started.
    """

    def __init__(
        self,
        bin_dir: Path,
        *,
        workloads: bool = False,
        audit_log: Path | None = None,
        audit_policy: str | None = None,
        extra_apiserver_args: Sequence[str] = (),
    ) -> None:
        """Take choices, which ClusterSettings explains; nothing is started yet."""
        self._settings = ClusterSettings(
            bin_dir=bin_dir.absolute(),
            workloads=workloads,
            audit_log=audit_log,
            audit_policy=audit_policy,
            extra_apiserver_args=tuple(extra_apiserver_args),
        )
        self._cleanup = ExitStack()
        self.token = secrets.token_hex(24)
        """Bearer token of an administrator."""

    def __enter__(self) -> Self:
        with ExitStack() as cleanup:
            self.folder = Path(tempfile.mkdtemp(prefix="local-cluster-"))
            cleanup.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self._start(cleanup)
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cleanup.close()

    @property
    def server(self) -> str:
        """URL of the API server; the same through stop and start."""
        return self._apiserver.url

    @property
    def client(self) -> Client:
        """A small HTTPS client with all rights."""
        return self._apiserver.client

    def stop_apiserver(self, *, kill: bool = False) -> None:
        """Take the API server down; clients find the port closed, the data stays."""
        self._apiserver.stop(kill=kill)

    def start_apiserver(self) -> None:
        """Bring it back on the same port and wait until it is ready."""
        self._apiserver.start()

    def pause_apiserver(self) -> None:
        """Let requests hang, as a lost network does; resume_apiserver() ends it."""
        self._apiserver.send(signal.SIGSTOP)

    def resume_apiserver(self) -> None:
        """Let a paused API server go on."""
        self._apiserver.send(signal.SIGCONT)

    def create_namespace(self, name: str) -> None:
        """Create a namespace that Pods can be created in at once."""
        self.client.create("/api/v1/namespaces", {"metadata": {"name": name}})
        if self._settings.workloads:
            wait_for_service_account(self.client, name)

    def delete_namespace(self, name: str) -> None:
        """Ask for its deletion; without workloads nobody empties it, and it stays Terminating."""
        self.client.delete(f"/api/v1/namespaces/{name}")

    def create_user(self, name: str, rules: Sequence[Rule] = (), *, namespace: str | None = None) -> User:
        """Make a user who may do only this, in `namespace` or (None) everywhere."""
        token = create_account(self.client, name, rules, namespace=namespace)
        wait_until_effective(Client(self.server, self.ca_file, token), rules, namespace)
        path = self.folder / f"{namespace or 'all'}-{name}.kubeconfig"
        write_kubeconfig(path, server=self.server, ca_file=self.ca_file, token=token)
        return User(name, token, path)

    def _start(self, cleanup: ExitStack) -> None:
        guard = Guard(self.folder)
        cleanup.callback(guard.dismiss)
        keys = write_keys(self.folder)
        self.ca_file = keys.ca
        etcd = Etcd(self._settings, self.folder)
        cleanup.callback(etcd.stop)
        etcd.start()
        self._apiserver = ApiServer(self._settings, self.folder, keys, etcd_url=etcd.url, token=self.token)
        cleanup.callback(self._apiserver.stop)
        self._apiserver.start()
        self.kubeconfig = write_kubeconfig(
            self.folder / "kubeconfig", server=self.server, ca_file=self.ca_file, token=self.token
        )
        if self._settings.workloads:
            workloads = Workloads(self._settings, self.folder, self.kubeconfig, keys)
            cleanup.callback(workloads.stop)
            workloads.start(self.client, self.ca_file)
