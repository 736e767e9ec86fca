"""Helm's release Secrets, decoded: the one place that knows how Helm 3 and 4 write them.

Only this module may be imported by the other adapters. Random bytes raise
`UndecodableRecord` and nothing else; where a Secret holds them, `from_secret` keeps
them with the problem beside, so that a damaged record stops nobody.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from helm_rollback.domain.errors import InvalidField
from helm_rollback.domain.record import HelmRecord, Hook, RecordRef, StoredRecord, secret_name
from helm_rollback.domain.release import ReleaseId
from helm_rollback.domain.status import Status
from helm_rollback.helm.document import UndecodableRecord, pack, parse, replace_strings, unpack

__all__ = ["NOT_STORED", "UndecodableRecord", "decode", "encode", "from_secret", "ref_from_metadata", "with_status"]

NOT_STORED = datetime.fromtimestamp(0, UTC)
"""`create_time` of a Secret that the API server has not stored yet: one that Helm asks the fence to pass."""
VALUES_DEPTH_MAX = 100
"""How deep a user's values may nest; what walks them later is recursive."""
_INT32_MAX = 2**31 - 1


def decode(payload: bytes) -> HelmRecord:
    """The record in `payload` (`data.release`, the API's own base64 off). Raises UndecodableRecord."""
    release = parse(unpack(payload))
    info = _object(release, "info")
    chart = _object(_object(release, "chart"), "metadata")
    values = _object(release, "config")
    return HelmRecord(
        name=_string(release, "name"),
        namespace=_string(release, "namespace"),
        revision=_number(release, "version", least=1),
        status=Status.from_helm(_string(info, "status")),
        description=_string(info, "description"),
        first_deployed=_time(info, "first_deployed"),
        last_deployed=_time(info, "last_deployed"),
        deleted=_time(info, "deleted"),
        rollback_target=_number(info, "rollback_revision"),
        chart_name=_string(chart, "name"),
        chart_version=_string(chart, "version"),
        app_version=_string(chart, "appVersion"),
        values={_clean(key): _clean_value(value, VALUES_DEPTH_MAX) for key, value in values.items()},
        manifest=_string(release, "manifest"),
        hooks=_hooks(release),
        applied_server_side=_string(release, "apply_method") == "ssa",
    )


def encode(release: Mapping[str, Any]) -> bytes:
    """The payload of a release document, as Helm would store it."""
    return pack(json.dumps(release, ensure_ascii=False, separators=(",", ":")))


def with_status(payload: bytes, status: Status, description: str) -> bytes:
    """`payload` with `info.status` and `info.description` changed, every other character as it was.

    Raises UndecodableRecord.
    """
    return pack(
        replace_strings(unpack(payload), "info", {"status": status.helm_word, "description": _clean(description)})
    )


def from_secret(secret: Mapping[str, Any]) -> StoredRecord:
    """A Kubernetes Secret as a stored record; its type is ignored, as Helm ignores it.

    A payload that can not be decoded gives a record of None and the problem. Raises
    UndecodableRecord where name and labels name no revision at all: then it is none of Helm's.
    """
    metadata = secret.get("metadata")
    ref = ref_from_metadata(metadata if isinstance(metadata, Mapping) else {})
    if ref is None:
        raise UndecodableRecord("its name and labels name no revision of a release")
    payload, record, problem = b"", None, ""
    try:
        payload = _payload(secret)
        record = decode(payload)
        if (record.name, record.revision) != (ref.release_name, ref.revision):
            raise UndecodableRecord("its labels and its content name different revisions")
    except UndecodableRecord as undecodable:
        record, problem = None, undecodable.problem
    return StoredRecord(ref=ref, payload=payload, labels=_labels(metadata), record=record, problem=problem)


def ref_from_metadata(metadata: Mapping[str, Any]) -> RecordRef | None:
    """What a Secret's metadata says of the record in it; None where it is not the one that Helm keeps a revision in.

    Helm lists by labels, but reads, rewrites and deletes by name (`pkg/storage/driver/secrets.go`),
    so a copy under another name is no revision, whatever its labels say.
    What the API server adds (`uid`, `resourceVersion`, `creationTimestamp`) may be missing:
    Helm's own requests do not have it.
    """
    labels = _labels(metadata)
    name, revision = labels.get("name", ""), _decimal(labels.get("version", ""))
    if not 1 <= revision <= _INT32_MAX or not _is_release_name(name):
        return None
    if _word(metadata, "name") != secret_name(name, revision):
        return None
    return RecordRef(
        secret_name=_word(metadata, "name"),
        namespace=_word(metadata, "namespace"),
        release_name=name,
        revision=revision,
        status=Status.from_helm(labels.get("status", "")),
        uid=_word(metadata, "uid"),
        resource_version=_decimal(_word(metadata, "resourceVersion")),
        create_time=_stored_time(_word(metadata, "creationTimestamp")),
    )


