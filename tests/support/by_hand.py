"""A release called `shop`, changed by hand: each version of its chart has other content."""

from dataclasses import dataclass
from pathlib import Path

from support.charts import config_map, write_chart
from support.helm import Helm

REJECTED = config_map(name="No_Name", a="1")
"""The API server refuses it: whoever applies it fails while applying."""


@dataclass
class ByHand:
    """Runs Helm on the release `shop`."""

    helm: Helm
    folder: Path

    def chart(self, version: str, **templates: str) -> Path:
        """A ConfigMap that bears the version, and these templates."""
        files = {f"{name}.yaml": text for name, text in templates.items()}
        files["version.yaml"] = config_map(version="{{ .Chart.Version }}")
        return write_chart(self.folder, version=version, templates=files)

    def install(self, version: str, *flags: str, **templates: str) -> None:
        self.helm.install("shop", self.chart(version, **templates), *flags)

    def upgrade(self, version: str, *flags: str, **templates: str) -> None:
        self.helm.upgrade("shop", self.chart(version, **templates), *flags)

    def fail_to_install(self) -> None:
        assert self.helm.install("shop", self.chart("9.9.9", bad=REJECTED), check=False).returncode == 1

    def fail_to_upgrade(self, version: str = "9.9.9", **templates: str) -> None:
        """`templates` are what fails; by default something does."""
        chart = self.chart(version, **(templates or {"bad": REJECTED}))
        assert self.helm.upgrade("shop", chart, check=False).returncode == 1

    def fail_to_roll_back(self, revision: int) -> None:
        assert self.helm.rollback("shop", revision, check=False).returncode == 1

    def assert_free(self) -> None:
        """Helm upgrades it; it refuses that for a release that is pending."""
        self.upgrade("99.0.0")

    @property
    def statuses(self) -> dict[int, str]:
        """What Helm says of each revision."""
        return self.helm.statuses("shop")

    @property
    def charts(self) -> dict[int, str]:
        """The chart version of each revision."""
        return {entry["revision"]: entry["chart"].removeprefix("demo-") for entry in self.helm.history_json("shop")}

    def packed(self, version: str, **templates: str) -> bytes:
        """A version of the chart, as `helm package` packs it."""
        chart = self.chart(version, **templates)
        self.helm.run("package", chart, "--destination", self.folder)
        return (self.folder / f"{chart.name}-{version}.tgz").read_bytes()
