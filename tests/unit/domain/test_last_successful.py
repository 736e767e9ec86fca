"""The choice of the last successful revision: api.md "RollbackLastSuccessful: the choice", as a table of histories."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.revisions import deployed, failed, unproven, worked
from unit.domain.choice_cases import CASES, Case

from helm_rollback.domain.errors import NoSuccessfulRevision, SuccessUnproven
from helm_rollback.domain.last_successful import choose
from helm_rollback.domain.operation import OperationType
from helm_rollback.domain.revision import Mark, Revision
from helm_rollback.domain.selection import Evidence
from helm_rollback.domain.status import Status


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_newest_eligible_revision_is_chosen(case: Case) -> None:
    current = next(
        revision for revision in case.history if revision.revision == (case.current or case.history[-1].revision)
    )

    try:
        selection = choose(case.history, current)
        chosen = selection.revision
        skipped = ",".join(f"{entry.revision}:{entry.skip_reason}" for entry in selection.skipped)
    except NoSuccessfulRevision as refusal:
        chosen, skipped = 0, refusal.skipped

    assert chosen == case.chosen
    assert not case.skipped or skipped == case.skipped


UNPROVEN_CASES: list[tuple[str, list[Revision]]] = [
    ("newer than a proved one", [worked(1), unproven(2), failed(3)]),
    ("with nothing proved beside it", [failed(1), unproven(2), failed(3)]),
    ("that is uninstalled", [worked(1), unproven(2, status=Status.UNINSTALLED)]),
]


@pytest.mark.parametrize("history", [case[1] for case in UNPROVEN_CASES], ids=[case[0] for case in UNPROVEN_CASES])
def test_a_person_decides_over_an_unproven_revision(history: list[Revision]) -> None:
    with pytest.raises(SuccessUnproven) as refusal:
        choose(history, history[-1])

    assert refusal.value.revision == 2


EVIDENCE: list[tuple[Revision, Evidence]] = [
    (worked(1), Evidence.LEDGER),
    (worked(1, success_evidence=Evidence.HELM_RECORD), Evidence.HELM_RECORD),
    (failed(1, mark=Mark.GOOD), Evidence.MARKED),
    (worked(1, mark=Mark.GOOD), Evidence.LEDGER),
]


@pytest.mark.parametrize(("candidate", "evidence"), EVIDENCE, ids=lambda value: getattr(value, "description", value))
def test_the_selection_tells_how_success_is_known(candidate: Revision, evidence: Evidence) -> None:
    assert choose([candidate, failed(2)], failed(2)).success_evidence is evidence


def test_equal_manifests_are_equal_content() -> None:
    twin = replace(worked(2), chart_version="2.0.0", values_digest="other")

    assert choose([worked(1), twin, deployed(3, like=2)], deployed(3, like=2)).revision == 1


def test_equal_charts_and_values_are_equal_content() -> None:
    twin = worked(2, manifest_digest="other")

    assert choose([worked(1), twin, deployed(3, like=2)], deployed(3, like=2)).revision == 1


def test_equal_values_of_another_chart_version_are_other_content() -> None:
    other = worked(2, manifest_digest="other", chart_version="2.0.0")

    assert choose([worked(1), other, deployed(3, like=2)], deployed(3, like=2)).revision == 2


def test_what_could_not_be_read_has_no_equal_content() -> None:
    unread = {"values_digest": "", "manifest_digest": "", "chart_version": ""}
    history = [worked(1), worked(2, **unread), deployed(3, **unread)]

    assert choose(history, history[-1]).revision == 2


def test_an_install_of_old_content_is_no_rollback() -> None:
    history = [worked(1), worked(2), worked(3, like=1, operation_type=OperationType.INSTALL, mark=Mark.BAD), failed(4)]

    assert choose(history, history[-1]).revision == 2
