"""Helm's records: what is read from them, what is kept, and that no bytes do harm."""

from __future__ import annotations

import base64
import gzip
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helm_rollback.domain.status import Status
from helm_rollback.helm import document
from helm_rollback.helm.document import unpack
from helm_rollback.helm.record import (
    NOT_STORED,
    UndecodableRecord,
    decode,
    encode,
    from_secret,
    ref_from_metadata,
    with_status,
)

HELM_4: dict[str, Any] = {
    "name": "shop",
    "namespace": "prod",
    "version": 3,
    "info": {
        "first_deployed": "2026-01-02T03:04:05.123456789Z",
        "last_deployed": "2026-01-02T05:04:05+02:00",
        "description": "Rollback to 1",
        "status": "pending-rollback",
        "rollback_revision": 1,
    },
    "chart": {"metadata": {"name": "shop", "version": "1.2.0", "appVersion": "9"}, "templates": None},
    "config": {"replicas": 2, "tags": ["a", "b"], "ratio": 0.5},
    "manifest": "kind: ConfigMap\n",
    "hooks": [
        {
            "name": "migrate",
            "kind": "Job",
            "events": ["pre-rollback"],
            "weight": -5,
            "manifest": "kind: Job\n",
            "last_run": {"started_at": "2026-01-02T03:04:05Z", "completed_at": "", "phase": "Succeeded"},
        }
    ],
    "apply_method": "ssa",
}


def raw(text: str) -> bytes:
    return base64.b64encode(text.encode())


def secret(payload: bytes, **labels: str) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "sh.helm.release.v1.shop.v3",
            "namespace": "prod",
            "uid": "u-1",
            "resourceVersion": "42",
            "creationTimestamp": "2026-01-02T03:04:05Z",
            "labels": {"owner": "helm", "name": "shop", "version": "3", "status": "deployed", **labels},
        },
        "type": "helm.sh/release.v1",
        "data": {"release": base64.b64encode(payload).decode()},
    }


def test_reads_a_record_of_helm_4() -> None:
    record = decode(encode(HELM_4))

    assert (record.name, record.namespace, record.revision) == ("shop", "prod", 3)
    assert record.status is Status.PENDING_ROLLBACK
    assert record.rollback_target == 1
    assert record.first_deployed == datetime(2026, 1, 2, 3, 4, 5, 123456, UTC)
    assert record.last_deployed == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert record.deleted is None
    assert (record.chart_name, record.chart_version, record.app_version) == ("shop", "1.2.0", "9")
    assert record.values == {"replicas": 2, "tags": ["a", "b"], "ratio": 0.5}
    assert record.applied_server_side
    assert record.hooks[0].events == ("pre-rollback",)
    assert record.hooks[0].weight == -5
    assert record.hooks[0].last_run_started == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_reads_a_record_of_helm_3_with_its_empty_times() -> None:
    helm_3 = {
        "name": "shop",
        "version": 1,
        "info": {"first_deployed": "", "last_deployed": "", "deleted": "", "status": "deployed"},
    }

    record = decode(raw(json.dumps(helm_3)))

    assert (record.first_deployed, record.last_deployed, record.deleted) == (None, None, None)
    assert record.hooks == ()
    assert record.values == {}
    assert not record.applied_server_side


def test_go_s_zero_time_is_no_time() -> None:
    assert decode(encode({"version": 1, "info": {"deleted": "0001-01-01T00:00:00Z"}})).deleted is None


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (b"%%%", "not base64"),
        (base64.b64encode(b"\x1f\x8b\x08garbage"), "gzip is damaged"),
        (base64.b64encode(gzip.compress(b"{}")[:-4]), "cut off"),
        (base64.b64encode(gzip.compress(b"{}") + b"more"), "follows its gzip"),
        (base64.b64encode(b"\xff\xfe"), "not UTF-8"),
        (raw("{"), "not JSON"),
        (raw("[]"), "not an object"),
        (raw("[" * 100_000), "too deeply"),
        (raw('{"version": NaN}'), "not JSON"),
        (raw('{"version": 1, "config": {"a": 1e999}}'), "not JSON"),
        (raw('{"version": 1, "config": {"a": ' + "9" * 400 + "}}"), "not JSON"),
        (raw('{"version": 1, "config": {"a": ' + "[" * 200 + "]" * 200 + "}}"), "config is nested too deeply"),
        (raw("{}"), "version is out of range"),
        (raw('{"version": true}'), "version is not a whole number"),
        (raw('{"version": 4294967296}'), "version is out of range"),
        (raw('{"version": 1, "info": []}'), "info is not an object"),
        (raw('{"version": 1, "info": {"deleted": "yesterday"}}'), "deleted is not a time"),
        (raw('{"version": 1, "info": {"deleted": "2026-01-01T00:00:00"}}'), "deleted is not a time"),
        (raw('{"version": 1, "info": {"deleted": "9999-12-31T23:59:59-23:00"}}'), "deleted is not a time"),
        (raw('{"version": 1, "hooks": [7]}'), "hooks is not an object"),
        (raw('{"version": 1, "hooks": {}}'), "hooks is not a list"),
        (raw('{"version": 1, "manifest": 7}'), "manifest is not a string"),
    ],
)
def test_what_helm_can_not_have_written_is_undecodable(payload: bytes, problem: str) -> None:
    with pytest.raises(UndecodableRecord, match=problem):
        decode(payload)


def test_a_gzip_bomb_is_not_unpacked() -> None:
    bomb = base64.b64encode(gzip.compress(b" " * (document.UNPACKED_MAX + 1)))

    with pytest.raises(UndecodableRecord, match="more than 32 MiB"):
        decode(bomb)


