"""Where Helm finds the chart of an install or an upgrade.

What a caller names is never a path here: Helm would take any file that the service can
read (`pkg/action/install.go`, LocateChart).
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from helm_rollback.domain.chart import Chart, ChartArchive, ChartSources, OciChart, RepositoryChart
from helm_rollback.domain.errors import HelmUnavailable


@dataclass(frozen=True, slots=True)
class ChartLocation:
    """A chart as Helm's command line names it."""

    reference: str
    flags: tuple[str, ...] = ()


def locate(chart: Chart, sources: ChartSources, archive: Path) -> ChartLocation:
    """The location; `archive` is the file that holds an archive. Raises HelmUnavailable where settings have changed."""
    match chart:
        case ChartArchive():
            return ChartLocation(str(archive))
        case OciChart(reference):
            return ChartLocation(reference, ("--plain-http",) if _is_on_this_host(reference) else ())
        case RepositoryChart(repository, name):
            url = sources.repositories.get(repository)
            if url is None:
                raise HelmUnavailable(f"the settings name no chart repository {repository} any more")
            return ChartLocation(name, (f"--repo={url}",))


def _is_on_this_host(reference: str) -> bool:
    """A registry on loopback has no certificate that anybody would trust."""
    host = urlsplit(reference).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
