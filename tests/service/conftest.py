"""The service layer's fixtures: a world, and a service that runs in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.databases import postgres, postgres_url
from support.service import Service
from support.world import World

__all__ = ["postgres", "postgres_url"]


@pytest.fixture
def engine() -> str:
    """Where the ledger is; `support.recovery.ON_BOTH_ENGINES` runs a module's tests twice."""
    return "sqlite"


@pytest.fixture
async def world(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """An empty cluster; a test module may put releases there."""
    url = request.getfixturevalue("postgres_url") if engine == "postgresql" else ""
    async with World(folder=tmp_path, url=url) as world:
        yield world


@pytest.fixture
async def service(world: World) -> Service:
    """One that runs from the beginning, and observes."""
    return await world.start()
