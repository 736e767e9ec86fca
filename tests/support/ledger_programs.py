"""Ledgers opened by another process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

WRITE_AND_WAIT = """
import asyncio, sys
from helm_rollback.store import SqlLedger
from helm_rollback.store.migrate import Migrations
from support.samples import SHOP, Clock, a_release, a_transition

async def main():
    ledger = SqlLedger.open(sys.argv[1], clock=Clock(), migrations=Migrations.APPLY)
    await ledger.write(lambda tx: tx.add_release(a_release()))
    await ledger.write(lambda tx: tx.append(SHOP, a_transition()))
    print("written", flush=True)
    sys.stdin.read()

asyncio.run(main())
"""

APPEND_WHEN_ASKED = """
import asyncio, sys, time
from helm_rollback.store import SqlLedger
from support.samples import SHOP, Clock, a_transition

async def main():
    ledger = SqlLedger.open(sys.argv[1], clock=Clock())
    async with ledger.sharing():
        while await asyncio.to_thread(sys.stdin.readline):
            await ledger.write(lambda tx: tx.append(SHOP, a_transition()))
            print(time.monotonic(), flush=True)

asyncio.run(main())
"""
"""Appends an event for each line that it is given, and says when it had."""


@contextmanager
def other_process(script: str, url: str) -> Iterator[subprocess.Popen[str]]:
    """Runs `script` with the ledger's URL; killed at the end."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    process = subprocess.Popen(
        [sys.executable, "-c", script, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    try:
        with process:
            yield process
            process.kill()
    finally:
        process.kill()
