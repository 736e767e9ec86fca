"""Accepting a rollback: to a named revision, or to the last one that worked."""

from __future__ import annotations

from dataclasses import dataclass, replace

from helm_rollback.application.acceptance import REVISION_MAX, Command, accept, current_of, new_operation
from helm_rollback.application.ports import LedgerTransaction, LedgerView, Ports
from helm_rollback.domain.errors import RevisionMarkedBad, RevisionNotFound
from helm_rollback.domain.last_successful import check_leaving_is_meant, choose
from helm_rollback.domain.operation import Operation, OperationType
from helm_rollback.domain.principal import Principal
from helm_rollback.domain.release import Release
from helm_rollback.domain.revision import Mark, Revision
from helm_rollback.domain.selection import Selection
from helm_rollback.domain.violations import Violations


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackCommand(Command):
    """A wish to go back. Making one raises InvalidField or InvalidFields, naming each field as the proto does."""

    target_revision: int | None
    """None: the last successful one."""
    allow_marked_bad: bool = False
    remove_leftovers: bool = False

    def _check(self, found: Violations) -> None:
        if self.target_revision is not None and not 1 <= self.target_revision <= REVISION_MAX:
            found.add("target_revision", "must be a revision, 1 or higher")

    def request_digest(self, principal: Principal) -> str:
        """What one request_id stands for."""
        plain = RollbackCommand(release_id=self.release_id, target_revision=self.target_revision)
        return self.digest(principal, plain, target_revision=self.target_revision)


async def rollback(ports: Ports, command: RollbackCommand, principal: Principal) -> Operation:
    """Accept a rollback; as `accept` says."""
    digest = command.request_digest(principal)

    def decide(tx: LedgerTransaction, found: Release | None) -> Operation:
        release, current = current_of(tx, command, found)
        target, selection = chosen_target(tx, command, release, current)
        operation = new_operation(
            tx, ports, command, principal, digest, release, type=OperationType.ROLLBACK, current=current
        )
        return replace(
            operation, target_revision=target, selection=selection, remove_leftovers=command.remove_leftovers
        )

    return await accept(ports, command, digest, decide)


def chosen_target(
    view: LedgerView, command: RollbackCommand, release: Release, current: Revision
) -> tuple[int, Selection | None]:
    """The revision to return to, and, where the service chose it, why."""
    if command.target_revision is not None:
        return _named_target(view, command, command.target_revision, current), None
    if command.expected_current_revision is None:
        check_leaving_is_meant(current)
    revisions = view.incarnation_revisions(release.release_id, incarnation=release.incarnation)
    selection = choose(revisions, current)
    return selection.revision, selection


def _named_target(view: LedgerView, command: RollbackCommand, number: int, current: Revision) -> int:
    target = view.revision(command.release_id, number, incarnation=current.incarnation)
    if target is None or number > current.revision:
        raise RevisionNotFound(command.release_id, number, current.incarnation, current.revision)
    if target.mark is Mark.BAD and not command.allow_marked_bad:
        raise RevisionMarkedBad(command.release_id, number)
    return number
