"""One process at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from helm_rollback.store.errors import LedgerInUse


class ProcessLock:
    """The right to open a SQLite database: no second process, so no second writer and no second checkpointer.

    An advisory lock on a file beside the database. The kernel frees it with the
    process, however that ends. The file stays, since removing it would let two
    processes lock two files of one name.
    """

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + ".lock")
        self._descriptor = -1

    def acquire(self) -> None:
        """Raises LedgerInUse where another process has it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise LedgerInUse(
                f"the ledger beside {self._path} is open in another process (pid {holder}); "
                "stop that one first, or give this one another --database"
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
