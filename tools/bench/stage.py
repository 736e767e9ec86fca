"""The stage: a cluster, a service in a process of its own, and releases to roll back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from local_cluster import LocalCluster

BIN_DIR = Path(__file__).parents[2] / ".tools" / "bin"
NAMESPACE = "bench"
CONFIG_MAPS = 3
_READY_SECONDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Everything that runs."""

    cluster: LocalCluster
    address: str
    """Where the service serves gRPC."""
    charts: tuple[Path, Path]
    """The same chart in two versions, with other data in each object."""
    home: Path

    @property
    def helm_program(self) -> Path:
        return BIN_DIR / "helm"

    def helm(self, *arguments: str | Path) -> list[str]:
        """The command line of the bare Helm."""
        return [
            str(self.helm_program),
            *("--kubeconfig", str(self.cluster.kubeconfig)),
            *("--namespace", NAMESPACE),
            *(str(argument) for argument in arguments),
        ]

    @property
    def environment(self) -> dict[str, str]:
        """What the bare Helm finds in its environment: a home whose discovery cache is warm."""
        return {"HOME": str(self.home)}

    def make_release(self, name: str) -> None:
        """A release with two revisions."""
        for verb, chart in zip(("install", "upgrade"), self.charts, strict=True):
            subprocess.run(self.helm(verb, name, chart), env=self.environment, check=True, capture_output=True)


@contextmanager
def stage() -> Iterator[Stage]:
    """Start cluster and service; end both."""
    with TemporaryDirectory(prefix="helm-rollback-bench-") as temporary, LocalCluster(BIN_DIR) as cluster:
        folder = Path(temporary)
        cluster.create_namespace(NAMESPACE)
        with _service(folder, cluster) as address:
            yield Stage(
                cluster=cluster,
                address=address,
                charts=(_chart(folder, "1.0.0"), _chart(folder, "1.1.0")),
                home=folder / "home",
            )


@contextmanager
def _service(folder: Path, cluster: LocalCluster) -> Iterator[str]:
    log = (folder / "service.log").open("w")
    service = subprocess.Popen(
        [
            *(sys.executable, "-m", "helm_rollback", "serve"),
            *("--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"),
            *("--database", f"sqlite:///{folder / 'ledger.db'}"),
            *("--kubeconfig", str(cluster.kubeconfig)),
            *("--helm", str(BIN_DIR / "helm")),
        ],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    try:
        assert service.stdout is not None
        line = service.stdout.readline()
        if not line:
            raise SystemExit(f"the service did not start: {(folder / 'service.log').read_text()[-2000:]}")
        yield json.loads(line)["grpc"]
    finally:
        service.terminate()
        service.wait(_READY_SECONDS)
        log.close()


def _chart(folder: Path, version: str) -> Path:
    chart = folder / f"chart-{version}"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text(f"apiVersion: v2\nname: shop\nversion: {version}\n")
    for number in range(CONFIG_MAPS):
        (chart / "templates" / f"{number}.yaml").write_text(
            "apiVersion: v1\nkind: ConfigMap\n"
            f"metadata:\n  name: {{{{ .Release.Name }}}}-{number}\n"
            f"data:\n  version: {version}\n"
        )
    return chart
