"""Whole objects of a fake cluster, and what containers printed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class FakeContents(dict[tuple[str, str, str], Mapping[str, Any]]):
    """Whole objects by kind, namespace and name."""

    def put(self, content: Mapping[str, Any], *, namespace: str = "prod") -> None:
        """Store one, under the names that it bears."""
        self[content["kind"], namespace, content["metadata"]["name"]] = content

    def listed(self, kind: str, namespace: str, *, labels: str, fields: str) -> list[Mapping[str, Any]]:
        """Those of a kind, by name. Understands `key=value` of labels, and `key!=value` of fields."""
        wanted = [term.split("=", 1) for term in labels.split(",") if term]
        unwanted = [term.split("!=", 1) for term in fields.split(",") if term]
        return [
            content
            for (of, within, _), content in sorted(self.items())
            if (of, within) == (kind, namespace)
            and all(content["metadata"].get("labels", {}).get(key) == value for key, value in wanted)
            and all(content.get(key) != value for key, value in unwanted)
        ]
