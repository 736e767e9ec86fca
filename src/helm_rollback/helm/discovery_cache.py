"""What Helm runs read of the API, shared among those that find the API in the same state.

Helm reads all discovery documents at its start and writes them to 72 files, which
takes an eighth of a small rollback. A cache with an age, as client-go's, is wrong for
as long after a CRD comes or goes; with a stale one Helm strands a release. So a
folder is shared only under the name of the state that it was read in.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

import yaml

from helm_rollback.helm.environment import PrivateFolder, default_parent

_NOT_IN_NAMES = re.compile(r"[^(\w/.)]")
"""As client-go makes a folder's name of an address (`cached_discovery.go`, overlyCautiousIllegalFileCharacters)."""


def _server_of(kubeconfig: str) -> str:
    """The address in a kubeconfig that has one cluster."""
    parsed = yaml.safe_load(kubeconfig)
    return str(parsed["clusters"][0]["cluster"]["server"])


class DiscoveryCache:
    """The documents of each cluster, in the state that was seen last."""

    def __init__(self, parent: Path | None = None) -> None:
        self._parent = parent
        self._folders: dict[str, tuple[str, Path]] = {}

    def share(self, folder: PrivateFolder, cluster: str, state: str, *, kubeconfig: str) -> None:
        """Let a run find what earlier ones read in this `state`; without a state it reads for itself.

        client-go names its folder by the server's address, so the run's `kubeconfig` tells it.
        """
        if not state:
            return
        documents = folder.discovery / "discovery"
        documents.mkdir(parents=True, mode=0o700)
        name = _NOT_IN_NAMES.sub("_", re.sub(r"^https?://", "", _server_of(kubeconfig)))
        (documents / name).symlink_to(self._folder_of(cluster, state), target_is_directory=True)

    def _folder_of(self, cluster: str, state: str) -> Path:
        known_state, known = self._folders.get(cluster, ("", None))
        if known is not None and known_state == state and known.is_dir():
            return known
        if known is not None:
            shutil.rmtree(known, ignore_errors=True)
        made = Path(tempfile.mkdtemp(prefix="helm-rollback-", dir=self._parent or default_parent()))
        self._folders[cluster] = (state, made)
        return made

    def clear(self) -> None:
        """Remove everything."""
        for _, folder in self._folders.values():
            shutil.rmtree(folder, ignore_errors=True)
        self._folders.clear()
