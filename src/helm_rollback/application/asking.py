"""Asking a cluster about many objects, where one that it does not tell of is no reason to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from helm_rollback.application.ports import T
from helm_rollback.domain.errors import ClusterPermissionDenied, ClusterUnreachable

A = TypeVar("A")
NotTold = ClusterUnreachable | ClusterPermissionDenied

_AT_ONCE = 8


async def ask_each(asked: Iterable[A], ask: Callable[[A], Awaitable[T]]) -> tuple[list[T], list[NotTold]]:
    """The answers, in the order of the questions, and why others are missing. All at once, but for a bound."""
    gate = asyncio.Semaphore(_AT_ONCE)
    problems: list[NotTold] = []

    async def one(what: A) -> list[T]:
        async with gate:
            try:
                return [await ask(what)]
            except (ClusterUnreachable, ClusterPermissionDenied) as problem:
                problems.append(problem)
                return []

    answers = await asyncio.gather(*map(one, asked))
    return [answer for answered in answers for answer in answered], problems
