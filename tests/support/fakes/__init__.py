"""A cluster, a fence and a Helm that live in memory, held to the contract of the real ones.

`tests/contract/executor` runs one suite on these and on the real Helm: whatever a
fake does here, the real thing was seen to do.
"""

from support.fakes.chart_runs import packed
from support.fakes.cluster import FakeCluster
from support.fakes.documents import Chart, config_map, hook, secret
from support.fakes.ends import HelmRun, Hold, Point, RunEnd
from support.fakes.fence import FakeFence
from support.fakes.helm import FakeHelm
from support.fakes.writers import ForeignHelm

__all__ = [
    "Chart",
    "FakeCluster",
    "FakeFence",
    "FakeHelm",
    "ForeignHelm",
    "HelmRun",
    "Hold",
    "Point",
    "RunEnd",
    "config_map",
    "hook",
    "packed",
    "secret",
]
