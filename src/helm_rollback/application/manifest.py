"""What a manifest, as Helm stores it, consists of: YAML documents, one an object."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from helm_rollback.application import helm_yaml
from helm_rollback.application.ports import ServedKind
from helm_rollback.domain.live_object import ObjectKey, group_of

_SEPARATOR = re.compile(r"^---[ \t]*(?=\s|\Z)", re.MULTILINE)
_REST = r"[ \t]*(?:#.*)?\r?$"
_PLAIN_WORD = rf"[ \t]*([\"']?)([A-Za-z][\w./-]*)\1{_REST}"
_PLAIN_NAME = rf"[ \t]*([\"']?)([A-Za-z](?:[\w.:-]*[\w-])?)\1{_REST}"
_API_VERSION = re.compile(rf"^apiVersion:{_PLAIN_WORD}", re.MULTILINE)
_KIND = re.compile(rf"^kind:{_PLAIN_WORD}", re.MULTILINE)
_ITEMS = re.compile(r"^items:", re.MULTILINE)
_METADATA = re.compile(rf"^metadata:{_REST}\n((?:[ \t]+.*\n|[ \t]*(?:#.*)?\r?\n)*(?:[ \t]+.*)?)", re.MULTILINE)
_ANY_METADATA = re.compile(r"^[\"']?metadata\b", re.MULTILINE)
_FIRST_ENTRY = re.compile(r"^( +)[^\s#]", re.MULTILINE)


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
        kind = _plain_kind(document)
        if kind is not None:
            found.add(kind)
        else:
            found |= {ServedKind(str(item["apiVersion"]), str(item["kind"])) for item in objects(document)}
    return found


def named_objects(manifest: str, *, namespace: str) -> dict[ObjectKey, str]:
    """What names each object of the manifest, and the apiVersion that it is written in.

    `namespace` is that of the objects which tell none. Lines are looked for as above.
    Raises ValueError where a document can not be parsed: it may hold any object.
    """
    found = {}
    for document in documents(manifest):
        kind, place = _plain_kind(document), _plain_place(document)
        if kind is not None and place is not None:
            found[_key(kind.api_version, kind.kind, place[0] or namespace, place[1])] = kind.api_version
            continue
        for item in objects_of(document):
            metadata = item.get("metadata")
            if isinstance(metadata, dict) and metadata.get("name"):
                version, within = str(item["apiVersion"]), str(metadata.get("namespace") or namespace)
                found[_key(version, str(item["kind"]), within, str(metadata["name"]))] = version
    return found


def _key(api_version: str, kind: str, namespace: str, name: str) -> ObjectKey:
    return ObjectKey(group_of(api_version), kind, namespace, name)


def _plain_kind(document: str) -> ServedKind | None:
    """What the document's two lines tell; None where it has to be parsed."""
    versions, names = _API_VERSION.findall(document), _KIND.findall(document)
    if len(versions) == len(names) == 1 and not _ITEMS.search(document):
        return ServedKind(versions[0][1], names[0][1])
    return None


def _plain_place(document: str) -> tuple[str, str] | None:
    """Namespace (which may be empty) and name, as two lines below `metadata:` tell; None where it has to be parsed."""
    blocks = _METADATA.findall(document)
    entry = _FIRST_ENTRY.search(blocks[0]) if len(blocks) == 1 else None
    if entry is None or len(_ANY_METADATA.findall(document)) > 1:
        return None
    lines = _lines_at(entry[1])
    if lines.other.search(blocks[0]) or not _ends_with_its_lines(blocks[0]):
        return None
    names, namespaces = lines.name.findall(blocks[0]), lines.namespace.findall(blocks[0])
    if len(names) != 1 or len(lines.any_namespace.findall(blocks[0])) != len(namespaces) or len(namespaces) > 1:
        return None
    return (namespaces[0][1] if namespaces else ""), names[0][1]


def _ends_with_its_lines(block: str) -> bool:
    """Whether no quotation and no bracket goes on over a line's end, where it could hold what looks like an entry."""
    return "\\" not in block and all(
        line.count('"') % 2 == line.count("'") % 2 == 0
        and line.count("{") == line.count("}")
        and line.count("[") == line.count("]")
        for line in block.splitlines()
    )


class _Lines(NamedTuple):
    """What is looked for among the lines that stand so far in."""

    name: re.Pattern[str]
    namespace: re.Pattern[str]
    any_namespace: re.Pattern[str]
    other: re.Pattern[str]
    """A key that is no plain word, and may be anything."""


@lru_cache(maxsize=16)
def _lines_at(indent: str) -> _Lines:
    return _Lines(
        name=re.compile(rf"^{indent}name:{_PLAIN_NAME}", re.MULTILINE),
        namespace=re.compile(rf"^{indent}namespace:{_PLAIN_NAME}", re.MULTILINE),
        any_namespace=re.compile(rf"^{indent}namespace[ \t]*:", re.MULTILINE),
        other=re.compile(rf"^{indent}[^\sA-Za-z#]", re.MULTILINE),
    )


def objects(manifest: str) -> Iterator[dict[str, Any]]:
    """The objects of a manifest, parsed; the items of a list each by itself. What can not be parsed is left out."""
    for document in documents(manifest):
        try:
            yield from objects_of(document)
        except ValueError:
            continue


def objects_of(document: str) -> list[dict[str, Any]]:
    """The objects of one document. Raises ValueError where it can not be parsed."""
    return list(_items(helm_yaml.load(document)))


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
