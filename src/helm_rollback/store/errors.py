"""Why a ledger can not be opened, or refuses a write, in words that say what to do.

    LedgerUnusable           opening failed; nothing was changed
    ├── LedgerInUse          another process has it
    ├── LedgerBehind         its tables are older than this program
    └── LedgerTooNew         its tables are newer than this program
    LedgerRuleBroken         a write against the ledger's own rules: a fault of this program

What happens to an open ledger is told by `StoreUnavailable` and `LedgerCorrupt`
of the domain.
"""

from __future__ import annotations


class LedgerUnusable(Exception):
    """The ledger can not be opened. The message says why, and what to do."""


class LedgerInUse(LedgerUnusable):
    """A SQLite ledger belongs to one process at a time."""


class LedgerBehind(LedgerUnusable):
    """The tables must be migrated first, and this process was told not to."""


class LedgerTooNew(LedgerUnusable):
    """A newer helm-rollback has migrated the tables."""


class LedgerRuleBroken(Exception):
    """A constraint or a trigger refused the write, and the whole transaction is undone.

    Not something a caller did: use cases check before they write, so this is a bug.
    """