def _payload(secret: Mapping[str, Any]) -> bytes:
    data = secret.get("data")
    text = data.get("release") if isinstance(data, Mapping) else None
    if not isinstance(text, str) or not text:
        raise UndecodableRecord("the Secret has no data.release")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as problem:
        raise UndecodableRecord("data.release is not base64") from problem


def _labels(metadata: object) -> dict[str, str]:
    labels = metadata.get("labels") if isinstance(metadata, Mapping) else None
    if not isinstance(labels, Mapping):
        return {}
    return {key: value for key, value in labels.items() if isinstance(key, str) and isinstance(value, str)}


def _word(metadata: Mapping[str, Any], key: str) -> str:
    word = metadata.get(key)
    return word if isinstance(word, str) else ""


def _decimal(digits: str) -> int:
    """The number that Go's strconv would have written so; 0 for anything else."""
    canonical = digits.isascii() and digits.isdigit() and not digits.startswith("0") and len(digits) <= 19
    return int(digits) if canonical else 0


def _is_release_name(name: str) -> bool:
    try:
        ReleaseId.parse(f"c.n.{name}")
    except InvalidField:
        return False
    return True


def _stored_time(text: str) -> datetime:
    try:
        return _parse_time(text) or NOT_STORED
    except ValueError:
        return NOT_STORED


def _hooks(release: dict[str, Any]) -> tuple[Hook, ...]:
    hooks = _list(release, "hooks")
    return tuple(_hook(hook) for hook in hooks if hook is not None)


def _hook(hook: object) -> Hook:
    if not isinstance(hook, dict):
        raise UndecodableRecord("one of its hooks is not an object")
    last_run = _object(hook, "last_run")
    return Hook(
        name=_string(hook, "name"),
        kind=_string(hook, "kind"),
        events=tuple(_clean(event) for event in _list(hook, "events") if isinstance(event, str)),
        weight=_number(hook, "weight", least=-_INT32_MAX - 1),
        manifest=_string(hook, "manifest"),
        last_run_started=_time(last_run, "started_at"),
        last_run_phase=_string(last_run, "phase"),
    )


def _object(parent: dict[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UndecodableRecord(f"{key} is not an object")
    return value


def _list(parent: dict[str, Any], key: str) -> list[Any]:
    value = parent.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise UndecodableRecord(f"{key} is not a list")
    return value


def _string(parent: dict[str, Any], key: str) -> str:
    value = parent.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UndecodableRecord(f"{key} is not a string")
    return _clean(value)


def _number(parent: dict[str, Any], key: str, *, least: int = 0) -> int:
    value = parent.get(key, 0)
    if not isinstance(value, int) or isinstance(value, bool):
        raise UndecodableRecord(f"{key} is not a whole number")
    if not least <= value <= _INT32_MAX:
        raise UndecodableRecord(f"{key} is out of range")
    return value


def _time(parent: dict[str, Any], key: str) -> datetime | None:
    try:
        return _parse_time(_string(parent, key))
    except ValueError as problem:
        raise UndecodableRecord(f"{key} is not a time") from problem


def _parse_time(text: str) -> datetime | None:
    """RFC 3339 as Go writes it, nanoseconds cut to microseconds; None for "" (Helm 3) and Go's zero time."""
    if not text or text.startswith("0001-01-01T00:00:00"):
        return None
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("no time zone")
    try:
        return time.astimezone(UTC)
    except OverflowError as problem:
        raise ValueError("out of range") from problem


def _clean_value(value: Any, depth: int) -> Any:
    if depth == 0:
        raise UndecodableRecord("config is nested too deeply")
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, dict):
        return {_clean(key): _clean_value(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean_value(item, depth - 1) for item in value]
    return value


def _clean(text: str) -> str:
    r"""`text` without lone surrogates: JSON may spell them (`\ud800`), no database stores them. Go does the same."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
