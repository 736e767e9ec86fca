"""The ledger on SQLModel: every revision, transition and operation, append-only.

`SqlLedger` implements the port `Ledger`; `store.migrate` brings its tables up to
date. On SQLite one process has a ledger, on PostgreSQL any number share one; what the
engines do differently is all in `engines/`.
"""

from helm_rollback.store.errors import LedgerBehind, LedgerInUse, LedgerRuleBroken, LedgerTooNew, LedgerUnusable
from helm_rollback.store.ledger import SqlLedger

__all__ = [
    "LedgerBehind",
    "LedgerInUse",
    "LedgerRuleBroken",
    "LedgerTooNew",
    "LedgerUnusable",
    "SqlLedger",
]
