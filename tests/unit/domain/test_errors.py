"""Refusals: each tells its facts by the names of the contract, and a person what to do."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone

import pytest
from support.samples import SHOP, operation_id

from helm_rollback.domain import errors
from helm_rollback.domain.status import Status

ID = operation_id(1)
SINCE = datetime(2026, 11, 1, 12, 0, 0, 250_000, tzinfo=UTC)
RELEASE = {"releaseId": "default.prod.shop"}

CASES: list[tuple[errors.Refused, dict[str, str], str]] = [
    (
        errors.InvalidField("reason", "must be one line"),
        {"field": "reason", "problem": "must be one line"},
        "reason: must be one line",
    ),
    (
        errors.InvalidFields((errors.InvalidField("reason", "is long"), errors.InvalidField("tail", "is negative"))),
        {"field": "reason, tail", "problem": "is long; is negative"},
        "reason: is long; tail: is negative",
    ),
    (
        errors.ForeignPage("Origin", "https://evil.example"),
        {"header": "Origin", "value": "https://evil.example"},
        "Origin 'https://evil.example' is of another site",
    ),
    (errors.InvalidResumeToken(SHOP, "cut"), RELEASE | {"problem": "cut"}, "start the stream anew"),
    (errors.ClusterNotConfigured(SHOP, "default"), RELEASE | {"cluster": "default"}, "no cluster default"),
    (errors.ClusterNotConfigured(None, "default"), {"cluster": "default"}, "no cluster default"),
    (errors.ReleaseNotFound(SHOP), RELEASE, "release default.prod.shop is neither"),
    (
        errors.ReleaseExists(SHOP, 4, Status.DEPLOYED),
        RELEASE | {"currentRevision": "4", "status": "DEPLOYED"},
        "release default.prod.shop is there already: its current revision 4 is DEPLOYED; upgrade it",
    ),
    (
        errors.RevisionNotFound(SHOP, 9, 2, 4),
        RELEASE | {"revision": "9", "incarnation": "2", "currentRevision": "4"},
        "has no revision 9 in incarnation 2",
    ),
    (errors.OperationNotFound(ID), {"operationId": ID}, f"no operation {ID}"),
    (errors.OperationNotFound(ID, SHOP), RELEASE | {"operationId": ID}, f"no operation {ID}"),
    (
        errors.RequestIdReused("r-1", ID, SHOP),
        RELEASE | {"requestId": "r-1", "operationId": ID},
        f"already names operation {ID}",
    ),
    (
        errors.NoSuccessfulRevision(SHOP, 8, "8:CURRENT,7:NOT_SUCCESSFUL"),
        RELEASE | {"currentRevision": "8", "skipped": "8:CURRENT,7:NOT_SUCCESSFUL"},
        "skipped: 8:CURRENT,7:NOT_SUCCESSFUL",
    ),
    (errors.SuccessUnproven(SHOP, 7), RELEASE | {"revision": "7"}, "name the revision you want with Rollback"),
    (errors.CurrentIsSuccessful(SHOP, 8), RELEASE | {"currentRevision": "8"}, "send expected_current_revision = 8"),
    (errors.AlreadyRolledBack(SHOP, 8), RELEASE | {"currentRevision": "8"}, "send expected_current_revision = 8"),
    (
        errors.ReleasePending(SHOP, Status.PENDING_UPGRADE, 8, SINCE),
        RELEASE | {"status": "PENDING_UPGRADE", "revision": "8", "since": "2026-11-01T12:00:00.250000Z"},
        "send take_over_pending with expected_current_revision",
    ),
    (
        errors.NotCancellable(SHOP, ID, "RUNNING"),
        RELEASE | {"operationId": ID, "state": "RUNNING"},
        "can not be cancelled",
    ),
    (errors.RevisionMarkedBad(SHOP, 3), RELEASE | {"revision": "3"}, "send allow_marked_bad"),
    (errors.ClusterPermissionDenied(SHOP, "no list"), RELEASE | {"problem": "no list"}, "denies this service"),
    (errors.OperationInProgress(SHOP, ID), RELEASE | {"operationId": ID}, "wait for it"),
    (
        errors.CurrentRevisionChanged(SHOP, 7, 8),
        RELEASE | {"expected": "7", "actual": "8"},
        "current revision of default.prod.shop is 8, not 7",
    ),
    (errors.ResumePositionLost(SHOP, "too far"), RELEASE | {"problem": "too far"}, "drop the token"),
    (errors.TooManyStreams(500), {"limit": "500"}, "all 500 streams are taken"),
    (errors.Overloaded("full"), {"problem": "full"}, "overloaded: full"),
    (errors.ClusterUnreachable("default", "refused"), {"cluster": "default", "problem": "refused"}, "does not answer"),
    (
        errors.ClusterUnreachable("default", "refused", SHOP),
        RELEASE | {"cluster": "default", "problem": "refused"},
        "cluster default does not answer: refused",
    ),
    (errors.StoreUnavailable("locked"), {"problem": "locked"}, "with its request_id"),
    (errors.HelmUnavailable("none found"), {"problem": "none found"}, "Helm can not be run: none found"),
    (errors.ServerDraining(), {}, "shutting down"),
]


@pytest.mark.parametrize(("error", "facts", "message"), CASES, ids=[type(case[0]).__name__ for case in CASES])
def test_an_error_tells_its_facts_and_what_to_do(error: errors.Refused, facts: dict[str, str], message: str) -> None:
    assert error.metadata == facts
    assert message in str(error)


def concrete(error: type[errors.Refused]) -> set[type[errors.Refused]]:
    below = error.__subclasses__()
    return {error} if not below else set().union(*map(concrete, below))


def test_every_error_has_its_case() -> None:
    assert {type(case[0]) for case in CASES} == concrete(errors.Refused)


@pytest.mark.parametrize("error", sorted(concrete(errors.Refused), key=str), ids=lambda error: error.__name__)
def test_a_message_is_made_of_the_errors_own_facts(error: type[errors.Refused]) -> None:
    named = set(re.findall(r"{(\w+)}", error.text))

    assert error.text
    assert named <= {field.name for field in fields(error)}


def test_facts_that_look_like_placeholders_stay_as_they_are() -> None:
    assert str(errors.InvalidField("reason", "not {field} or {0}")) == "reason: not {field} or {0}"


def test_a_number_that_is_nought_is_a_fact() -> None:
    assert errors.CurrentRevisionChanged(SHOP, 0, 8).metadata["expected"] == "0"


def test_a_time_in_another_zone_is_rfc_3339() -> None:
    since = SINCE.astimezone(timezone(timedelta(hours=2)))

    assert (
        errors.ReleasePending(SHOP, Status.UNINSTALLING, 1, since).metadata["since"].endswith("14:00:00.250000+02:00")
    )


def test_only_what_may_come_right_by_itself_is_unavailable() -> None:
    assert concrete(errors.Unavailable) == {
        errors.ClusterUnreachable,
        errors.HelmUnavailable,
        errors.ServerDraining,
        errors.StoreUnavailable,
    }


def test_damage_to_the_ledger_is_no_refusal() -> None:
    """It is a fault of the service: the client is told an id, the log the rest."""
    assert not issubclass(errors.LedgerCorrupt, errors.Refused)
