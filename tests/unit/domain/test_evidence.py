"""What Helm's records prove: helm.md §2.2 row by row, rule R point by point, and the histories of §2.1."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from support.revisions import a_hook, a_record
from support.samples import NOON

from helm_rollback.domain.evidence import Successor, Verdict, verdict
from helm_rollback.domain.record import HelmRecord
from helm_rollback.domain.status import Status

FIRST_DEPLOYED = NOON - timedelta(days=1)
STAMP = "[019a3f00-0000-7000-8000-000000000001] Rollback to 1: why not"


def successor(status: Status = Status.DEPLOYED, description: str = "Upgrade complete", **changes: Any) -> Successor:
    return Successor(
        status=status,
        description=description,
        first_deployed=changes.get("first_deployed", FIRST_DEPLOYED),
        deleted=changes.get("deleted", False),
    )


def superseded(description: str, **changes: Any) -> HelmRecord:
    return a_record(status=Status.SUPERSEDED, description=description, **changes)


def told(record: HelmRecord, *, older_is_deployed: bool = False, after: Successor | None = None) -> Verdict:
    return verdict(record, older_is_deployed=older_is_deployed, successor=after or successor())


STATUSES = [
    (Status.DEPLOYED, Verdict.WORKED),
    (Status.FAILED, Verdict.NEVER_WORKED),
    (Status.PENDING_INSTALL, Verdict.NEVER_WORKED),
    (Status.PENDING_UPGRADE, Verdict.NEVER_WORKED),
    (Status.PENDING_ROLLBACK, Verdict.NEVER_WORKED),
    (Status.UNINSTALLING, Verdict.UNPROVEN),
    (Status.UNINSTALLED, Verdict.UNPROVEN),
    (Status.UNKNOWN, Verdict.UNPROVEN),
]


@pytest.mark.parametrize(("status", "expected"), STATUSES)
@pytest.mark.parametrize("description", ["Upgrade complete", "Preparing upgrade", "a text of the user's own"])
def test_a_status_other_than_superseded_decides_whatever_the_text(
    status: Status, expected: Verdict, description: str
) -> None:
    assert told(a_record(status=status, description=description)) is expected


TEXTS = [
    ("Install complete", Verdict.WORKED),
    ("Upgrade complete", Verdict.WORKED),
    ('Upgrade "shop" failed: no', Verdict.NEVER_WORKED),
    ('Release "shop" failed: no', Verdict.NEVER_WORKED),
    ('Rollback "shop" failed: no', Verdict.NEVER_WORKED),
    ('Upgrade "shop" failed: on\nseveral lines', Verdict.NEVER_WORKED),
    ("Release unlocked from stale 'pending-upgrade' state", Verdict.NEVER_WORKED),
    ("Preparing upgrade", Verdict.NEVER_WORKED),
    ("Initial install underway", Verdict.NEVER_WORKED),
    ("Deletion in progress (or silently failed)", Verdict.UNPROVEN),
    ("Uninstallation complete", Verdict.UNPROVEN),
    ("superseded by new release", Verdict.UNPROVEN),
    ("a text of the user's own", Verdict.WORKED),
    ("the rollback failed: so we upgraded", Verdict.WORKED),
    ("", Verdict.WORKED),
]


@pytest.mark.parametrize(("description", "expected"), TEXTS)
def test_the_text_decides_over_superseded(description: str, expected: Verdict) -> None:
    assert told(superseded(description)) is expected


@pytest.mark.parametrize("description", ["Upgrade complete", "Rollback to 1", "a text of the user's own"])
def test_an_uninstall_overwrote_what_the_record_proved(description: str) -> None:
    assert told(superseded(description, deleted=NOON)) is Verdict.UNPROVEN


def test_a_text_of_ones_own_proves_nothing_if_a_new_life_follows() -> None:
    anew = successor(first_deployed=NOON)

    assert told(superseded("gone on holiday"), after=anew) is Verdict.UNPROVEN
    assert told(superseded("Upgrade complete"), after=anew) is Verdict.WORKED


def test_a_text_of_ones_own_needs_no_successor() -> None:
    assert verdict(superseded("v1.2"), older_is_deployed=False, successor=None) is Verdict.WORKED


# --- rule R: what a superseded rollback proves ------------------------------------------

ROLLBACKS = [
    ("Helm's own text", superseded("Rollback to 1")),
    ("our stamp, where an older Helm dropped the field", superseded(STAMP)),
    ("a text of the user's own and the field of Helm 4.3", superseded("back!", rollback_target=1)),
    ("a text that an upgrade would have, and the field", superseded("Upgrade complete", rollback_target=1)),
]
rollbacks = pytest.mark.parametrize("record", [case[1] for case in ROLLBACKS], ids=[case[0] for case in ROLLBACKS])


@rollbacks
def test_rule_r1_a_rollback_beside_an_older_deployed_revision_never_worked(record: HelmRecord) -> None:
    assert told(record, older_is_deployed=True) is Verdict.NEVER_WORKED


@rollbacks
def test_rule_r4_a_rollback_that_something_else_followed_worked(record: HelmRecord) -> None:
    assert told(record) is Verdict.WORKED


def test_a_deployed_older_revision_does_not_speak_against_an_upgrade() -> None:
    assert told(superseded("Upgrade complete"), older_is_deployed=True) is Verdict.WORKED


PRE, POST = "pre-rollback", "post-rollback"
OLD_RUN: dict[str, Any] = {"last_run_started": NOON - timedelta(hours=1), "last_run_phase": "Running"}
HOOKS = [
    ("the only one succeeded", (a_hook(PRE, phase="Succeeded"),), Verdict.WORKED),
    ("the only one was running", (a_hook(PRE, phase="Running"),), Verdict.NEVER_WORKED),
    ("the only one is in a phase that is not known", (a_hook(POST, phase="Unknown"),), Verdict.NEVER_WORKED),
    (
        "the one after the apply was running",
        (a_hook(POST, phase="Running"), a_hook(PRE, phase="Succeeded")),
        Verdict.NEVER_WORKED,
    ),
    (
        "the heavier one was running",
        (a_hook(PRE, phase="Running", weight=5, name="a"), a_hook(PRE, phase="Succeeded", weight=-5, name="b")),
        Verdict.NEVER_WORKED,
    ),
    (
        "the later one by name was running",
        (a_hook(PRE, phase="Running", name="b"), a_hook(PRE, phase="Succeeded", name="a")),
        Verdict.NEVER_WORKED,
    ),
    ("one ran at the very moment", (a_hook(PRE, phase="Running", last_run_started=NOON),), Verdict.NEVER_WORKED),
    ("one ran only in the target", (a_hook(PRE, **OLD_RUN),), Verdict.UNPROVEN),
    ("one is no rollback hook", (a_hook("pre-upgrade", phase="Running"),), Verdict.UNPROVEN),
]


@pytest.mark.parametrize(("hooks", "expected"), [case[1:] for case in HOOKS], ids=[case[0] for case in HOOKS])
def test_rule_r2_the_last_hook_that_ran_decides(hooks: tuple[Any, ...], expected: Verdict) -> None:
    """The successor is one that decides nothing, so only hooks of this very run can."""
    undecided = successor(Status.PENDING_ROLLBACK, "Rollback to 1")

    assert told(superseded("Rollback to 1", hooks=hooks), after=undecided) is expected


UNDECIDED = [
    ("failed while applying", successor(Status.FAILED, 'Rollback "shop" failed: no')),
    ("failed while applying, and was superseded", successor(Status.SUPERSEDED, 'Rollback "shop" failed: no')),
    ("is a rollback still pending", successor(Status.PENDING_ROLLBACK, "Rollback to 1")),
    ("was pending until somebody set it failed", successor(Status.FAILED, STAMP)),
    ("was unlocked by Flux", successor(Status.FAILED, "Release unlocked from stale 'pending-rollback' state")),
    ("was unlocked by Flux, and superseded", successor(Status.SUPERSEDED, "Release unlocked from stale 'x' state")),
    ("was overwritten by an uninstall", successor(Status.UNINSTALLED, "Uninstallation complete")),
    ("has its uninstall in mind", successor(Status.SUPERSEDED, "Upgrade complete", deleted=True)),
    ("can not be read", successor(Status.UNKNOWN, "")),
]


@pytest.mark.parametrize("after", [case[1] for case in UNDECIDED], ids=[case[0] for case in UNDECIDED])
def test_rule_r3_a_rollback_is_unproven_if_its_successor(after: Successor) -> None:
    assert told(superseded("Rollback to 1"), after=after) is Verdict.UNPROVEN


def test_rule_r2_a_hook_decides_nothing_where_the_rollbacks_own_time_is_not_known() -> None:
    record = superseded("Rollback to 1", hooks=(a_hook(PRE, phase="Running"),), last_deployed=None)

    assert told(record) is Verdict.WORKED


def test_rule_r3_a_rollback_without_successor_is_unproven() -> None:
    assert verdict(superseded("Rollback to 1"), older_is_deployed=False, successor=None) is Verdict.UNPROVEN


DECIDED = [
    ("a failed upgrade", successor(Status.FAILED, 'Upgrade "shop" failed: no')),
    ("a rollback whose wait failed", successor(Status.FAILED, 'Release "shop" failed: timed out')),
    ("an upgrade that died", successor(Status.PENDING_UPGRADE, "Preparing upgrade")),
    ("a rollback that worked", successor(Status.DEPLOYED, "Rollback to 1")),
]


@pytest.mark.parametrize("after", [case[1] for case in DECIDED], ids=[case[0] for case in DECIDED])
def test_rule_r4_a_rollback_was_deployed_if_what_followed_is(after: Successor) -> None:
    """None of these supersedes what is not deployed."""
    assert told(superseded("Rollback to 1"), after=after) is Verdict.WORKED


# --- helm.md §2.1: how a revision that never worked becomes superseded ------------------

APPLY_FAILED = successor(Status.FAILED, 'Rollback "shop" failed: immutable')
NEVER_GOOD = [
    ("A: a failed install, then an upgrade", 'Release "shop" failed: no', successor(), Verdict.NEVER_WORKED),
    ("B: a failed upgrade, then a failed rollback", 'Upgrade "shop" failed: no', APPLY_FAILED, Verdict.NEVER_WORKED),
    ("C: a killed rollback, then a failed one", "Rollback to 1", APPLY_FAILED, Verdict.UNPROVEN),
    ("D: a killed upgrade, then a failed rollback", "Preparing upgrade", APPLY_FAILED, Verdict.NEVER_WORKED),
    ("E: a killed install, then a failed rollback", "Initial install underway", APPLY_FAILED, Verdict.NEVER_WORKED),
    (
        "F: failed, uninstalled, installed anew",
        "superseded by new release",
        successor(Status.DEPLOYED, "Install complete", first_deployed=NOON),
        Verdict.UNPROVEN,
    ),
    ("G: uninstalled, then a failed rollback", "Uninstallation complete", APPLY_FAILED, Verdict.UNPROVEN),
    ("H: a failed rollback, then a second one", 'Rollback "shop" failed: no', APPLY_FAILED, Verdict.NEVER_WORKED),
]


@pytest.mark.parametrize(
    ("description", "after", "expected"), [case[1:] for case in NEVER_GOOD], ids=[case[0] for case in NEVER_GOOD]
)
def test_superseded_alone_proves_nothing(description: str, after: Successor, expected: Verdict) -> None:
    assert told(superseded(description), after=after) is expected


def test_case_c_is_decided_where_an_older_revision_is_still_deployed() -> None:
    assert told(superseded("Rollback to 1"), older_is_deployed=True, after=APPLY_FAILED) is Verdict.NEVER_WORKED
