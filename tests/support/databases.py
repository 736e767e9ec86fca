"""Fixtures: one PostgreSQL for the run, a fresh ledger in it for each test.

A layer that needs them imports them in its conftest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from support.postgres import PostgresServer

RunPostgres = Callable[..., PostgresServer]
"""Starts a server of the test's own: see the fixture `run_postgres`."""

_SHARED: pytest.StashKey[PostgresServer] = pytest.StashKey()


@pytest.fixture(scope="session")
def postgres(pytestconfig: pytest.Config) -> PostgresServer:
    """One server for the run. A test that stops, or fills, a server takes `run_postgres`."""
    # Kept in the run's own stash: pytest sees a fixture that two conftests import as two.
    if _SHARED not in pytestconfig.stash:
        server = PostgresServer().__enter__()
        pytestconfig.add_cleanup(lambda: server.__exit__(None, None, None))
        pytestconfig.stash[_SHARED] = server
    return pytestconfig.stash[_SHARED]


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """A fresh database with an empty ledger."""
    return postgres.create_database()


@pytest.fixture
def run_postgres() -> Iterator[RunPostgres]:
    """Starts a server of the test's own, which it may stop, crash, pause and start again."""
    with ExitStack() as running:

        def run(**settings: object) -> PostgresServer:
            return running.enter_context(PostgresServer(**settings))

        yield run
