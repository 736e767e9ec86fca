"""The ledger on SQLModel: every revision, transition and operation, append-only.

`SqlLedger` implements the port `Ledger`; `store.migrate` brings its tables up to
date. SQLite so far, one process a database; what another engine needs differently
is all in `dialect.py`.
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
