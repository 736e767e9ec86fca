"""The service layer's fixtures: a service in this process, behind a real channel."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from service.in_process import Service, running


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with running(tmp_path) as service:
        yield service


@pytest.fixture
async def idle_service(tmp_path: Path) -> AsyncIterator[Service]:
    """One that accepts and never begins: its operations stay PENDING."""
    async with running(tmp_path, works=False) as service:
        yield service


@pytest.fixture
def run_service(tmp_path: Path) -> Callable[..., Any]:
    """Starts a service with limits of the test's own."""
    return lambda **choices: running(tmp_path, **choices)
