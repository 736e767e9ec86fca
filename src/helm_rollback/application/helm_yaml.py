"""YAML as Helm reads it (`sigs.k8s.io/yaml`), from people who may mean no good.

The parser behind it builds nested collections by recursion in C: text that is nested
deeply enough would end the process. And some lines of aliases can stand for more than
fits anywhere. So the nesting is measured first where it could be deep.
"""

from __future__ import annotations

from typing import Any, Final

import yaml

DEPTH_MAX: Final = 200
"""Levels of lists and mappings within one another. Nothing that people write comes near it."""
NODES_MAX: Final = 1_000_000
"""Values that a text stands for, aliases followed."""
_OPENERS: Final = "[{-?:"
"""Every list and every mapping takes at least one of these."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """What looks like a date is a text, and so is a lone `=`."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way to configure a loader
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":value"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def load(text: str) -> Any:
    """What one document holds; None where it is empty. Raises ValueError, whose text says why it can not be read."""
    try:
        if "*" in text or sum(map(text.count, _OPENERS)) > DEPTH_MAX:
            _measure(text)
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader, in C where there is one
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as problem:
        raise ValueError(" ".join(str(problem).split())) from problem
    except (LookupError, AttributeError) as problem:  # so PyYAML fails on `!!bool maybe`, `!!int ""`, `!!timestamp now`
        raise ValueError("a value is not what its tag says") from problem


def _measure(text: str) -> None:
    """Raise ValueError where the text is nested too deeply, or stands for too much."""
    open_anchors: list[str | None] = []
    sizes = [0]
    """Of what is open, outermost first, and of the whole."""
    known: dict[str, int] = {}
    for event in yaml.parse(text, Loader=_Loader):
        match event:
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                open_anchors.append(event.anchor)
                sizes.append(1)
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                size, anchor = sizes.pop(), open_anchors.pop()
                sizes[-1] += size
                if anchor is not None:
                    known[anchor] = size
            case yaml.ScalarEvent():
                sizes[-1] += 1
                if event.anchor is not None:
                    known[event.anchor] = 1
            case yaml.AliasEvent():
                sizes[-1] += known.get(str(event.anchor), NODES_MAX + 1)  # an alias within itself has no end
        if len(open_anchors) > DEPTH_MAX:
            raise ValueError(f"it is nested more than {DEPTH_MAX} levels deep")
        if sizes[-1] > NODES_MAX:
            raise ValueError(f"it stands for more than {NODES_MAX} values")
