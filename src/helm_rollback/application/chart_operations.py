"""Accepting what brings a chart: an install, an upgrade."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from hashlib import sha256

from helm_rollback.application.acceptance import Command, accept, check_expected, check_free, current_of, new_operation
from helm_rollback.application.chart_checks import check_archive, check_values
from helm_rollback.application.ports import LedgerTransaction, Ports
from helm_rollback.application.projection import unknown_release
from helm_rollback.domain.chart import ChartArchive, ChartChange
from helm_rollback.domain.errors import ReleaseExists
from helm_rollback.domain.operation import Operation, OperationType
from helm_rollback.domain.principal import Principal
from helm_rollback.domain.release import Release
from helm_rollback.domain.revision import Revision
from helm_rollback.domain.status import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallCommand(Command):
    """A wish to install."""

    change: ChartChange
    atomic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradeCommand(Command):
    """A wish to upgrade."""

    change: ChartChange
    atomic: bool = False
    install_if_missing: bool = False


async def install(ports: Ports, command: InstallCommand, principal: Principal) -> Operation:
    """Accept an install, where nothing is, or was uninstalled with its history kept; as `accept` says."""
    digest = _digest(command, principal, "Install")

    def decide(tx: LedgerTransaction, found: Release | None) -> Operation:
        return _installing(tx, ports, command, principal, digest, found)

    await _check(command.change)
    return await accept(ports, command, digest, decide, change=command.change)


async def upgrade(ports: Ports, command: UpgradeCommand, principal: Principal) -> Operation:
    """Accept an upgrade, or an install where there is nothing and that was wished for; as `accept` says."""
    digest = _digest(command, principal, "Upgrade", install_if_missing=command.install_if_missing)

    def decide(tx: LedgerTransaction, found: Release | None) -> Operation:
        if command.install_if_missing and _is_free_for_install(tx, found):
            return _installing(tx, ports, command, principal, digest, found)
        release, current = current_of(tx, command, found)
        operation = new_operation(
            tx, ports, command, principal, digest, release, type=OperationType.UPGRADE, current=current
        )
        return replace(operation, atomic=command.atomic)

    await _check(command.change)
    return await accept(ports, command, digest, decide, change=command.change)


async def _check(change: ChartChange) -> None:
    """Raise InvalidField where chart or values can be known to be unusable. Beside the loop: they may be large."""
    await asyncio.to_thread(check_values, change.values_yaml)
    if isinstance(change.chart, ChartArchive):
        await asyncio.to_thread(check_archive, change.chart.content)


def _installing(
    tx: LedgerTransaction,
    ports: Ports,
    command: InstallCommand | UpgradeCommand,
    principal: Principal,
    digest: str,
    found: Release | None,
) -> Operation:
    if found is None:
        tx.add_release(unknown_release(tx, command.release_id))
    release = found or unknown_release(tx, command.release_id)
    current = _current(tx, release)
    check_expected(command, current)
    check_free(tx, command)
    if current is not None and current.stored_by_helm and current.status is not Status.UNINSTALLED:
        raise ReleaseExists(command.release_id, current.revision, current.status)
    over = current if current is not None and current.stored_by_helm else None
    anew = release.incarnation + 1 if current is not None and over is None else release.incarnation
    operation = new_operation(
        tx,
        ports,
        command,
        principal,
        digest,
        release,
        type=OperationType.INSTALL,
        current=over,
        incarnation=anew,
    )
    return replace(operation, atomic=command.atomic)


def _is_free_for_install(tx: LedgerTransaction, release: Release | None) -> bool:
    current = _current(tx, release) if release is not None else None
    return current is None or not current.stored_by_helm or current.status is Status.UNINSTALLED


def _current(tx: LedgerTransaction, release: Release) -> Revision | None:
    return tx.revision(release.release_id, release.current_revision, incarnation=release.incarnation)


def _digest(command: InstallCommand | UpgradeCommand, principal: Principal, method: str, **further: object) -> str:
    """What one request_id stands for."""
    plain = Command(release_id=command.release_id)
    change = command.change
    chart = change.chart
    content = sha256(chart.content).hexdigest() if isinstance(chart, ChartArchive) else str(chart)
    given = [
        content,
        change.version,
        change.values_yaml,
        str(change.values_mode),
        change.create_namespace,
        dict(change.labels),
    ]
    return command.digest(
        principal,
        plain,
        method=method,
        change=sha256(json.dumps(given, sort_keys=True).encode()).hexdigest(),
        atomic=command.atomic,
        **further,
    )
