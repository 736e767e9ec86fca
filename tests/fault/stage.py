"""Where one round takes place: its namespace, its ledger, its replicas."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fault.faults import World
from fault.ledger_reader import Query, query_postgresql, query_sqlite
from fault.live import Live, read_live
from fault.plan import OF_THE_NETWORK, Engine, Fault, Plan
from fault.replicas import LEASE_SECONDS, Replicas
from fault.site import Site, noting_helm
from support.helm import Helm
from support.postgres import PostgresServer
from support.process import ServiceProcess
from support.tcp_proxy import TcpProxy, kubeconfig_through, upstream_port_of


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Of one round."""

    site: Site
    namespace: str
    folder: Path
    helm: Helm
    """By hand."""
    query: Query
    """Asks the ledger's database."""
    world: World

    def read_live(self) -> Live:
        return read_live(self.site.cluster.client, self.namespace)


@contextmanager
def open_stage(plan: Plan, site: Site, folder: Path) -> Iterator[Stage]:
    """Nothing is started yet; in the end whatever runs is killed."""
    namespace = f"f-{uuid.uuid4().hex[:8]}"
    site.cluster.create_namespace(namespace)
    folder.mkdir(parents=True)
    with ExitStack() as undoing:
        undoing.callback(_remove_releases, site, namespace)
        proxies, kubeconfigs = _network(plan, site, undoing)
        url, query, server = _database(plan, site, folder)
        database_proxies, urls = _way_to_the_database(plan, url, server, undoing)
        helm = noting_helm(folder)

        def make(number: int, environment: Mapping[str, str]) -> ServiceProcess:
            own = folder / f"replica-{number}"
            own.mkdir(exist_ok=True)
            flags = ("--lease", f"{LEASE_SECONDS:g}s", "--database", urls[number])
            return ServiceProcess(
                own,
                kubeconfigs[number],
                *flags,
                helm=helm,
                program=site.program,
                environment={"FAR_HOST": f"{namespace}-{number}", **site.environment, **environment},
            )

        replicas = Replicas(plan, make)
        undoing.callback(replicas.kill)
        world = World(replicas=replicas, proxies=proxies, database_proxies=database_proxies, database=server)
        by_hand = site.helm_by_hand(namespace)
        yield Stage(site=site, namespace=namespace, folder=folder, helm=by_hand, query=query, world=world)


def _network(plan: Plan, site: Site, undoing: ExitStack) -> tuple[list[TcpProxy], list[Path]]:
    """How each replica reaches the API server."""
    if plan.fault not in OF_THE_NETWORK | {Fault.ISOLATE}:
        return [], [site.kubeconfig] * plan.engine.replicas
    port = upstream_port_of(site.kubeconfig)
    proxies = [undoing.enter_context(TcpProxy(port)) for _ in range(plan.engine.replicas)]
    return proxies, [kubeconfig_through(proxy, site.kubeconfig) for proxy in proxies]


def _database(plan: Plan, site: Site, folder: Path) -> tuple[str, Query, PostgresServer | None]:
    if plan.engine is Engine.SQLITE:
        path = folder / "ledger.db"
        return f"sqlite:///{path}", query_sqlite(path), None
    assert site.postgres is not None, "this site has no PostgreSQL"
    url = site.postgres.create_database()
    return url, query_postgresql(url), site.postgres


def _way_to_the_database(
    plan: Plan, url: str, server: PostgresServer | None, undoing: ExitStack
) -> tuple[list[TcpProxy], list[str]]:
    """How each replica reaches it."""
    if plan.fault is not Fault.ISOLATE or server is None:
        return [], [url] * plan.engine.replicas
    proxies = [undoing.enter_context(TcpProxy(server.port)) for _ in range(plan.engine.replicas)]
    return proxies, [url.replace(f":{server.port}/", f":{proxy.port}/") for proxy in proxies]


def _remove_releases(site: Site, namespace: str) -> None:
    """Records of finished rounds would slow whoever lists all namespaces."""
    site.cluster.client.delete(f"/api/v1/namespaces/{namespace}/secrets?labelSelector=owner%3Dhelm")
