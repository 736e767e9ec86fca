"""Where one Helm run lives: a private folder, and an environment with nothing of ours in it.

Helm reads some thirty variables (`pkg/cli/environment.go`), client-go more, and
both fall back to HOME and to the cluster the process runs in. So the environment
starts empty, every place that Helm would look at lies in a fresh folder, and with
the folder everything is gone. Fresh also means: no stale discovery cache, with
which Helm would take a served kind for a missing one.

client-go syncs each of the cache's 72 files to disk, which on a disk takes as long as
the rollback itself; so the folder is made in memory where there is such a place.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class PrivateFolder:
    """A folder that only we may enter (0700)."""

    path: Path

    @property
    def work(self) -> Path:
        """An empty working directory: a chart path could otherwise be found in ours."""
        return self.path / "work"

    @property
    def kubeconfig(self) -> Path:
        return self.path / "kubeconfig"

    @property
    def chart(self) -> Path:
        return self.path / "chart.tgz"

    @property
    def values(self) -> Path:
        return self.path / "values.yaml"

    @property
    def output(self) -> Path:
        """What Helm prints. A file: a full or broken pipe would stop Helm in the middle of a rollback."""
        return self.path / "output"

    @property
    def discovery(self) -> Path:
        """Where client-go keeps what it reads of the API (`disk/cached_discovery.go`)."""
        return self.path / "discovery"

    @property
    def environment(self) -> dict[str, str]:
        """All that Helm gets. HELM_BURST_LIMIT stays unset: -1 makes every command of 4.3 fail."""
        return {
            "HOME": str(self.path / "home"),
            "TMPDIR": str(self.work),
            "KUBECACHEDIR": str(self.discovery),
            "HELM_CACHE_HOME": str(self.path / "cache"),
            "HELM_CONFIG_HOME": str(self.path / "config"),
            "HELM_DATA_HOME": str(self.path / "data"),
            "HELM_PLUGINS": str(self.path / "plugins"),
            "HELM_REGISTRY_CONFIG": str(self.path / "config" / "registry.json"),
            "HELM_REPOSITORY_CONFIG": str(self.path / "config" / "repositories.yaml"),
            "HELM_REPOSITORY_CACHE": str(self.path / "cache" / "repository"),
            "HELM_CONTENT_CACHE": str(self.path / "cache" / "content"),
            "HELM_DRIVER": "secret",
            "HELM_NO_PLUGINS": "1",
            "NO_COLOR": "1",
        }


_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - each folder in it is made by mkdtemp


def default_parent() -> Path:
    """Where private folders are made: in memory (Linux), else the system's temporary folder."""
    usable = _IN_MEMORY.is_dir() and os.access(_IN_MEMORY, os.W_OK | os.X_OK)
    return _IN_MEMORY if usable else Path(tempfile.gettempdir())


@contextmanager
def private_folder(parent: Path | None = None) -> Iterator[PrivateFolder]:
    """A fresh folder below `parent` (default: `default_parent`), removed at the end."""
    folder = PrivateFolder(Path(tempfile.mkdtemp(prefix="helm-rollback-", dir=parent or default_parent())))
    try:
        for name in ("work", "home", "plugins"):
            (folder.path / name).mkdir(mode=0o700)
        yield folder
    finally:
        shutil.rmtree(folder.path, ignore_errors=True)


def write_private(path: Path, content: str | bytes) -> None:
    """Make a file that only we may read (0600), from its first byte on."""
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