def test_lone_surrogates_become_what_any_database_stores() -> None:
    record = decode(raw(r'{"version": 1, "manifest": "\ud800x", "config": {"a": ["\udfff"]}}'))

    assert record.manifest == "\ufffdx"
    assert record.values == {"a": ["\ufffd"]}


def test_with_status_changes_two_words_and_no_other_character() -> None:
    text = (
        '{"name" : "x", "version":1,\n"info":{ "description":"old \\" }", "status":"deployed","n":1e2},'
        '"config":{"big":1234567890123456789,"small":1.10,"status":"mine"}}'
    )

    changed = with_status(raw(text), Status.PENDING_UPGRADE, 'new "ü"')

    expected = text.replace(r'"old \" }"', r'"new \"ü\""').replace('"status":"deployed"', '"status":"pending-upgrade"')
    assert unpack(changed) == expected
    assert decode(changed).description == 'new "ü"'


@pytest.mark.parametrize("info", ["{}", "{ }", '{"notes":"n"}', '{"status":"deployed"}', '{"status":1,"status":2}'])
def test_with_status_adds_what_is_missing(info: str) -> None:
    changed = decode(with_status(raw('{"version":1,"info":' + info + "}"), Status.FAILED, "why"))

    assert (changed.status, changed.description) == (Status.FAILED, "why")


@pytest.mark.parametrize("text", ["{}", '{"info":null}', '{"info":7}'])
def test_with_status_refuses_a_record_without_info(text: str) -> None:
    with pytest.raises(UndecodableRecord, match="no info"):
        with_status(raw(text), Status.FAILED, "why")


def test_reads_a_secret_whatever_its_type() -> None:
    stored = from_secret(secret(encode(HELM_4), team="a") | {"type": "Opaque"})

    assert stored.record == decode(encode(HELM_4))
    assert stored.payload == encode(HELM_4)
    assert stored.labels["team"] == "a"
    assert stored.ref.resource_version == 42
    assert stored.ref.status is Status.DEPLOYED
    assert stored.problem == ""


def test_keeps_a_damaged_payload_and_says_what_is_wrong() -> None:
    stored = from_secret(secret(b"%%%"))

    assert stored.record is None
    assert stored.payload == b"%%%"
    assert stored.problem == "it is not base64"


def test_a_secret_without_data_has_a_problem() -> None:
    assert from_secret(secret(b"") | {"data": None}).problem == "the Secret has no data.release"


def test_labels_and_content_must_name_the_same_revision() -> None:
    stored = from_secret(secret(encode(HELM_4 | {"version": 2})))

    assert stored.record is None
    assert "different revisions" in stored.problem


@pytest.mark.parametrize(
    "labels",
    [
        {"version": "0"},
        {"version": "03"},
        {"version": "-1"},
        {"version": "٣"},
        {"version": "2147483648"},
        {"name": "-x"},
        {"name": "x" * 54},
        {"name": "a/b"},
        {"name": ""},
    ],
)
def test_labels_that_name_no_revision_are_no_record(labels: dict[str, str]) -> None:
    metadata = secret(b"", **labels)["metadata"]

    assert ref_from_metadata(metadata) is None
    with pytest.raises(UndecodableRecord):
        from_secret({"metadata": metadata})


@pytest.mark.parametrize("name", ["backup", "sh.helm.release.v1.shop.v2", "sh.helm.release.v1.shop", ""])
def test_a_copy_under_another_name_is_no_revision(name: str) -> None:
    assert ref_from_metadata({"name": name, "labels": {"name": "shop", "version": "3"}}) is None


def test_a_secret_that_is_not_stored_yet_has_no_version() -> None:
    ref = ref_from_metadata({"name": "sh.helm.release.v1.shop.v3", "labels": {"name": "shop", "version": "3"}})

    assert ref is not None
    assert (ref.uid, ref.resource_version, ref.create_time) == ("", 0, NOT_STORED)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
FIELDS = st.sampled_from(["name", "namespace", "version", "info", "chart", "config", "manifest", "hooks", "status"])
INNER = st.dictionaries(
    st.sampled_from(["status", "description", "deleted", "metadata", "last_run", "events", "rollback_revision"]),
    JSON_VALUES,
)


@given(st.binary() | st.binary().map(base64.b64encode) | st.binary().map(lambda b: base64.b64encode(gzip.compress(b))))
def test_random_bytes_raise_nothing_but_undecodable(payload: bytes) -> None:
    _decode_and_digest(payload)


@given(st.dictionaries(FIELDS, JSON_VALUES | INNER | st.lists(INNER)))
def test_random_documents_raise_nothing_but_undecodable(release: dict[str, Any]) -> None:
    _decode_and_digest(encode({"version": 1} | release))


@given(st.dictionaries(st.text(), JSON_VALUES), st.text())
def test_a_changed_status_is_read_back_and_the_rest_is_unchanged(config: dict[str, Any], description: str) -> None:
    release = HELM_4 | {"config": config}

    text = unpack(with_status(encode(release), Status.FAILED, description))

    changed = release | {"info": release["info"] | {"status": "failed", "description": description}}
    assert json.loads(text) == changed


@given(JSON_VALUES | st.dictionaries(st.sampled_from(["metadata", "data"]), JSON_VALUES | INNER))
def test_random_secrets_raise_nothing_but_undecodable(value: Any) -> None:
    if not isinstance(value, dict):
        return
    try:
        from_secret(value)
    except UndecodableRecord:
        return


def _decode_and_digest(payload: bytes) -> None:
    try:
        record = decode(payload)
    except UndecodableRecord:
        return
    assert record.values_digest
    assert record.manifest_digest
