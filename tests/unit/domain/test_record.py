"""Digests of a record: equal exactly where Helm would tell the cluster the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.revisions import a_hook, a_record
from support.samples import NOON

from helm_rollback.domain.record import HelmRecord, secret_name

EQUAL_VALUES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("a whole number and its float", {"replicas": 2}, {"replicas": 2.0}),
    ("deep in lists and objects", {"a": [{"b": [1]}]}, {"a": [{"b": [1.0]}]}),
    ("a number that Helm rounded when it superseded", {"id": 1234567890123456789}, {"id": 1234567890123456800}),
    ("keys in another order", {"a": 1, "b": 2}, {"b": 2, "a": 1}),
]


@pytest.mark.parametrize(("one", "other"), [case[1:] for case in EQUAL_VALUES], ids=[case[0] for case in EQUAL_VALUES])
def test_values_are_equal_despite(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert a_record(values=one).values_digest == a_record(values=other).values_digest


OTHER_VALUES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("numbers", {"a": 1}, {"a": 2}),
    ("a number and its text", {"a": 1}, {"a": "1"}),
    ("true and one", {"a": True}, {"a": 1}),
    ("false and null", {"a": False}, {"a": None}),
    ("null and nothing", {"a": None}, {}),
    ("the order of a list", {"a": [1, 2]}, {"a": [2, 1]}),
    ("keys", {"a": 1}, {"b": 1}),
]


@pytest.mark.parametrize(("one", "other"), [case[1:] for case in OTHER_VALUES], ids=[case[0] for case in OTHER_VALUES])
def test_values_differ_by(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert a_record(values=one).values_digest != a_record(values=other).values_digest


@given(st.integers(-(2**53), 2**53))
def test_every_whole_number_that_a_float_holds_is_equal_to_it(number: int) -> None:
    assert a_record(values={"n": number}).values_digest == a_record(values={"n": float(number)}).values_digest


HOOK = a_hook("pre-rollback", "post-rollback", name="a")
RECORD = a_record(manifest="kind: ConfigMap", hooks=(HOOK, a_hook("pre-upgrade", name="b")))
EQUAL_MANIFESTS = [
    ("the order of hooks", a_record(manifest=RECORD.manifest, hooks=RECORD.hooks[::-1])),
    (
        "the order of a hook's events",
        a_record(manifest=RECORD.manifest, hooks=(a_hook("post-rollback", "pre-rollback", name="a"), RECORD.hooks[1])),
    ),
    (
        "a hook's last run",
        a_record(
            manifest=RECORD.manifest,
            hooks=(a_hook(*HOOK.events, name="a", last_run_started=NOON, phase="Failed"), RECORD.hooks[1]),
        ),
    ),
    ("what Helm says of the revision", a_record(9, manifest=RECORD.manifest, hooks=RECORD.hooks, description="x")),
    ("the chart", a_record(manifest=RECORD.manifest, hooks=RECORD.hooks, chart_name="x", chart_version="2")),
]


@pytest.mark.parametrize("other", [case[1] for case in EQUAL_MANIFESTS], ids=[case[0] for case in EQUAL_MANIFESTS])
def test_manifests_are_equal_whatever(other: HelmRecord) -> None:
    assert other.manifest_digest == RECORD.manifest_digest


OTHER_MANIFESTS = [
    ("a blank", a_record(manifest="kind:  ConfigMap", hooks=RECORD.hooks)),
    ("a hook more", a_record(manifest=RECORD.manifest, hooks=(*RECORD.hooks, a_hook("test", name="c")))),
    ("a hook less", a_record(manifest=RECORD.manifest, hooks=RECORD.hooks[:1])),
    (
        "a hook's weight",
        a_record(manifest=RECORD.manifest, hooks=(a_hook(*HOOK.events, name="a", weight=1), RECORD.hooks[1])),
    ),
    ("a hook's event", a_record(manifest=RECORD.manifest, hooks=(a_hook("pre-rollback", name="a"), RECORD.hooks[1]))),
    (
        "a hook's manifest",
        a_record(manifest=RECORD.manifest, hooks=(a_hook(*HOOK.events, name="a", manifest="x"), RECORD.hooks[1])),
    ),
]


@pytest.mark.parametrize("other", [case[1] for case in OTHER_MANIFESTS], ids=[case[0] for case in OTHER_MANIFESTS])
def test_manifests_differ_by(other: HelmRecord) -> None:
    assert other.manifest_digest != RECORD.manifest_digest


def test_a_secret_is_named_as_helm_names_it() -> None:
    assert secret_name("shop.eu", 12) == "sh.helm.release.v1.shop.eu.v12"
