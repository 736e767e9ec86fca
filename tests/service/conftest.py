"""The service layer's fixtures: a world, and a service that runs in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.service import Service
from support.world import World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """An empty cluster; a test module may put releases there."""
    async with World(folder=tmp_path) as world:
        yield world


@pytest.fixture
async def service(world: World) -> Service:
    """One that runs from the beginning, and observes."""
    return await world.start()
