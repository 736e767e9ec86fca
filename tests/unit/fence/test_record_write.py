"""Which writes are of release records, in JSON and in protobuf, and what can not be read."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.fence.kubernetes_protobuf import secret_protobuf

from helm_rollback.application.ports import RecordWrite
from helm_rollback.domain.status import Status
from helm_rollback.fence.record_write import Unreadable, record_write
from helm_rollback.fence.request import Request
from helm_rollback.fence.secret_protobuf import CONTENT_TYPE, UnreadableSecret, read_secret
from helm_rollback.helm.record import encode

SECRETS = "/api/v1/namespaces/prod/secrets"
NAME = "sh.helm.release.v1.shop.v3"
PAYLOAD = encode({"name": "shop", "version": 3, "info": {"status": "pending-rollback", "description": "why"}})
RECORD: dict[str, Any] = {
    "kind": "Secret",
    "apiVersion": "v1",
    "metadata": {
        "name": NAME,
        "labels": {"owner": "helm", "name": "shop", "version": "3", "status": "pending-rollback"},
    },
    "data": {"release": base64.b64encode(PAYLOAD).decode()},
    "type": "helm.sh/release.v1",
}
PLAIN: dict[str, Any] = {"metadata": {"name": "password"}, "data": {"a": "YQ=="}, "type": "Opaque"}


def request(method: str, path: str, content_type: str = "application/json") -> Request:
    segments = tuple(path.partition("?")[0][1:].split("/"))
    headers = (("content-type", content_type),)
    return Request(method=method, target=path, headers=headers, segments=segments, has_body=True)


def of_json(method: str, path: str, secret: object) -> RecordWrite | Unreadable | None:
    return record_write(request(method, path), json.dumps(secret).encode())


def merged(**changes: Any) -> dict[str, Any]:
    return {**RECORD, **changes}


@pytest.mark.parametrize(("method", "path"), [("POST", SECRETS), ("PUT", f"{SECRETS}/{NAME}")])
@pytest.mark.parametrize("content_type", ["application/json", CONTENT_TYPE])
def test_a_record_is_read_in_either_encoding(method: str, path: str, content_type: str) -> None:
    body = secret_protobuf(RECORD) if content_type == CONTENT_TYPE else json.dumps(RECORD).encode()

    write = record_write(request(method, path, content_type), body)

    assert isinstance(write, RecordWrite)
    assert (write.method, write.namespace, write.secret_name) == (method, "prod", NAME)
    assert write.stored is not None
    assert write.stored.payload == PAYLOAD
    assert write.stored.ref.status is Status.PENDING_ROLLBACK
    assert write.stored.record is not None
    assert write.stored.record.description == "why"


def test_a_deletion_of_a_record_is_told_by_its_name() -> None:
    write = record_write(request("DELETE", f"{SECRETS}/{NAME}"), b"")

    assert isinstance(write, RecordWrite)
    assert (write.secret_name, write.stored) == (NAME, None)


def test_a_record_is_one_whatever_its_type() -> None:
    assert isinstance(of_json("POST", SECRETS, merged(type="Opaque")), RecordWrite)


@pytest.mark.parametrize(
    "secret",
    [
        merged(metadata={"name": "other", "labels": RECORD["metadata"]["labels"]}, type="Opaque"),
        merged(metadata={"generateName": "sh.helm.release.v1.", "labels": RECORD["metadata"]["labels"]}),
    ],
)
def test_a_record_under_another_name_is_not_passed(secret: dict[str, Any]) -> None:
    """Helm would count it, and it is no revision's."""
    assert isinstance(of_json("POST", SECRETS, secret), Unreadable)


@pytest.mark.parametrize(
    ("method", "path", "secret"),
    [
        ("POST", SECRETS, PLAIN),
        ("PUT", f"{SECRETS}/password", PLAIN),
        ("PATCH", f"{SECRETS}/password", PLAIN),
        ("DELETE", f"{SECRETS}/password", {}),
        ("POST", "/api/v1/namespaces/prod/configmaps", RECORD),
        ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {}),
        ("POST", f"{SECRETS}?dryRun=All", RECORD),
        ("GET", f"{SECRETS}/{NAME}", {}),
    ],
)
def test_other_requests_are_nobody_s_business(method: str, path: str, secret: dict[str, Any]) -> None:
    assert of_json(method, path, secret) is None


@pytest.mark.parametrize(
    ("method", "path", "secret"),
    [
        ("PATCH", f"{SECRETS}/{NAME}", {"metadata": {"annotations": {"a": "b"}}}),
        ("PATCH", f"{SECRETS}/password", RECORD),
        ("PATCH", f"{SECRETS}/password", [{"op": "add", "path": "/metadata/labels/owner", "value": "helm"}]),
        ("PUT", f"{SECRETS}/{NAME}", PLAIN),
        ("POST", SECRETS, merged(stringData={"release": "x"})),
        ("POST", SECRETS, merged(metadata={"name": NAME, "labels": {"name": "shop", "version": "x"}})),
        ("POST", SECRETS, merged(metadata={"name": NAME})),
        ("POST", SECRETS, merged(metadata=None)),
        ("DELETE", SECRETS, {}),
        ("POST", "/api/v1/secrets", RECORD),
    ],
)
def test_what_can_not_be_judged_is_not_passed(method: str, path: str, secret: object) -> None:
    assert isinstance(of_json(method, path, secret), Unreadable)


@pytest.mark.parametrize("body", [b"", b"{", b"metadata: {}", b"\xff\xfe{\x00}\x00", b"[" * 100_000, b"k8s\x00"])
@pytest.mark.parametrize("content_type", ["application/json", "application/apply-patch+yaml", CONTENT_TYPE, "a/cbor"])
def test_a_body_that_can_not_be_read_is_not_passed(body: bytes, content_type: str) -> None:
    assert isinstance(record_write(request("POST", SECRETS, content_type), body), Unreadable)


def test_a_damaged_payload_is_left_to_the_judge() -> None:
    write = of_json("POST", SECRETS, merged(data={"release": "JSUl"}))

    assert isinstance(write, RecordWrite)
    assert write.stored is not None
    assert write.stored.record is None


def test_string_data_is_seen_in_protobuf_too() -> None:
    body = secret_protobuf({**RECORD, "stringData": {"release": "x"}})

    assert isinstance(record_write(request("POST", SECRETS, CONTENT_TYPE), body), Unreadable)


def test_a_field_given_twice_would_be_merged_so_it_is_refused() -> None:
    twice = secret_protobuf(RECORD, repeat_metadata=True)

    with pytest.raises(UnreadableSecret, match="twice"):
        read_secret(twice)


@given(st.binary().map(lambda data: b"k8s\x00" + data) | st.binary())
def test_random_protobuf_raises_nothing_but_unreadable(body: bytes) -> None:
    try:
        read_secret(body)
    except UnreadableSecret:
        return


@given(st.data())
def test_damaged_protobuf_raises_nothing_but_unreadable(data: st.DataObject) -> None:
    body = bytearray(secret_protobuf(RECORD))
    for _ in range(data.draw(st.integers(1, 5))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(body[: data.draw(st.integers(0, len(body)))])
    try:
        read_secret(cut)
    except UnreadableSecret:
        return
