"""Histories for tests, told a revision at a time: what was done, and how it ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from support.samples import NOON, a_revision

from helm_rollback.domain.operation import OperationType
from helm_rollback.domain.record import HelmRecord, Hook
from helm_rollback.domain.revision import Revision
from helm_rollback.domain.selection import Evidence
from helm_rollback.domain.status import Status


def content(word: object) -> dict[str, Any]:
    """Chart, values and manifest; equal words are equal content. A revision's own is named after its number."""
    return {"chart_version": f"1.0.{word}", "values_digest": f"values {word}", "manifest_digest": f"manifest {word}"}


def worked(number: int, like: object = None, **changes: Any) -> Revision:
    """An upgrade that was seen DEPLOYED, and superseded since."""
    seen: dict[str, Any] = {"deployed_time": NOON, "success_evidence": Evidence.LEDGER}
    return a_revision(number, **{**content(like or number), **seen, **changes})


def deployed(number: int, like: object = None, **changes: Any) -> Revision:
    """An upgrade that is DEPLOYED."""
    return worked(number, like, **{"status": Status.DEPLOYED, **changes})


def failed(number: int, like: object = None, **changes: Any) -> Revision:
    """An upgrade that failed."""
    ended: dict[str, Any] = {
        "status": Status.FAILED,
        "description": 'Upgrade "shop" failed: no',
        **content(like or number),
    }
    return a_revision(number, **{**ended, **changes})


def unproven(number: int, like: object = None, **changes: Any) -> Revision:
    """A superseded revision of an adopted history, whose records leave open whether it worked."""
    return a_revision(number, **{"unproven": True, **content(like or number), **changes})


def rolled_back(number: int, to: int, like: object = None, **changes: Any) -> Revision:
    """A rollback that is DEPLOYED: a copy of its target."""
    made: dict[str, Any] = {"operation_type": OperationType.ROLLBACK, "rollback_target": to, "apply_completed": True}
    return deployed(number, like or to, **{**made, "description": f"Rollback to {to}", **changes})


def failed_rollback(number: int, to: int, *, applied: bool, **changes: Any) -> Revision:
    """A rollback that failed: only in waiting, if it was `applied`, or before that."""
    text = 'Release "shop" failed: timed out' if applied else 'Rollback "shop" failed: immutable'
    made: dict[str, Any] = {"operation_type": OperationType.ROLLBACK, "rollback_target": to, "apply_completed": applied}
    return failed(number, to, **{**made, "description": text, **changes})


def superseded(revision: Revision) -> Revision:
    """The revision after Helm wrote `superseded` over its status, for whatever reason."""
    return replace(revision, status=Status.SUPERSEDED)


def a_record(revision: int = 2, status: Status = Status.DEPLOYED, **changes: Any) -> HelmRecord:
    """A record as an upgrade of Helm 4 leaves it."""
    made = HelmRecord(
        name="shop",
        namespace="prod",
        revision=revision,
        status=status,
        description="Upgrade complete",
        first_deployed=NOON - timedelta(days=1),
        last_deployed=NOON,
        deleted=None,
        rollback_target=0,
        chart_name="shop",
        chart_version="1.0.0",
        app_version="1",
        values={},
        manifest="",
        hooks=(),
    )
    return replace(made, **changes)


def a_hook(*events: str, name: str = "migrate", phase: str = "", **changes: Any) -> Hook:
    """A hook; with a phase it ran in the record that `a_record` makes."""
    made = Hook(
        name=name,
        kind="Job",
        events=events,
        weight=0,
        manifest=f"kind: Job # {name}",
        last_run_started=NOON + timedelta(seconds=1) if phase else None,
        last_run_phase=phase,
    )
    return replace(made, **changes)
