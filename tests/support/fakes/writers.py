"""`ForeignHelm`: what other people's Helm does to a `FakeCluster`, write by write.

The order of the writes is that of Helm's own (`pkg/action/install.go`, `upgrade.go`,
`rollback.go`, `uninstall.go`), as a watch of a real API server told it.
"""

from __future__ import annotations

from support.fakes.cluster import FakeCluster
from support.fakes.documents import Chart, Document, go_time, release_document, rollback_document, with_info

from helm_rollback.domain.record import secret_name

_CHART = Chart()


class ForeignHelm:
    """Helm in the hands of somebody else, on one release."""

    def __init__(self, cluster: FakeCluster, release: str = "shop", namespace: str = "prod") -> None:
        self._cluster = cluster
        self.release = release
        self.namespace = namespace

    @property
    def release_id(self) -> str:
        return f"{self._cluster.name}.{self.namespace}.{self.release}"

    @property
    def stored(self) -> dict[int, Document]:
        """The documents that are stored now, by revision."""
        return self._cluster.documents(self.namespace, self.release)

    @property
    def statuses(self) -> dict[int, str]:
        """As `helm history` shows them."""
        return {revision: document["info"]["status"] for revision, document in self.stored.items()}

    def install(self, chart: Chart = _CHART, *, fails: bool = False, replace: bool = False) -> int:
        """`helm install`; with `replace` over an uninstalled release, whose numbering goes on."""
        now, revision = self._cluster.now(), max(self.stored, default=0) + 1
        assert replace or revision == 1, "Helm refuses a name that is in use"
        if replace and revision > 1:
            self._cluster.update(with_info(self.stored[revision - 1], "superseded", "superseded by new release"))
        document = release_document(self.release, self.namespace, revision, chart, first_deployed=now, now=now)
        self._cluster.create(with_info(document, "pending-install", "Initial install underway"))
        if fails:
            text = f'Release "{self.release}" failed: resource Deployment/prod/shop not ready. status: InProgress'
            self._cluster.update(with_info(document, "failed", text))
        else:
            self._cluster.update(with_info(document, "deployed", "Install complete"))
        return revision

    def upgrade(self, chart: Chart = _CHART, *, fails: bool = False) -> int:
        """`helm upgrade`; with `fails` it waits in vain."""
        document = self.begin_upgrade(chart)
        revision: int = document["version"]
        if fails:
            text = f'Upgrade "{self.release}" failed: resource Deployment/prod/shop not ready. status: InProgress'
            self._cluster.update(with_info(document, "failed", text))
        else:
            self.end_upgrade(document)
        return revision

    def begin_upgrade(self, chart: Chart = _CHART) -> Document:
        """`helm upgrade` as far as its record: it applies, or was killed."""
        current = self.stored[max(self.stored)]
        document = release_document(
            self.release,
            self.namespace,
            current["version"] + 1,
            chart,
            first_deployed=self._cluster.now(),
            now=self._cluster.now(),
        )
        document["info"]["first_deployed"] = current["info"]["first_deployed"]
        document = with_info(document, "pending-upgrade", "Preparing upgrade")
        self._cluster.create(document)
        return document

    def end_upgrade(self, document: Document) -> None:
        """The end of an upgrade that worked: only the newest deployed one is superseded, or else its base."""
        deployed = self._deployed()
        base = deployed[-1] if deployed else self.stored[document["version"] - 1]
        self._cluster.update(with_info(base, "superseded"))
        self._cluster.update(with_info(document, "deployed", "Upgrade complete"))

    def rollback(self, target: int, *, fails_to_apply: bool = False) -> int:
        """`helm rollback`."""
        current = self.stored[max(self.stored)]
        document = rollback_document(current, self.stored[target], description="", now=self._cluster.now())
        revision: int = document["version"]
        self._cluster.create(document)
        if fails_to_apply:
            self._cluster.update(with_info(current, "superseded"))
            text = f'Rollback "{self.release}" failed: field is immutable'
            self._cluster.update(with_info(document, "failed", text))
            return revision
        for deployed in self._deployed():
            self._cluster.update(with_info(deployed, "superseded"))
        self._cluster.update(with_info(document, "deployed"))
        return revision

    def uninstall(self, *, keep_history: bool = False) -> None:
        """`helm uninstall`."""
        current = self.stored[max(self.stored)]
        deleted = go_time(self._cluster.now())
        leaving = with_info(current, "uninstalling", "Deletion in progress (or silently failed)", deleted=deleted)
        self._cluster.update(leaving)
        if not keep_history:
            for revision in self.stored:
                self._cluster.delete(self.namespace, secret_name(self.release, revision))
            return
        for deployed in self._deployed():
            self._cluster.update(with_info(deployed, "superseded"))
        self._cluster.update(with_info(leaving, "uninstalled", "Uninstallation complete"))

    def forget(self, revision: int) -> None:
        """Prune one record, or delete it by hand."""
        self._cluster.delete(self.namespace, secret_name(self.release, revision))

    def edit(self, revision: int, chart: Chart) -> None:
        """Change a record's content by hand, as nobody should."""
        document = self.stored[revision]
        self._cluster.update(document | {"manifest": chart.rendered, "config": dict(chart.values)})

    def _deployed(self) -> list[Document]:
        return [document for document in self.stored.values() if document["info"]["status"] == "deployed"]
