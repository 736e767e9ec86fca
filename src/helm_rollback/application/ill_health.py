"""What the status of workloads, Pods and events tells people of why something is not ready.

Documents are as the API server gives them. A line tells one thing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

Document = Mapping[str, Any]

WORKLOADS: Final = frozenset(
    {"DaemonSet", "Deployment", "Job", "PersistentVolumeClaim", "Pod", "ReplicaSet", "StatefulSet"}
)
"""Kinds that become ready some time after they were applied, or do not."""
_BAD_WHEN_FALSE: Final = ("Available", "PodScheduled", "Progressing")
_BAD_WHEN_TRUE: Final = ("Failed", "ReplicaFailure")


def name_of(document: Document) -> str:
    return str(document["metadata"]["name"])


def title(document: Document) -> str:
    return f"{document['kind']} {name_of(document)}"


def without_messages(document: Any) -> Any:
    """The same without what programs and kubelets say in their own words."""
    if isinstance(document, Mapping):
        return {key: without_messages(value) for key, value in document.items() if key != "message"}
    return [without_messages(item) for item in document] if isinstance(document, list) else document


def problems(document: Document) -> list[str]:
    """What is wrong with a workload; nothing where it is ready, or done."""
    status = document.get("status") or {}
    match document["kind"]:
        case "Pod":
            found = _of_pod(document, status)
        case "PersistentVolumeClaim":
            phase = status.get("phase", "Pending")
            return [] if phase == "Bound" else [f"is {phase}"]
        case "Job":
            found = _of_job(document, status)
        case "DaemonSet":
            wanted = status.get("desiredNumberScheduled", 0)
            found = _of_replicas(wanted, status.get("numberReady", 0), status.get("updatedNumberScheduled", 0))
        case kind:
            wanted = (document.get("spec") or {}).get("replicas", 1)
            updated = status.get("updatedReplicas", 0) if kind != "ReplicaSet" else wanted
            found = _of_replicas(wanted, status.get("readyReplicas", 0), updated)
    return [*found, *_bad_conditions(status)] if found else []


def _of_replicas(wanted: int, ready: int, updated: int) -> list[str]:
    counts = (("ready", ready), ("updated", updated))
    return [f"{count} of {wanted} replicas are {word}" for word, count in counts if count < wanted]


def _of_job(job: Document, status: Document) -> list[str]:
    wanted = (job.get("spec") or {}).get("completions", 1)
    succeeded = status.get("succeeded", 0)
    if succeeded >= wanted:
        return []
    return [f"{succeeded} of {wanted} Pods succeeded, {status.get('failed', 0)} failed"]


def _bad_conditions(status: Document) -> list[str]:
    """What its controller says of it."""
    return [
        f"{one['type']} is {one['status']}{_because(one)}"
        for one in status.get("conditions") or []
        if one["status"] == ("False" if one["type"] in _BAD_WHEN_FALSE else "True")
        and one["type"] in (*_BAD_WHEN_FALSE, *_BAD_WHEN_TRUE)
    ]


# --- Pods and their containers --------------------------------------------------------


def _of_pod(pod: Document, status: Document) -> list[str]:
    phase = status.get("phase", "Pending")
    containers = [line for one in _failing(pod) for line in _of_container(one)]
    if phase == "Succeeded" or (phase == "Running" and not containers):
        return []
    return [f"is {phase}{_because(status)}", *containers]


def _failing(pod: Document) -> list[Document]:
    """The statuses of the containers that keep a Pod from being ready."""
    status = pod.get("status") or {}
    starting = [one for one in status.get("initContainerStatuses") or [] if not _is_done(one) and not one.get("ready")]
    return [*starting, *(one for one in status.get("containerStatuses") or [] if not one.get("ready"))]


def _is_done(container: Document) -> bool:
    ended = (container.get("state") or {}).get("terminated")
    return ended is not None and ended.get("exitCode") == 0


def _of_container(container: Document) -> Iterator[str]:
    name, state = container["name"], container.get("state") or {}
    if (ended := state.get("terminated")) is not None:
        yield f"container {name} ended with exit code {ended.get('exitCode')}{_because(ended)}"
    elif "running" in state:
        yield f"container {name} runs, and is not ready"
    else:
        yield f"container {name} waits{_because(state.get('waiting') or {})}"
    before = (container.get("lastState") or {}).get("terminated")
    if before is not None:
        restarts = container.get("restartCount", 0)
        yield (
            f"container {name} was restarted {restarts} times; "
            f"before, it ended with exit code {before.get('exitCode')}{_because(before)}"
        )


def _because(told: Document) -> str:
    """Reason and message of whatever tells them."""
    said = [str(told[key]).strip().replace("\n", " ") for key in ("reason", "message") if told.get(key)]
    return f": {': '.join(said)}" if said else ""


def containers_to_hear(pod: Document) -> list[tuple[str, bool]]:
    """The containers whose last words matter, and whether those of before the restart do."""
    return [
        (one["name"], _has_ended_before(one))
        for one in _failing(pod)
        if _has_ended_before(one) or not {"running", "terminated"}.isdisjoint(one.get("state") or {})
    ]


def _has_ended_before(container: Document) -> bool:
    return (container.get("lastState") or {}).get("terminated") is not None


def secret_names(pod: Document) -> set[str]:
    """The Secrets that a Pod's containers get to see, and may print."""
    spec = pod.get("spec") or {}
    names = set()
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        from_keys = [(one.get("valueFrom") or {}).get("secretKeyRef") or {} for one in container.get("env") or []]
        names |= {one.get("name") for one in from_keys}
        names |= {(one.get("secretRef") or {}).get("name") for one in container.get("envFrom") or []}
    for volume in spec.get("volumes") or []:
        names.add((volume.get("secret") or {}).get("secretName"))
        sources = (volume.get("projected") or {}).get("sources") or []
        names |= {(source.get("secret") or {}).get("name") for source in sources}
    return {name for name in names if name}


