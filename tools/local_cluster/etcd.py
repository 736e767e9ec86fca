"""etcd, the store beneath kube-apiserver."""

from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from local_cluster.processes import Child, NotReady, free_port
from local_cluster.settings import ClusterSettings


class Etcd:
    """A single-member etcd in a folder of its own; without fsync, since it is thrown away."""

    def __init__(self, settings: ClusterSettings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._child: Child | None = None
        self.url = ""

    def start(self) -> None:
        """Start and wait; once more on other ports when somebody took ours meanwhile."""
        try:
            self._start()
        except NotReady:
            self.stop()
            self._start()

    def stop(self) -> None:
        """End the process, if any."""
        if self._child is not None:
            self._child.end(self._settings.stop_timeout)
            self._child = None

    def _start(self) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        peer = f"http://127.0.0.1:{free_port()}"
        argv = [
            str(self._settings.program("etcd")),
            f"--data-dir={self._folder / 'etcd'}",
            f"--listen-client-urls={self.url}",
            f"--advertise-client-urls={self.url}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]
        self._child = Child("etcd", argv, log=self._folder / "etcd.log")
        self._child.wait_until(self._is_healthy, self._settings.start_timeout)

    def _is_healthy(self) -> bool:
        address = self.url.removeprefix("http://")
        try:
            with closing(HTTPConnection(address, timeout=2)) as connection:
                connection.request("GET", "/health")
                return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
