"""What is told of workloads that are not ready, from what an API server says of them."""

from __future__ import annotations

from typing import Any

import pytest

from helm_rollback.application import ill_health

Json = dict[str, Any]


def workload(kind: str, *, status: Json, **spec: Any) -> Json:
    return {"kind": kind, "metadata": {"name": "shop"}, "spec": spec, "status": status}


def pod(phase: str, *containers: Json, **status: Any) -> Json:
    told = {"phase": phase, "containerStatuses": list(containers), **status}
    return {"kind": "Pod", "metadata": {"name": "shop-1"}, "status": told}


def container(state: Json, *, ready: bool = False, **further: Any) -> Json:
    return {"name": "app", "ready": ready, "state": state, **further}


@pytest.mark.parametrize(
    "well",
    [
        workload("Deployment", status={"readyReplicas": 2, "updatedReplicas": 2}, replicas=2),
        workload("Deployment", status={}, replicas=0),
        workload("StatefulSet", status={"readyReplicas": 1, "updatedReplicas": 1}),
        workload("ReplicaSet", status={"readyReplicas": 1}, replicas=1),
        workload("DaemonSet", status={"desiredNumberScheduled": 3, "numberReady": 3, "updatedNumberScheduled": 3}),
        workload("Job", status={"succeeded": 1}),
        workload("PersistentVolumeClaim", status={"phase": "Bound"}),
        pod("Running", container({"running": {}}, ready=True)),
        pod("Succeeded", container({"terminated": {"exitCode": 0}})),
        pod(
            "Running",
            container({"running": {}}, ready=True),
            initContainerStatuses=[container({"terminated": {"exitCode": 0}})],
        ),
    ],
    ids=lambda document: document["kind"],
)
def test_of_what_is_ready_or_done_there_is_nothing_to_tell(well: Json) -> None:
    assert ill_health.problems(well) == []


@pytest.mark.parametrize(
    ("ill", "told"),
    [
        (
            workload(
                "Deployment",
                replicas=2,
                status={
                    "readyReplicas": 1,
                    "updatedReplicas": 1,
                    "conditions": [
                        {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable"},
                        {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"},
                        {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"},
                    ],
                },
            ),
            [
                "1 of 2 replicas are ready",
                "1 of 2 replicas are updated",
                "Available is False: MinimumReplicasUnavailable",
                "ReplicaFailure is True: FailedCreate: quota",
            ],
        ),
        (
            workload("DaemonSet", status={"desiredNumberScheduled": 3, "numberReady": 1, "updatedNumberScheduled": 3}),
            ["1 of 3 replicas are ready"],
        ),
        (workload("Job", status={"failed": 1}), ["0 of 1 Pods succeeded, 1 failed"]),
        (workload("PersistentVolumeClaim", status={}), ["is Pending"]),
        (
            pod("Pending", container({"waiting": {"reason": "ImagePullBackOff", "message": "no such\nimage"}})),
            ["is Pending", "container app waits: ImagePullBackOff: no such image"],
        ),
        (
            pod("Failed", container({"terminated": {"exitCode": 1, "reason": "Error"}})),
            ["is Failed", "container app ended with exit code 1: Error"],
        ),
        (pod("Running", container({"running": {}})), ["is Running", "container app runs, and is not ready"]),
        (
            pod(
                "Running",
                container(
                    {"waiting": {"reason": "CrashLoopBackOff"}},
                    restartCount=3,
                    lastState={"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
                ),
            ),
            [
                "is Running",
                "container app waits: CrashLoopBackOff",
                "container app was restarted 3 times; before, it ended with exit code 137: OOMKilled",
            ],
        ),
        (pod("Failed", reason="Evicted", message="disk pressure"), ["is Failed: Evicted: disk pressure"]),
        (
            pod("Pending", conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]),
            ["is Pending", "PodScheduled is False: Unschedulable"],
        ),
    ],
)
def test_what_is_wrong_is_told_in_lines(ill: Json, told: list[str]) -> None:
    assert ill_health.problems(ill) == told


def test_a_container_that_never_ran_printed_nothing_and_a_restarted_one_is_heard_as_it_was_before() -> None:
    waiting = container({"waiting": {}})
    restarted = container({"waiting": {}}, lastState={"terminated": {"exitCode": 1}}) | {"name": "again"}
    ended = container({"terminated": {"exitCode": 1}}) | {"name": "ended"}
    ready = container({"running": {}}, ready=True) | {"name": "ready"}

    heard = ill_health.containers_to_hear(pod("Running", waiting, restarted, ended, ready))

    assert heard == [("again", True), ("ended", False)]


def test_every_secret_that_a_pod_gets_to_see_is_known() -> None:
    spec = {
        "initContainers": [{"envFrom": [{"secretRef": {"name": "a"}}, {"configMapRef": {"name": "no"}}]}],
        "containers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "b"}}}, {"value": "plain"}]}],
        "volumes": [
            {"secret": {"secretName": "c"}},
            {"projected": {"sources": [{"secret": {"name": "d"}}, {"configMap": {"name": "no"}}]}},
            {"emptyDir": {}},
        ],
    }

    assert ill_health.secret_names({"spec": spec}) == {"a", "b", "c", "d"}


def test_a_selector_is_written_as_kubectl_reads_it() -> None:
    expressions = [
        {"key": "tier", "operator": "In", "values": ["a", "b"]},
        {"key": "old", "operator": "DoesNotExist"},
        {"key": "new", "operator": "Exists"},
        {"key": "zone", "operator": "NotIn", "values": ["c"]},
    ]
    selector = {"matchLabels": {"app": "shop"}, "matchExpressions": expressions}

    assert ill_health.selector_of({"spec": {"selector": selector}}) == "app=shop,tier in (a,b),!old,new,zone notin (c)"
    assert ill_health.selector_of({"spec": {}}) == ""


@pytest.mark.parametrize(
    ("kind", "name", "concerns"),
    [
        ("Deployment", "shop", True),
        ("ReplicaSet", "shop-5d9c7", True),
        ("ReplicaSet", "shop-db-5d9c7", False),
        ("Pod", "shop-1", True),
        ("Pod", "shop-2", False),
    ],
)
def test_an_event_is_told_apart_from_a_neighbours(kind: str, name: str, concerns: bool) -> None:
    sick = [workload("Deployment", status={}), pod("Pending")]

    assert ill_health.concerns({"involvedObject": {"kind": kind, "name": name}}, sick) is concerns


def test_an_event_tells_when_it_was_last_seen_and_how_often() -> None:
    event = {
        "involvedObject": {"kind": "Pod", "name": "shop-1"},
        "reason": "BackOff",
        "message": "restarting",
        "firstTimestamp": "2026-11-01T10:00:00Z",
        "lastTimestamp": "2026-11-01T10:05:00Z",
        "count": 7,
    }

    assert ill_health.event_line(event) == "2026-11-01T10:05:00Z Pod shop-1: BackOff: restarting (7 times)"
