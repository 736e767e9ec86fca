"""What a local cluster can be asked for."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class ClusterSettings:
    """Choices for one cluster. The defaults serve every chart without Pods."""

    bin_dir: Path
    """Folder with etcd, kube-apiserver and, for workloads, the other programs."""

    workloads: bool = False
    """Also run controllers, a scheduler and kwok, so that Pods become Ready."""

    audit_log: Path | None = None
    """Where kube-apiserver writes one JSON line per request; None for no audit."""

    audit_policy: str | None = None
    """Audit policy as YAML; None logs the metadata of every request."""

    extra_apiserver_args: tuple[str, ...] = ()
    """Appended to kube-apiserver's flags, so that they win over ours."""

    start_timeout: timedelta = timedelta(seconds=60)
    """How long each program may take to become ready. Usual: 4-6 s for all."""

    stop_timeout: timedelta = timedelta(seconds=5)
    """How long a program may take to end by itself before it is killed."""

    def program(self, name: str) -> Path:
        """Path of a program, or FileNotFoundError that says what to do."""
        path = self.bin_dir / name
        if not path.exists():
            raise FileNotFoundError(f"{name} is not in {self.bin_dir}: run `make tools` first")
        return path
