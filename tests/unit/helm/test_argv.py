"""Helm's arguments: every option has its flag, and no value can become one."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from helm_rollback.domain.errors import HelmUnavailable
from helm_rollback.domain.helm_options import HelmOptions, ServerSideApply, WaitStrategy
from helm_rollback.domain.release import ReleaseId
from helm_rollback.helm.argv import go_duration, rollback_argv
from helm_rollback.helm.version import HelmVersion

SHOP = ReleaseId("default", "prod", "shop")
HELM_4_3 = HelmVersion(4, 3, 1)
HELM_4_2 = HelmVersion(4, 2, 4)
HELM_3 = HelmVersion(3, 22, 0)


def argv(version: HelmVersion = HELM_4_3, revision: int = 7, **options: Any) -> list[str]:
    return rollback_argv(
        version,
        SHOP,
        revision,
        options=HelmOptions(**options),
        description="[id] --no-hooks",
        kubeconfig=Path("/private/kubeconfig"),
    )


def test_a_plain_rollback_names_everything() -> None:
    assert argv() == [
        "rollback",
        "--kubeconfig=/private/kubeconfig",
        "--namespace=prod",
        "--history-max=0",
        "--timeout=300s",
        "--wait=watcher",
        "--server-side=auto",
        "--description=[id] --no-hooks",
        "--",
        "shop",
        "7",
    ]


@pytest.mark.parametrize(
    ("option", "value", "flag"),
    [
        ("timeout", timedelta(hours=24), "--timeout=86400s"),
        ("timeout", timedelta(seconds=1.5), "--timeout=1500ms"),
        ("wait_strategy", WaitStrategy.HOOKS_ONLY, "--wait=hookOnly"),
        ("wait_strategy", WaitStrategy.LEGACY, "--wait=legacy"),
        ("wait_for_jobs", True, "--wait-for-jobs"),
        ("disable_hooks", True, "--no-hooks"),
        ("cleanup_on_fail", True, "--cleanup-on-fail"),
        ("server_side_apply", ServerSideApply.ENABLED, "--server-side=true"),
        ("server_side_apply", ServerSideApply.DISABLED, "--server-side=false"),
    ],
)
def test_each_option_has_its_flag(option: str, value: Any, flag: str) -> None:
    assert flag in argv(**{option: value})
    assert flag not in argv()


def test_force_replace_and_force_conflicts_have_flags() -> None:
    assert "--force-replace" in argv(force_replace=True, server_side_apply=ServerSideApply.DISABLED)
    assert "--force-conflicts" in argv(force_conflicts=True, server_side_apply=ServerSideApply.ENABLED)


def test_helm_before_4_3_gets_no_description() -> None:
    assert not [word for word in argv(HELM_4_2) if word.startswith("--description")]


def test_helm_3_has_flags_of_its_own() -> None:
    words = argv(HELM_3, force_replace=True, server_side_apply=ServerSideApply.DISABLED)

    assert "--wait" in words
    assert "--force" in words
    assert not [word for word in words if word.startswith(("--wait=", "--server-side", "--description"))]


def test_helm_3_without_waiting_has_no_wait_flag() -> None:
    assert "--wait" not in argv(HELM_3, wait_strategy=WaitStrategy.HOOKS_ONLY)


def test_helm_3_refuses_server_side_apply() -> None:
    with pytest.raises(HelmUnavailable, match="no server-side apply"):
        argv(HELM_3, server_side_apply=ServerSideApply.ENABLED)


def test_a_revision_is_always_named() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        argv(revision=0)


def test_go_durations_are_whole_milliseconds() -> None:
    assert go_duration(timedelta(microseconds=1_000_400)) == "1s"
