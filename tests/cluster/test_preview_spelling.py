"""PreviewRollback on real Helm: what the API server only spells otherwise than the chart is no change, and no drift."""

from __future__ import annotations

from support.previews import CHANGE, UNCHANGED, Theatre, actions, diff_of, drifted, warnings

from helm_rollback.v1.helm_options_pb2 import HelmOptions
from helm_rollback.v1.release_pb2 import Operation

pytest_plugins = ["support.services", "support.preview_fixtures"]

NO_PODS = HelmOptions.HOOKS_ONLY
"""Nobody makes Pods in this cluster, so nothing is waited for."""


WORKLOADS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, creationTimestamp: null, annotations: {}}
spec:
  replicas: 1
  paused: false
  strategy: {}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {creationTimestamp: null, labels: {app: web}}
    spec:
      hostNetwork: false
      nodeSelector: {}
      affinity: {}
      tolerations: []
      securityContext: {}
      containers:
      - {name: web, image: "app:1", env: [{name: NOTHING, value: ""}], resources: {}}
      - {name: side, image: "app:1", args: null, resources: {limits: {cpu: CORES, memory: 1024Mi}, requests: {}}}
      volumes: [{name: tmp, emptyDir: {}}, {name: cache, emptyDir: {sizeLimit: 1024Mi}}]
status: {}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: "db:1", resources: {requests: {cpu: 1}}}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1024Mi}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: all}
spec: {podSelector: {}, ingress: [{}], egress: []}
"""


def test_what_the_api_server_spells_otherwise_is_no_change(theatre: Theatre) -> None:
    theatre.by_hand.install("1.0.0", all=WORKLOADS.replace("CORES", "0.5"))
    theatre.by_hand.upgrade("1.1.0", all=WORKLOADS.replace("CORES", "0.5"))

    preview = theatre.preview(wait_strategy=NO_PODS)

    assert actions(preview) == {
        ("ConfigMap", "shop"): CHANGE, ("Deployment", "web"): UNCHANGED,
        ("StatefulSet", "db"): UNCHANGED, ("NetworkPolicy", "all"): UNCHANGED,
    }  # fmt: skip
    assert (drifted(preview), warnings(preview)) == (set(), [])
    assert theatre.roll_back_as(preview, wait_strategy=NO_PODS).state == Operation.SUCCEEDED


def test_a_changed_quantity_among_what_is_spelled_otherwise(theatre: Theatre) -> None:
    theatre.by_hand.install("1.0.0", all=WORKLOADS.replace("CORES", "0.5"))
    theatre.by_hand.upgrade("1.1.0", all=WORKLOADS.replace("CORES", "1"))

    preview = theatre.preview(wait_strategy=NO_PODS)

    assert actions(preview) == {
        ("ConfigMap", "shop"): CHANGE, ("Deployment", "web"): CHANGE,
        ("StatefulSet", "db"): UNCHANGED, ("NetworkPolicy", "all"): UNCHANGED,
    }  # fmt: skip
    assert (diff_of(preview, "web"), drifted(preview)) == (["-            cpu: '1'", "+            cpu: 500m"], set())
    assert theatre.roll_back_as(preview, wait_strategy=NO_PODS).state == Operation.SUCCEEDED


def test_nothing_of_helm_s_own_starter_chart_is_taken_for_a_change(theatre: Theatre) -> None:
    helm, chart = theatre.by_hand.helm, theatre.by_hand.folder / "starter"
    helm.run("create", chart)
    flags = ["--set=ingress.enabled=true,autoscaling.enabled=true,resources.limits.cpu=0.5,replicaCount=1"]
    helm.install("shop", chart, *flags)
    helm.upgrade("shop", chart, *flags)

    preview = theatre.preview(wait_strategy=NO_PODS, disable_hooks=True)

    assert {kind for kind, _ in actions(preview)} >= {"Deployment", "Service", "Ingress", "HorizontalPodAutoscaler"}
    assert set(actions(preview).values()) == {UNCHANGED}
    assert (drifted(preview), warnings(preview)) == (set(), [])
