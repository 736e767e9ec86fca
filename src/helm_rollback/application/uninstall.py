"""Accepting an uninstall."""

from __future__ import annotations

from dataclasses import dataclass, replace

from helm_rollback.application.acceptance import Command, accept, current_of, new_operation
from helm_rollback.application.ports import LedgerTransaction, Ports
from helm_rollback.domain.operation import Operation, OperationType
from helm_rollback.domain.principal import Principal
from helm_rollback.domain.release import Release


@dataclass(frozen=True, slots=True, kw_only=True)
class UninstallCommand(Command):
    """A wish to uninstall."""

    purge: bool = False
    """Also Helm's records. The ledger always keeps its own."""


async def uninstall(ports: Ports, command: UninstallCommand, principal: Principal) -> Operation:
    """Accept an uninstall; as `accept` says. One of what is uninstalled already finds nothing to do."""
    digest = command.digest(principal, Command(release_id=command.release_id), method="Uninstall", purge=command.purge)

    def decide(tx: LedgerTransaction, found: Release | None) -> Operation:
        release, current = current_of(tx, command, found)
        operation = new_operation(
            tx, ports, command, principal, digest, release, type=OperationType.UNINSTALL, current=current
        )
        return replace(operation, purge=command.purge)

    return await accept(ports, command, digest, decide)
