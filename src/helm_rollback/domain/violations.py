"""Everything that is wrong with a request, told at once rather than one field per try."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from helm_rollback.domain.errors import InvalidField, InvalidFields

T = TypeVar("T")
U = TypeVar("U")


class Violations:
    """Collects the bad fields of one request; true as soon as there is one."""

    def __init__(self) -> None:
        self._found: list[InvalidField] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, field: str, problem: str) -> None:
        self._found.append(InvalidField(field, problem))

    def take(self, make: Callable[[], T], otherwise: U) -> T | U:
        """What `make` makes; `otherwise` where it finds fields bad, so that the check can go on."""
        try:
            return make()
        except InvalidField as violation:
            self._found.append(violation)
        except InvalidFields as refusal:
            self._found.extend(refusal.violations)
        return otherwise

    def finish(self, make: Callable[[], T]) -> T:
        """What `make` makes. Raises InvalidField or InvalidFields where anything was found, by it or before."""
        made = self.take(make, None)
        self.check()
        assert made is not None
        return made

    def check(self) -> None:
        """Raise InvalidField where one field was found, InvalidFields where several were."""
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            raise InvalidFields(tuple(self._found))
