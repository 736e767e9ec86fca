"""What SQLite's errors, and the file system's below it, mean."""

from __future__ import annotations

import errno
import os
import re
from typing import Final

from sqlalchemy.exc import DBAPIError

from helm_rollback.domain.errors import LedgerCorrupt, StoreUnavailable
from helm_rollback.store.errors import LedgerRuleBroken

_PROBLEMS: Final = {
    "SQLITE_FULL": "the disk is full",
    "SQLITE_READONLY": "the database is read-only",
    "SQLITE_IOERR": "the database file can not be read or written (is the disk full or failing?)",
    "SQLITE_BUSY": "the database is busy",
    "SQLITE_LOCKED": "the database is busy",
    "SQLITE_CANTOPEN": "the database file can not be opened",
    "SQLITE_NOMEM": "memory ran out",
    "SQLITE_INTERRUPT": "the statement was interrupted",
}
_CORRUPT: Final = {"SQLITE_CORRUPT": "its database file is damaged", "SQLITE_NOTADB": "its file is no SQLite database"}


def translated(error: DBAPIError) -> Exception:
    code = _code(error)
    if "Could not decode" in str(error.orig):  # the driver's own words; SQLite has no code for it
        return LedgerCorrupt("a stored text is damaged")
    if code in _CORRUPT:
        return LedgerCorrupt(_CORRUPT[code])
    if code == "SQLITE_CONSTRAINT":
        return LedgerRuleBroken(str(error.orig))
    return StoreUnavailable(_PROBLEMS.get(code, "the database reports an error"))


def _code(error: DBAPIError) -> str:
    """SQLite's primary error code by name; extended ones begin with it."""
    name = getattr(error.orig, "sqlite_errorname", None) or ""
    match = re.match(r"SQLITE_[A-Z]+", name)
    return match[0] if match else ""


_ADVICE: Final = {
    errno.EACCES: "this user may not write there; give it the folder, or choose another --database",
    errno.EPERM: "this user may not write there; give it the folder, or choose another --database",
    errno.EROFS: "the file system is read-only; mount it writable, or choose another --database",
    errno.ENOSPC: "the disk is full; free some space, or choose another --database",
    errno.EDQUOT: "the disk quota is used up; free some space, or choose another --database",
    errno.EISDIR: "that is a folder; name a file in it",
    errno.ENOTDIR: "a part of that path is a file; choose another --database",
    errno.EEXIST: "a part of that path is a file; choose another --database",
}


def why_unusable(error: OSError | DBAPIError | StoreUnavailable | LedgerCorrupt) -> str:
    if isinstance(error, OSError):
        number = error.errno or 0
        return _ADVICE.get(number) or f"{os.strerror(number)}; choose another --database"
    told = translated(error) if isinstance(error, DBAPIError) else error
    if isinstance(told, LedgerCorrupt):
        return f"{told}; restore a backup, or choose another --database"
    if isinstance(told, StoreUnavailable):
        return f"{told.problem}; free space or give this user the right to write, or choose another --database"
    return str(told)
