"""Helm's options: what Helm would refuse together is refused before anything starts."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from helm_rollback.domain.errors import InvalidField
from helm_rollback.domain.helm_options import HelmOptions, ServerSideApply, WaitStrategy


def test_the_defaults_are_those_of_the_contract() -> None:
    options = HelmOptions()

    assert options.timeout == timedelta(minutes=5)
    assert options.wait_strategy is WaitStrategy.WATCHER
    assert options.server_side_apply is ServerSideApply.AUTO
    flags = [options.wait_for_jobs, options.disable_hooks, options.cleanup_on_fail]
    assert not any([*flags, options.force_replace, options.force_conflicts])


@pytest.mark.parametrize("timeout", [timedelta(seconds=1), timedelta(hours=24)])
def test_a_timeout_at_the_limit_is_taken(timeout: timedelta) -> None:
    assert HelmOptions(timeout=timeout).timeout == timeout


TIMEOUTS = [
    timedelta(0),
    timedelta(seconds=-1),
    timedelta(microseconds=999_999),
    timedelta(hours=24, microseconds=1),
    timedelta.min,
    timedelta.max,
]


@pytest.mark.parametrize("timeout", TIMEOUTS)
def test_a_timeout_beyond_the_limits_is_refused(timeout: timedelta) -> None:
    with pytest.raises(InvalidField) as refusal:
        HelmOptions(timeout=timeout)

    assert refusal.value.field == "helm_options.timeout"


ALLOWED = {
    (False, False, ServerSideApply.AUTO),
    (False, False, ServerSideApply.ENABLED),
    (False, False, ServerSideApply.DISABLED),
    (True, False, ServerSideApply.DISABLED),
    (False, True, ServerSideApply.ENABLED),
}


@pytest.mark.parametrize(
    ("replace", "conflicts", "apply"), list(product([False, True], [False, True], ServerSideApply))
)
def test_forcing_needs_the_right_way_to_apply(replace: bool, conflicts: bool, apply: ServerSideApply) -> None:
    def options() -> HelmOptions:
        return HelmOptions(force_replace=replace, force_conflicts=conflicts, server_side_apply=apply)

    if (replace, conflicts, apply) in ALLOWED:
        assert options().server_side_apply is apply
    else:
        with pytest.raises(InvalidField):
            options()


BLAMED: list[tuple[dict[str, Any], str, str]] = [
    ({"force_replace": True}, "helm_options.force_replace", "DISABLED"),
    ({"force_conflicts": True}, "helm_options.force_conflicts", "ENABLED"),
    ({"force_replace": True, "force_conflicts": True}, "helm_options.force_replace", "force_conflicts"),
]


@pytest.mark.parametrize(("wishes", "field", "fix"), BLAMED)
def test_the_refusal_names_the_field_and_the_fix(wishes: dict[str, Any], field: str, fix: str) -> None:
    with pytest.raises(InvalidField) as refusal:
        HelmOptions(**wishes)

    assert refusal.value.field == field
    assert fix in refusal.value.problem


@pytest.mark.parametrize("target_applied_server_side", [False, True])
def test_what_is_applied_on_the_server_may_conflict_unless_forced(target_applied_server_side: bool) -> None:
    def may_conflict(**options: Any) -> bool:
        return HelmOptions(**options).may_conflict(target_applied_server_side=target_applied_server_side)

    assert may_conflict() is target_applied_server_side  # AUTO follows the target
    assert may_conflict(server_side_apply=ServerSideApply.ENABLED)
    assert not may_conflict(server_side_apply=ServerSideApply.ENABLED, force_conflicts=True)
    assert not may_conflict(server_side_apply=ServerSideApply.DISABLED)
