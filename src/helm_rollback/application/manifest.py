"""What a manifest, as Helm stores it, consists of: YAML documents, one an object."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from helm_rollback.application.ports import ServedKind

_SEPARATOR = re.compile(r"^---[ \t]*(?=\s|\Z)", re.MULTILINE)
_PLAIN_WORD = r"[ \t]*([\"']?)([A-Za-z][\w./-]*)\1[ \t]*(?:#.*)?\r?$"
_API_VERSION = re.compile(rf"^apiVersion:{_PLAIN_WORD}", re.MULTILINE)
_KIND = re.compile(rf"^kind:{_PLAIN_WORD}", re.MULTILINE)
_ITEMS = re.compile(r"^items:", re.MULTILINE)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads as Helm does: what looks like a date is a text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way to configure a loader
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


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
        if len(versions) == len(names) == 1 and not _ITEMS.search(document):
            found.add(ServedKind(versions[0][1], names[0][1]))
        else:
            found |= {ServedKind(str(item["apiVersion"]), str(item["kind"])) for item in objects(document)}
    return found


def objects(manifest: str) -> Iterator[dict[str, Any]]:
    """The objects of a manifest, parsed; the items of a list each by itself. What can not be parsed is left out."""
    for document in documents(manifest):
        try:
            yield from objects_of(document)
        except ValueError:
            continue


def objects_of(document: str) -> list[dict[str, Any]]:
    """The objects of one document. Raises ValueError where it can not be parsed."""
    try:
        return list(_items(yaml.load(document, Loader=_Loader)))  # noqa: S506 - a safe loader, in C where there is one
    except (yaml.YAMLError, RecursionError) as problem:
        raise ValueError("the document is no YAML") from problem


def _items(parsed: Any) -> Iterator[dict[str, Any]]:
    """What Helm's own reader makes of it: all that has items is a list, and tells its items' kind if they do not."""
    if not isinstance(parsed, dict) or "kind" not in parsed or "apiVersion" not in parsed:
        return
    items = parsed.get("items")
    if not isinstance(items, list):
        yield parsed
        return
    version, kind = parsed["apiVersion"], str(parsed["kind"]).removesuffix("List")
    for item in items:
        yield from _items({"apiVersion": version, "kind": kind} | item if isinstance(item, dict) and kind else item)