# --- selectors and events -------------------------------------------------------------


def selector_of(workload: Document) -> str:
    """What selects a workload's Pods, as kubectl's `--selector` is written; empty where nothing does."""
    selector = (workload.get("spec") or {}).get("selector") or {}
    terms = [f"{label}={value}" for label, value in (selector.get("matchLabels") or {}).items()]
    for one in selector.get("matchExpressions") or []:
        values = ",".join(one.get("values") or [])
        match one["operator"]:
            case "In":
                terms.append(f"{one['key']} in ({values})")
            case "NotIn":
                terms.append(f"{one['key']} notin ({values})")
            case "Exists":
                terms.append(one["key"])
            case "DoesNotExist":
                terms.append(f"!{one['key']}")
    return ",".join(terms)


def concerns(event: Document, sick: Sequence[Document]) -> bool:
    """Whether an event is of one of these, or of a Deployment's ReplicaSet, which is named after it."""
    concerned = event.get("involvedObject") or {}
    kind, name = concerned.get("kind"), str(concerned.get("name", ""))
    if any((kind, name) == (one["kind"], name_of(one)) for one in sick):
        return True
    deployments = [name_of(one) for one in sick if one["kind"] == "Deployment"]
    return kind == "ReplicaSet" and name.rpartition("-")[0] in deployments


def event_time(event: Document) -> str:
    """When it was seen last: as text, which sorts."""
    series = (event.get("series") or {}).get("lastObservedTime")
    return str(series or event.get("lastTimestamp") or event.get("eventTime") or event.get("firstTimestamp") or "")


def event_line(event: Document) -> str:
    of = event.get("involvedObject") or {}
    count = event.get("count") or (event.get("series") or {}).get("count") or 1
    times = f" ({count} times)" if count > 1 else ""
    return f"{event_time(event)} {of.get('kind')} {of.get('name')}{_because(event)}{times}"
