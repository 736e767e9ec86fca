"""What a rollback would do to each object, by what is live."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any

import yaml

from helm_rollback.application import manifest as manifests
from helm_rollback.application import object_difference as difference
from helm_rollback.application.masking import MASK, masked_text
from helm_rollback.application.ports import Cluster, Served
from helm_rollback.application.stored_form import stored_form, with_left_out
from helm_rollback.domain.live_object import ObjectKey, group_of
from helm_rollback.domain.preview import Action, ObjectChange, PreviewWarning, WarningCode
from helm_rollback.domain.release import ReleaseId

DIFF_MAX = 64 * 1024
DIFFS_MAX = 3 * 1024 * 1024
_READS_AT_ONCE = 8
_KEEP = "helm.sh/resource-policy"
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""In C where there is one: many times as fast."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewedObject:
    """An object, as current and target have it, and as it is; all in their stored form."""

    key: ObjectKey
    api_version: str
    base: dict[str, Any] | None
    target: dict[str, Any] | None
    live: Mapping[str, Any] | None

    @property
    def action(self) -> Action:
        if self.target is not None and self.live is None:
            return Action.CREATE
        if self.target is None:
            return Action.UNCHANGED if self._is_kept or self.live is None else Action.DELETE
        return Action.UNCHANGED if self._before == self.target else Action.CHANGE

    @property
    def drifted(self) -> bool:
        """Whether somebody changed what current's manifest sets, or deleted the object."""
        if self.base is None:
            return False
        return self.live is None or difference.part_of(self.live, self.base) != self.base

    @property
    def _before(self) -> Any:
        return None if self.live is None else difference.part_of(self.live, self.base, self.target)

    @property
    def _is_kept(self) -> bool:
        metadata = (self.base or {}).get("metadata") or {}
        return str((metadata.get("annotations") or {}).get(_KEEP, "")).strip().lower() == "keep"

    def change(self, secrets: frozenset[str]) -> ObjectChange:
        """As it is told."""
        action = self.action
        after = None if action is Action.DELETE else self.target
        told = "" if action is Action.UNCHANGED else _diff(self.key.kind, self._before, after, secrets)
        return ObjectChange(
            api_version=self.api_version,
            kind=self.key.kind,
            namespace=self.key.namespace,
            name=self.key.name,
            action=action,
            diff=told,
            drifted=self.drifted,
        )

    def warnings(self, *, may_conflict: bool) -> Iterable[PreviewWarning]:
        """What may keep the rollback from it, or does more than it seems.

        `may_conflict`: whether a field that belongs to somebody else stops it.
        """
        kind, name = self.key.kind, self.key.name
        if self.action is Action.DELETE and kind == "CustomResourceDefinition":
            text = f"{name} is deleted, and with it every object of its kind in the cluster"
            yield PreviewWarning(code=WarningCode.CRD_DELETED, message=text, kind=kind, name=name)
        if self.live is None or self.target is None:
            return
        for path in difference.immutable_paths(self.key.group, kind, self.live, self.target):
            text = f"{kind} {name}: {path} differs, and can not be changed"
            yield PreviewWarning(code=WarningCode.IMMUTABLE_FIELD, message=text, kind=kind, name=name)
        if not may_conflict:
            return
        for path, manager in difference.conflicts(self.live, self.target):
            text = f"{kind} {name}: {path} differs, and belongs to {manager}"
            yield PreviewWarning(code=WarningCode.FIELD_CONFLICT, message=text, kind=kind, name=name)


async def previewed_objects(
    cluster: Cluster, served: Served, release_id: ReleaseId, *, base: str, target: str
) -> list[PreviewedObject]:
    """Every object of both manifests, with what is live of it. Kinds that are not served have no objects."""
    before, after = [
        await asyncio.to_thread(_by_key, manifest, release_id.namespace, served) for manifest in (base, target)
    ]
    gate = asyncio.Semaphore(_READS_AT_ONCE)

    async def read(key: ObjectKey) -> PreviewedObject:
        was, wanted = before.get(key), after.get(key)
        item = wanted or before[key]
        api_version = str(item["apiVersion"])
        resource = served.resource(api_version, key.kind)
        async with gate:
            live = await cluster.read_content(release_id, resource, key.namespace, key.name) if resource else None
        there = with_left_out(stored_form(live), was) if live is not None else None
        return PreviewedObject(key=key, api_version=api_version, base=was, target=wanted, live=there)

    return list(await asyncio.gather(*(read(key) for key in sorted(before.keys() | after.keys()))))


def _by_key(manifest: str, namespace: str, served: Served) -> dict[ObjectKey, dict[str, Any]]:
    found = {}
    for item in manifests.objects(manifest):
        metadata = item.get("metadata") or {}
        resource = served.resource(str(item["apiVersion"]), str(item["kind"]))
        within = str(metadata.get("namespace") or namespace) if resource is None or resource.namespaced else ""
        key = ObjectKey(group_of(str(item["apiVersion"])), str(item["kind"]), within, str(metadata.get("name")))
        found[key] = stored_form(item)
    return found


def _diff(kind: str, before: Any, after: Any, secrets: frozenset[str]) -> str:
    if kind == "Secret":
        before, after = _hidden(before, after, MASK), _hidden(after, before, f"{MASK} (another)")
    return text_diff(_text(before, secrets), _text(after, secrets))


def _hidden(secret: Any, other: Any, changed: str) -> Any:
    """A Secret without its data, which may be too short to be masked, or be what somebody wrote by hand."""
    if secret is None:
        return None
    there = (other or {}).get("data") or {}
    data = {key: MASK if there.get(key) == value else changed for key, value in (secret.get("data") or {}).items()}
    return {**secret, "data": data}


def _text(item: Any, secrets: frozenset[str]) -> str:
    if item is None:
        return ""
    return masked_text(yaml.dump(item, Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=10**9), secrets)


def cut(text: str, room: int) -> str:
    """As many whole lines as have room, in bytes of UTF-8."""
    encoded = text.encode()
    if len(encoded) <= room:
        return text
    return encoded[: encoded.rfind(b"\n", 0, max(room, 0)) + 1].decode()


def text_diff(before: str, after: str) -> str:
    """A unified diff, without headers of files that there are not."""
    lines = unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=3)
    return "\n".join(list(lines)[2:])
