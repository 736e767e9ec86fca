"""Helm's words for statuses, and what they mean together."""

from __future__ import annotations

import pytest

from helm_rollback.domain.status import Status

WORDS = {
    "unknown": Status.UNKNOWN,
    "deployed": Status.DEPLOYED,
    "uninstalled": Status.UNINSTALLED,
    "superseded": Status.SUPERSEDED,
    "failed": Status.FAILED,
    "uninstalling": Status.UNINSTALLING,
    "pending-install": Status.PENDING_INSTALL,
    "pending-upgrade": Status.PENDING_UPGRADE,
    "pending-rollback": Status.PENDING_ROLLBACK,
}


def test_the_nine_words_are_all() -> None:
    assert set(WORDS.values()) == set(Status)


@pytest.mark.parametrize(("word", "status"), WORDS.items())
def test_each_word_of_helms_is_one_status_and_back(word: str, status: Status) -> None:
    assert Status.from_helm(word) is status
    assert status.helm_word == word


@pytest.mark.parametrize(
    "word", ["", "Deployed", "DEPLOYED", "deployed ", "deployed\n", "pending_upgrade", "faıled", "ok"]
)
def test_what_is_no_word_of_helms_is_unknown(word: str) -> None:
    assert Status.from_helm(word) is Status.UNKNOWN


def test_only_what_stops_an_upgrade_is_pending() -> None:
    """Uninstalling is not: Helm's own IsPending leaves it out."""
    pending = {status for status in Status if status.is_pending}

    assert pending == {Status.PENDING_INSTALL, Status.PENDING_UPGRADE, Status.PENDING_ROLLBACK}


def test_a_release_on_its_way_out_is_uninstalled() -> None:
    assert {status for status in Status if status.is_uninstalled} == {Status.UNINSTALLED, Status.UNINSTALLING}
