"""Showing what a rollback would do. Nothing is changed; the choice and the checks are those of the rollback itself."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from helm_rollback.application import manifest as manifests
from helm_rollback.application.masking import masked_text, masked_values, secrets_of
from helm_rollback.application.ports import Cluster, LedgerView, Ports, Served, ServedKind
from helm_rollback.application.preflight import needed_kinds
from helm_rollback.application.previewed_objects import DIFF_MAX, DIFFS_MAX, cut, previewed_objects, text_diff
from helm_rollback.application.refresh import cluster_of, refresh
from helm_rollback.application.rollback import RollbackCommand, chosen_target
from helm_rollback.domain.errors import ReleaseNotFound
from helm_rollback.domain.evidence import rollback_hooks
from helm_rollback.domain.helm_options import HelmOptions
from helm_rollback.domain.leftovers import left_behind, wanting
from helm_rollback.domain.live_object import ObjectKey
from helm_rollback.domain.preview import (
    Action,
    ObjectChange,
    Preview,
    PreviewedHook,
    PreviewWarning,
    WarningCode,
)
from helm_rollback.domain.principal import Principal
from helm_rollback.domain.record import HelmRecord
from helm_rollback.domain.release import ReleaseId
from helm_rollback.domain.revision import Revision
from helm_rollback.domain.selection import Selection, SkipReason


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """From where to where, as the ledger has it."""

    base: Revision
    target: Revision
    selection: Selection
    base_payload: bytes | None
    target_payload: bytes | None
    undone: tuple[tuple[Revision, bytes | None], ...]
    """Newer revisions, whose objects may be left over."""
    wanted: tuple[bytes | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewQuestion:
    """What is asked."""

    release_id: ReleaseId
    target_revision: int | None
    """None: the last successful one."""
    helm_options: HelmOptions = field(default_factory=HelmOptions)


@dataclass(frozen=True, slots=True)
class _Going:
    """A rollback that nobody asked for yet."""

    base_revision: int
    target_revision: int
    operation_id: str = ""


async def preview_rollback(ports: Ports, question: PreviewQuestion, _principal: Principal) -> Preview:
    """What the rollback would do now.

    Raises what `rollback` raises of release and target; not that an operation is under
    way, that the release is pending, or that the target is marked BAD.
    """
    release_id = question.release_id
    cluster = cluster_of(ports.clusters, release_id)
    await refresh(ports, release_id)
    way = await ports.ledger.read(lambda view: _way(view, question))
    served = await cluster.served_kinds()
    base, target = (ports.decode(payload) if payload else None for payload in (way.base_payload, way.target_payload))
    secrets = frozenset[str]().union(*(secrets_of(record.manifest) for record in (base, target) if record))
    missing = needed_kinds(question.helm_options, base, target) - served.kinds
    changes, warnings = await _objects(cluster, served, question, base, target, secrets, missing=missing)
    whole_diff = text_diff(_values(base, secrets), _values(target, secrets))
    values_diff = cut(whole_diff, DIFF_MAX)
    bounded = _bounded(changes, DIFFS_MAX - len(values_diff.encode()))
    return Preview(
        selection=way.selection,
        base_revision=way.base.revision,
        values_diff=values_diff,
        changes=bounded,
        hooks=_hooks(target, question.helm_options),
        warnings=(*_of_choice(way), *warnings, *await _leftovers(ports, cluster, served, question, way)),
        truncated=values_diff != whole_diff or bounded != tuple(changes),
    )


def _way(view: LedgerView, question: PreviewQuestion) -> _Way:
    release = view.release(question.release_id)
    base = (
        view.revision(release.release_id, release.current_revision, incarnation=release.incarnation)
        if release is not None
        else None
    )
    if release is None or base is None:
        raise ReleaseNotFound(question.release_id)
    command = RollbackCommand(
        release_id=question.release_id, target_revision=question.target_revision, allow_marked_bad=True
    )
    number, selection = chosen_target(view, command, release, base)
    target = view.revision(release.release_id, number, incarnation=release.incarnation)
    assert target is not None, "a target is looked for among the revisions"
    going = _Going(base.revision, number)
    revisions = view.incarnation_revisions(release.release_id, incarnation=release.incarnation)
    return _Way(
        base=base,
        target=target,
        selection=selection or Selection(revision=number, success_evidence=target.success_evidence, skipped=()),
        base_payload=view.payload(base.payload_digest),
        target_payload=view.payload(target.payload_digest),
        undone=tuple((one, view.payload(one.payload_digest)) for one in left_behind(revisions, going)),
        wanted=tuple(view.payload(one.payload_digest) for one in (*wanting(revisions, going), base)),
    )


async def _objects(
    cluster: Cluster,
    served: Served,
    question: PreviewQuestion,
    base: HelmRecord | None,
    target: HelmRecord | None,
    secrets: frozenset[str],
    *,
    missing: set[ServedKind],
) -> tuple[list[ObjectChange], list[PreviewWarning]]:
    """Where a kind is not served the rollback is not run, so everything stays."""
    found = await previewed_objects(
        cluster,
        served,
        question.release_id,
        base=base.manifest if base else "",
        target=target.manifest if target else "",
    )
    there = [one for one in found if one.target is not None or one.live is not None]
    changes = await asyncio.to_thread(lambda: [one.change(secrets) for one in there])  # which may be megabytes
    if missing:
        stays = [replace(change, action=Action.UNCHANGED, diff="") for change in changes]
        return stays, [
            PreviewWarning(
                code=WarningCode.KIND_NOT_SERVED,
                message=f"the cluster does not serve {kind.api_version} {kind.kind}; the rollback is not run",
                kind=kind.kind,
            )
            for kind in sorted(missing, key=str)
        ]
    server_side = target is not None and target.applied_server_side
    may_conflict = question.helm_options.may_conflict(target_applied_server_side=server_side)
    return changes, [warning for one in found for warning in one.warnings(may_conflict=may_conflict)]


def _values(record: HelmRecord | None, secrets: frozenset[str]) -> str:
    if record is None or not record.values:
        return ""
    text = yaml.safe_dump(masked_values(record.values, secrets), sort_keys=True, allow_unicode=True)
    return masked_text(text, secrets)


def _bounded(changes: list[ObjectChange], room: int) -> tuple[ObjectChange, ...]:
    """The changes with their diffs cut to what is told of one, and of all."""
    bounded = []
    for change in changes:
        told = cut(change.diff, min(DIFF_MAX, room))
        room -= len(told.encode())
        bounded.append(replace(change, diff=told))
    return tuple(bounded)


def _hooks(target: HelmRecord | None, options: HelmOptions) -> tuple[PreviewedHook, ...]:
    if target is None or options.disable_hooks:
        return ()
    hooks = {(hook.kind, hook.name): hook for hook in rollback_hooks(target)}
    return tuple(PreviewedHook(kind=hook.kind, name=hook.name, events=hook.events) for hook in hooks.values())


def _of_choice(way: _Way) -> list[PreviewWarning]:
    warnings = []
    if not way.target.successful:
        text = f"revision {way.target.revision} is not known to have ever worked"
        warnings.append(PreviewWarning(code=WarningCode.NEVER_SUCCESSFUL, message=text))
    passed = [one.revision for one in way.selection.skipped if one.skip_reason is not SkipReason.CURRENT]
    if passed:
        text = f"the choice is older than revisions {', '.join(map(str, passed[:10]))}, which were passed over"
        warnings.append(PreviewWarning(code=WarningCode.OLD_CHOICE, message=text))
    return warnings


async def _leftovers(
    ports: Ports, cluster: Cluster, served: Served, question: PreviewQuestion, way: _Way
) -> list[PreviewWarning]:
    """Objects of revisions between that neither current nor the target has: Helm does not know of them any more."""
    release_id = question.release_id

    def named(payloads: list[bytes | None]) -> dict[ObjectKey, str]:
        found: dict[ObjectKey, str] = {}
        for payload in payloads:
            if payload:
                found |= manifests.named_objects(ports.decode(payload).manifest, namespace=release_id.namespace)
        return found

    suspects = await asyncio.to_thread(named, [payload for _, payload in way.undone])
    wanted = await asyncio.to_thread(named, list(way.wanted))
    warnings = []
    for key in sorted(suspects.keys() - wanted.keys()):
        resource = served.resource(suspects[key], key.kind)
        if resource is None:
            continue
        within = key.namespace if resource.namespaced else ""
        live: Any = await cluster.read_object(release_id, resource, within, key.name)
        if live is not None and live.belongs_to(release_id) and not live.is_going:
            text = f"{key.kind} {key.name} of a newer revision is live, and stays: Helm has forgotten it"
            warnings.append(PreviewWarning(code=WarningCode.LEFTOVER, message=text, kind=key.kind, name=key.name))
    return warnings
