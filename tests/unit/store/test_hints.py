"""What is told to other processes, over a connection that breaks."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self, cast

import pytest
from support.service import eventually

from helm_rollback.store import hints
from helm_rollback.store.hints import Hints
from helm_rollback.store.wakeups import Wakeups


class Connection:
    """One that tells, or is broken."""

    def __init__(self, told: list[str], *, broken: bool) -> None:
        self._told = told
        self._broken = broken

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    async def execute(self, _statement: str, values: tuple[str, str]) -> None:
        if self._broken:
            raise OSError("the server closed the connection")
        self._told.append(values[1])


async def test_what_could_not_be_told_is_told_over_the_next_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hints, "DEAF_TICK", 0.01)
    told: list[str] = []
    made: list[Connection] = []

    async def connect() -> Any:
        made.append(Connection(told, broken=not made))
        return made[-1]

    async def is_told() -> bool:
        return bool(told)

    teller = Hints(cast("Any", connect), Wakeups())
    telling = asyncio.create_task(teller._keep_telling())
    teller.tell(["default.prod.shop"])
    await eventually(is_told, "it is told")
    telling.cancel()

    assert len(made) == 2
    assert [text.split("\n")[1:] for text in told] == [["default.prod.shop"]]
