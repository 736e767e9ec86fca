"""What a manifest, as Helm stores it, consists of: YAML documents, one an object."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from helm_rollback.application.ports import ServedKind

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SEPARATOR = re.compile(r"^---(?:\s.*)?$", re.MULTILINE)
_API_VERSION = re.compile(r"^apiVersion:[ \t]*[\"']?([^\s\"'#]+)[\"']?[ \t]*(?:#.*)?$", re.MULTILINE)
_KIND = re.compile(r"^kind:[ \t]*[\"']?([^\s\"'#]+)[\"']?[ \t]*(?:#.*)?$", re.MULTILINE)


def documents(manifest: str) -> list[str]:
    """The documents of a manifest, as text; empty ones left out."""
    return [document for document in _SEPARATOR.split(manifest) if document.strip()]


def kinds(manifest: str) -> set[ServedKind]:
    """Every kind that the manifest has objects of. Raises nothing: what is no object has no kind.

    Parsing 300 objects takes longer than Helm takes to apply some, so the two lines
    are looked for, and only a document that is written otherwise is parsed.
    """
    found = set()
    for document in documents(manifest):
        versions, names = _API_VERSION.findall(document), _KIND.findall(document)
        if len(versions) == len(names) == 1 and names[0] != "List":
            found.add(ServedKind(versions[0], names[0]))
        else:
            found |= {ServedKind(str(item["apiVersion"]), str(item["kind"])) for item in objects(document)}
    return found


def objects(manifest: str) -> Iterator[dict[str, Any]]:
    """The objects of a manifest, parsed; the items of a List each by itself. What can not be parsed is left out."""
    for document in documents(manifest):
        try:
            parsed = yaml.load(document, Loader=_Loader)  # noqa: S506 - a safe loader, in C where there is one
        except yaml.YAMLError:
            continue
        yield from _items(parsed)


def _items(parsed: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(parsed, dict) or "kind" not in parsed or "apiVersion" not in parsed:
        return
    if str(parsed["kind"]) == "List" and isinstance(parsed.get("items"), list):
        for item in parsed["items"]:
            yield from _items(item)
    else:
        yield parsed
