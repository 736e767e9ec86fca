"""YAML as Helm reads it (`sigs.k8s.io/yaml`), from people who may mean no good.

The parser behind it builds nested collections by recursion in C: text that is nested
deeply enough would end the process. And some lines of aliases can stand for more than
fits anywhere. So the nesting is measured first where it could be deep.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import yaml

DEPTH_MAX: Final = 200
"""Levels of lists and mappings within one another. Nothing that people write comes near it."""
NODES_MAX: Final = 1_000_000
"""Values that a text stands for, aliases followed."""
_OPENERS: Final = "[{-?:"
"""Every list and every mapping takes at least one of these."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """What looks like a date or a time is a text, and so is a lone `=`."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way to configure a loader
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":value"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _number(construct: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """To PyYAML `12:30` is a number to the base of 60, and a long one takes it minutes; to Helm it is a text."""
    return lambda loader, node: node.value if ":" in node.value else construct(loader, node)


_Loader.add_constructor("tag:yaml.org,2002:int", _number(_Loader.construct_yaml_int))
_Loader.add_constructor("tag:yaml.org,2002:float", _number(_Loader.construct_yaml_float))


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


@dataclass(slots=True)
class _Collection:
    """A list or a mapping, as far as it was read; what aliases stand for counts."""

    anchor: str | None
    size: int = 1
    height: int = 1


def _measure(text: str) -> None:
    """Raise ValueError where the text is nested too deeply, or stands for too much."""
    whole = _Collection(None, height=0)
    still_open = [whole]
    known: dict[str, _Collection] = {}
    for event in yaml.parse(text, Loader=_Loader):
        match event:
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                still_open.append(_Collection(event.anchor))
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                ended = still_open.pop()
                _take_in(still_open[-1], ended)
                if ended.anchor is not None:
                    known[ended.anchor] = ended
            case yaml.AliasEvent() if event.anchor in known:
                _take_in(still_open[-1], known[event.anchor])
            case yaml.AliasEvent() if any(one.anchor == event.anchor for one in still_open):
                raise ValueError("it holds itself")
            case yaml.ScalarEvent() | yaml.AliasEvent():
                still_open[-1].size += 1
        if len(still_open) - 1 + still_open[-1].height > DEPTH_MAX + 1:
            raise ValueError(f"it is nested more than {DEPTH_MAX} levels deep")
        if still_open[-1].size > NODES_MAX:
            raise ValueError(f"it stands for more than {NODES_MAX} values")


def _take_in(outer: _Collection, inner: _Collection) -> None:
    outer.size += inner.size
    outer.height = max(outer.height, inner.height + 1)
