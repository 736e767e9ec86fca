"""Keeping the values of Secrets out of everything that leaves the service.

What a manifest's Secrets hold is secret wherever else it turns up: in the values
that it was made from, and in what Helm prints.
"""

from __future__ import annotations

import json
import sys
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping, Set
from typing import Any

import yaml

from helm_rollback.application import manifest as manifests

MASK = "********"
UNREADABLE = "# A document that can not be read, and may hold a Secret, is left out.\n"
_DATA = ("data", "stringData")
_SHORTEST = 4
"""A shorter text is no secret worth the name, and masking it everywhere would hide everything else."""


def secrets_of(manifest: str) -> frozenset[str]:
    """Every text that the Secrets of a manifest hold, as it is written and decoded."""
    if "Secret" not in manifest:
        return frozenset()
    documents = [document for document in manifests.documents(manifest) if "Secret" in document]
    items = [item for document in documents for item in manifests.objects(document)]
    return frozenset[str]().union(*(secret_texts(item) for item in items if item["kind"] == "Secret"))


def secret_texts(secret: Mapping[str, Any]) -> frozenset[str]:
    """Every text that one Secret holds, as it is written and decoded; but not what is too short to be looked for."""
    return frozenset(text for text in _texts(secret) if len(text) >= _SHORTEST)


def masked_text(text: str, secrets: Set[str]) -> str:
    """`text` without any of these, longest first, so that none is left in half."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def masked_manifest(manifest: str) -> str:
    """The manifest with the data of its Secrets, and these texts wherever else they stand, masked."""
    secrets = secrets_of(manifest)
    if "Secret" not in manifest:
        return manifest
    return "---\n".join(_masked_document(document, secrets) for document in manifests.documents(manifest))


def _masked_document(document: str, secrets: Set[str]) -> str:
    if "Secret" not in document:
        return masked_text(document, secrets).lstrip("\n")
    try:
        items = manifests.objects_of(document)
    except ValueError:
        return UNREADABLE
    if not any(item["kind"] == "Secret" for item in items):
        return masked_text(document, secrets).lstrip("\n")
    return "---\n".join(masked_text(_dumped(_without_data(item)), secrets) for item in items)


def _dumped(item: dict[str, Any]) -> str:
    """As YAML, long lines in one piece, so that a secret in one is found."""
    return yaml.safe_dump(item, sort_keys=False, allow_unicode=True, width=sys.maxsize)


def _without_data(item: dict[str, Any]) -> dict[str, Any]:
    """A Secret without its data, also what is too short to be masked elsewhere."""
    if item["kind"] != "Secret":
        return item
    return item | {key: _hidden(item[key]) for key in _DATA if item.get(key)}


def _hidden(data: Any) -> Any:
    return dict.fromkeys(data, MASK) if isinstance(data, dict) else MASK


def masked_values(values: dict[str, Any], secrets: Set[str]) -> dict[str, Any]:
    """Values with every text that is, or holds, a secret masked."""
    masked = _masked(values, secrets)
    assert isinstance(masked, dict)
    return masked


def _masked(value: Any, secrets: Set[str]) -> Any:
    if isinstance(value, dict):
        return {key: _masked(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item, secrets) for item in value]
    if isinstance(value, str):
        return masked_text(value, secrets)
    return MASK if str(value) in secrets else value


def _texts(secret: Mapping[str, Any]) -> set[str]:
    written = [str(value) for key in _DATA if isinstance(secret.get(key), dict) for value in secret[key].values()]
    texts = {*written, *(_decoded(text) for text in written)}
    lines = {line.strip() for text in texts for line in (text, *text.splitlines())}
    return lines | {json.dumps(line, ensure_ascii=False)[1:-1] for line in lines}  # as errors quote them


def _decoded(value: str) -> str:
    try:
        return b64decode("".join(value.split()), validate=True).decode()
    except (Base64Error, ValueError):
        return ""
