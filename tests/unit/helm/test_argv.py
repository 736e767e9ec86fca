"""Helm's arguments: every option has its flag, and no value can become one."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from helm_rollback.domain.chart import ChartArchive, ChartChange, ValuesMode
from helm_rollback.domain.errors import HelmUnavailable
from helm_rollback.domain.helm_call import HelmCall, HelmInstall, HelmRollback, HelmUninstall, HelmUpgrade
from helm_rollback.domain.helm_options import HelmOptions, ServerSideApply, WaitStrategy
from helm_rollback.domain.release import ReleaseId
from helm_rollback.helm.argv import Surroundings, go_duration, helm_argv
from helm_rollback.helm.chart_location import ChartLocation
from helm_rollback.helm.version import HelmVersion

SHOP = ReleaseId("default", "prod", "shop")
HELM_4_3 = HelmVersion(4, 3, 1)
HELM_4_2 = HelmVersion(4, 2, 4)
HELM_3 = HelmVersion(3, 22, 0)


def argv(version: HelmVersion = HELM_4_3, revision: int = 7, **options: Any) -> list[str]:
    return argv_of(HelmRollback(revision), version, **options)


def argv_of(call: HelmCall, version: HelmVersion = HELM_4_3, **options: Any) -> list[str]:
    return helm_argv(
        version,
        SHOP,
        call,
        options=HelmOptions(**options),
        description="[id] --no-hooks",
        around=Surroundings(
            kubeconfig=Path("/private/kubeconfig"), chart=ChartLocation("/private/chart.tgz"), values=Path("/values")
        ),
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


CHART = ChartArchive(b"a chart")


def test_a_plain_install_names_everything() -> None:
    assert argv_of(HelmInstall(change=ChartChange(chart=CHART))) == [
        "install",
        "--kubeconfig=/private/kubeconfig",
        "--namespace=prod",
        "--timeout=300s",
        "--wait=watcher",
        "--values=/values",
        "--description=[id] --no-hooks",
        "--",
        "shop",
        "/private/chart.tgz",
    ]


def test_every_wish_of_an_install_has_its_flag() -> None:
    change = ChartChange(
        chart=CHART, create_namespace=True, labels={"team": "shop", "a": "b"}, values_mode=ValuesMode.REUSE
    )

    asked = argv_of(HelmInstall(change=change, replace=True, atomic=True))

    wished = ["--labels=a=b", "--labels=team=shop", "--create-namespace", "--replace", "--rollback-on-failure"]
    assert [flag for flag in asked if flag in wished] == wished
    assert "--atomic" in argv_of(HelmInstall(change=change, atomic=True), HELM_3)


@pytest.mark.parametrize(
    ("mode", "flags"),
    [
        (None, []),
        (ValuesMode.RESET, ["--reset-values"]),
        (ValuesMode.REUSE, ["--reuse-values"]),
        (ValuesMode.RESET_THEN_REUSE, ["--reset-then-reuse-values"]),
    ],
)
def test_an_upgrade_prunes_nothing_undoes_nothing_and_treats_values_as_wished(
    mode: ValuesMode | None, flags: list[str]
) -> None:
    asked = argv_of(HelmUpgrade(change=ChartChange(chart=CHART, values_mode=mode, create_namespace=True)))

    assert [flag for flag in asked if "values" in flag and flag != "--values=/values"] == flags
    assert "--history-max=0" in asked
    assert "--rollback-on-failure" not in asked
    assert "--create-namespace" not in asked


def test_an_uninstall_keeps_history_unless_it_purges() -> None:
    assert argv_of(HelmUninstall(keep_history=True), disable_hooks=True) == [
        "uninstall",
        "--kubeconfig=/private/kubeconfig",
        "--namespace=prod",
        "--timeout=300s",
        "--wait=watcher",
        "--no-hooks",
        "--keep-history",
        "--description=[id] --no-hooks",
        "--",
        "shop",
    ]
    assert "--keep-history" not in argv_of(HelmUninstall(keep_history=False))
