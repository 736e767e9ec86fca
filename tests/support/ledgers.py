"""Ledgers for tests, made as the service makes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from helm_rollback.store import SqlLedger
from support.samples import Clock


def sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'ledger.db'}"


@contextmanager
def opened(url: str, clock: Clock | None = None) -> Iterator[SqlLedger]:
    """An open ledger at `url`, closed at the end. Its clock stands unless a test moves it."""
    ledger = SqlLedger.open(url, clock=clock or Clock())
    try:
        yield ledger
    finally:
        ledger.close()
