"""Tiny charts, written on the fly: a test shows what its chart is made of.

None needs a real container. Texts may hold template expressions of Helm.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

JsonObject = dict[str, Any]

FAILS = "local-cluster/fail"
"""Pod label, "true": its containers exit with 1 (Jobs and bare Pods)."""
NEVER_READY = "local-cluster/unready"
"""Pod label, "true": it runs but is never Ready."""
RUN_FOR = "local-cluster/run-for"
"""Pod annotation, such as "3s": how long a Job's Pod runs."""


def write_chart(
    folder: Path,
    name: str = "demo",
    version: str = "1.0.0",
    templates: Mapping[str, str] | None = None,
    values: Mapping[str, Any] | None = None,
    **chart_yaml: Any,
) -> Path:
    """Write a chart below `folder` and return its path; by default one ConfigMap.

    `templates` are file name → text; `chart_yaml` adds fields to Chart.yaml.
    The same folder may be written again, as a developer changes a chart.
    """
    chart = folder / name
    (chart / "templates").mkdir(parents=True, exist_ok=True)
    for old in (chart / "templates").iterdir():
        old.unlink()
    meta = {"apiVersion": "v2", "name": name, "version": version, "appVersion": version, **chart_yaml}
    (chart / "Chart.yaml").write_text(yaml.safe_dump(meta))
    (chart / "values.yaml").write_text(yaml.safe_dump(dict(values or {"greeting": "hello"})))
    if templates is None:
        templates = {"config.yaml": config_map(greeting="{{ .Values.greeting }}")}
    for file, text in templates.items():
        (chart / "templates" / file).write_text(text)
    return chart


def config_map(name: str = "{{ .Release.Name }}", *, immutable: bool = False, **data: str) -> str:
    """A ConfigMap. Changing the data of an immutable one is refused by the API server."""
    body: JsonObject = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
    return _yaml(body | ({"immutable": True} if immutable else {}))


def deployment(
    name: str = "{{ .Release.Name }}", *, replicas: int = 1, ready: bool = True, image: str = "app:1"
) -> str:
    """A Deployment, which becomes ready or never does. Needs a cluster with workloads."""
    labels = {"app": name} | ({} if ready else {NEVER_READY: "true"})
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": image}]}},
    }
    return _yaml({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec})


def job(
    name: str = "{{ .Release.Name }}-job",
    *,
    hooks: Sequence[str] = (),
    fails: bool = False,
    run_for: str | None = None,
) -> str:
    """A Job, as a hook at the given events (such as "pre-rollback"). Needs workloads.

    A hook Job stays until the next run of it, which is Helm's default.
    """
    metadata: JsonObject = {"name": name}
    if hooks:
        metadata["annotations"] = {"helm.sh/hook": ",".join(hooks)}
    pod_metadata = {
        "labels": {FAILS: "true"} if fails else {},
        "annotations": {RUN_FOR: run_for} if run_for else {},
    }
    pod = {"restartPolicy": "Never", "containers": [{"name": "job", "image": "job:1"}]}
    spec = {"backoffLimit": 0, "template": {"metadata": pod_metadata, "spec": pod}}
    return _yaml({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec})


def _yaml(body: JsonObject) -> str:
    return yaml.safe_dump(body, sort_keys=False, width=1000)
