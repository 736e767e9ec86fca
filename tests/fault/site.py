"""Where rounds take place: an audited cluster, a user for the service, and a Helm that notes each of its starts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from fault.audit import POLICY, AuditLog
from local_cluster import LocalCluster, Rule
from support.cluster import BIN_DIR
from support.helm import Helm
from support.postgres import PostgresServer

FAR_SERVICE = ("-P", str(Path(__file__).parents[1] / "support" / "far_service.py"))
_SERVICE_USER = "system:serviceaccount:default:service"
_STAMP = re.compile(r"--description=\[([0-9a-f-]{36})\]")


@dataclass(frozen=True, kw_only=True)
class Site:
    """Shared by the rounds of one run, one after the other."""

    cluster: LocalCluster
    kubeconfig: Path
    """Of the service, whose writes the audit log tells from other people's by the user."""
    folder: Path
    postgres: PostgresServer | None
    """Where rounds on PostgreSQL have their ledgers; None where there are none."""
    program: Sequence[str] = FAR_SERVICE
    """What is started as the service. It takes FAR_HOST as its machine's name."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Of that program."""

    def audit(self) -> AuditLog:
        """The writes from now on."""
        return AuditLog(self.folder / "audit.log", service_user=_SERVICE_USER)

    def helm_by_hand(self, namespace: str) -> Helm:
        home = self.folder / "helm-home"
        home.mkdir(exist_ok=True)
        return Helm(BIN_DIR / "helm", self.cluster.kubeconfig, namespace, home)


@contextmanager
def open_site(*, postgres: bool = True) -> Iterator[Site]:
    """Start the servers, and end them."""
    with TemporaryDirectory(prefix="fault-") as name, ExitStack() as running:
        folder = Path(name)
        cluster = running.enter_context(LocalCluster(BIN_DIR, audit_log=folder / "audit.log", audit_policy=POLICY))
        user = cluster.create_user("service", [Rule(["*"], ["*"], ["*"])])
        server = running.enter_context(PostgresServer()) if postgres else None
        yield Site(cluster=cluster, kubeconfig=user.kubeconfig, folder=folder, postgres=server)


def noting_helm(folder: Path) -> Path:
    """The real Helm, which first writes down what it was asked for: the second witness of every start."""
    program = folder / "helm"
    program.write_text(f'#!/bin/sh\necho "$*" >> {folder / "helm-starts"}\nexec {BIN_DIR / "helm"} "$@"\n')
    program.chmod(0o700)
    return program


def helm_starts(folder: Path) -> Counter[str]:
    """Operation id → how often a Helm was started for it."""
    starts = folder / "helm-starts"
    return Counter(_STAMP.findall(starts.read_text())) if starts.exists() else Counter()
