"""Keeping the values of Secrets out of everything that leaves the service.

What a manifest's Secrets hold is secret wherever else it turns up: in the values
that it was made from, and in what Helm prints.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Set
from typing import Any

import yaml

from helm_rollback.application import manifest as manifests

MASK = "********"
_SHORTEST = 4
"""A shorter text is no secret worth the name, and masking it everywhere would hide everything else."""


def secrets_of(manifest: str) -> frozenset[str]:
    """Every text that the Secrets of a manifest hold, as it is written and decoded."""
    if "Secret" not in manifest:
        return frozenset()
    found: set[str] = set()
    for item in manifests.objects(manifest):
        if item.get("kind") == "Secret":
            found |= _texts(item)
    return frozenset(text for text in found if len(text) >= _SHORTEST)


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
    items = list(manifests.objects(document))
    if not any(item.get("kind") == "Secret" for item in items):
        return masked_text(document, secrets).lstrip("\n")
    return "---\n".join(yaml.safe_dump(_without_data(item), sort_keys=False) for item in items)


def _without_data(item: dict[str, Any]) -> dict[str, Any]:
    if item.get("kind") != "Secret":
        return item
    return {
        key: dict.fromkeys(value, MASK) if key in ("data", "stringData") and isinstance(value, dict) else value
        for key, value in item.items()
    }


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


def _texts(secret: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    data = secret.get("data")
    for value in data.values() if isinstance(data, dict) else ():
        found.add(str(value))
        decoded = _decoded(str(value))
        found |= {decoded, *decoded.splitlines()}
    plain = secret.get("stringData")
    for value in plain.values() if isinstance(plain, dict) else ():
        found |= {str(value), *str(value).splitlines()}
    return {text.strip() for text in found}


def _decoded(value: str) -> str:
    try:
        return b64decode(value, validate=True).decode()
    except (Base64Error, ValueError):
        return ""
