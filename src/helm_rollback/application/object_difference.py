"""How a live object differs from what a manifest says of it. Pure.

A live object has more than its manifest: defaults, status, what others wrote. So only
fields that some manifest sets are compared, both in their stored form (`stored_form.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from helm_rollback.application.stored_form import name_of

Json = Any
Path = tuple[str, ...]

_IMMUTABLE: dict[tuple[str, str], tuple[Path, ...]] = {
    ("apps", "Deployment"): (("spec", "selector"),),
    ("apps", "DaemonSet"): (("spec", "selector"),),
    ("apps", "ReplicaSet"): (("spec", "selector"),),
    ("apps", "StatefulSet"): (("spec", "selector"), ("spec", "serviceName"), ("spec", "volumeClaimTemplates")),
    ("batch", "Job"): (("spec", "template"), ("spec", "selector"), ("spec", "completions")),
    ("", "Service"): (("spec", "clusterIP"),),
    ("", "Secret"): (("type",),),
    ("", "PersistentVolumeClaim"): (("spec", "storageClassName"), ("spec", "accessModes"), ("spec", "volumeName")),
    ("rbac.authorization.k8s.io", "RoleBinding"): (("roleRef",),),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): (("roleRef",),),
}
"""What the API server lets nobody change."""
_IMMUTABLE_DATA = (("data",), ("binaryData",), ("immutable",))
"""Of a ConfigMap or Secret with `immutable: true`."""


def part_of(live: Json, *shapes: Json) -> Json:
    """What the live object has of the fields that some of these set."""
    wanted = [shape for shape in shapes if shape is not None]
    if isinstance(live, dict):
        keys = {key for shape in wanted if isinstance(shape, dict) for key in shape}
        return {
            key: part_of(live[key], *(shape.get(key) for shape in wanted if isinstance(shape, dict)))
            for key in live
            if key in keys
        }
    if isinstance(live, list):
        return _parts_of(live, [shape for shape in wanted if isinstance(shape, list)])
    return live


def _parts_of(live: list[Json], shapes: list[list[Json]]) -> list[Json]:
    """Items are told by name where they have one, else by their place."""
    named = all(name_of(item) is not None for items in (live, *shapes) for item in items)
    if not named:
        return [
            part_of(item, *(shape[place] for shape in shapes if place < len(shape))) for place, item in enumerate(live)
        ]
    by_name = [{name_of(item): item for item in shape} for shape in shapes]
    return [
        part_of(item, *(items.get(name_of(item)) for items in by_name))
        for item in live
        if any(name_of(item) in items for items in by_name)
    ]


def immutable_paths(group: str, kind: str, live: Json, target: Json) -> list[str]:
    """The fields that the target would change, and nobody can."""
    paths = list(_IMMUTABLE.get((group, kind), ()))
    if kind in ("ConfigMap", "Secret") and live.get("immutable") is True:
        paths += _IMMUTABLE_DATA
    changed = []
    for path in paths:
        wanted, there = _at(target, path), _at(live, path)
        is_set = wanted is not None or path in _IMMUTABLE_DATA
        if is_set and there is not None and part_of(there, wanted if wanted is not None else there) != wanted:
            changed.append(".".join(path))
    return changed


def _at(item: Json, path: Path) -> Json:
    for key in path:
        item = item.get(key) if isinstance(item, dict) else None
    return item


def conflicts(live: Json, target: Json) -> list[tuple[str, str]]:
    """Fields that a server-side apply of the target would change though another manager owns them, with its name."""
    managed = (live.get("metadata") or {}).get("managedFields") or []
    others = [entry for entry in managed if entry.get("manager") != "helm" and not entry.get("subresource")]
    found = []
    for path in _changed_leaves(live, target):
        for entry in others:
            if _owns(entry.get("fieldsV1") or {}, path):
                found.append((".".join(path), str(entry.get("manager"))))
                break
    return found


def _changed_leaves(live: Json, target: Json, path: Path = ()) -> Iterator[Path]:
    """Fields that the target sets to something else."""
    if isinstance(target, dict) and isinstance(live, dict):
        for key, value in target.items():
            yield from _changed_leaves(live.get(key), value, (*path, key))
    elif isinstance(target, list) and isinstance(live, list):
        there = {name_of(item): item for item in live if name_of(item) is not None}
        for item in target:
            if name_of(item) in there:
                yield from _changed_leaves(there[name_of(item)], item, (*path, f"[{name_of(item)}]"))
            elif part_of(live, target) != target:
                yield path
                return
    elif live != target:
        yield path


def _owns(fields: Mapping[str, Any], path: Path) -> bool:
    """Whether a manager's field set (`fieldsV1`) holds a path, or all of something that it lies in."""
    here: Mapping[str, Any] = fields
    for step in path:
        key = _list_key(here, step[1:-1]) if step.startswith("[") else f"f:{step}"
        if key not in here:
            return False
        here = here[key] or {}
        if not here:
            return True
    return "." in here or bool(here)


def _list_key(fields: Mapping[str, Any], name: str) -> str:
    """The key of a list's item by that name."""
    for key in fields:
        if key.startswith("k:") and json.loads(key[2:]).get("name") == name:
            return key
    return ""
