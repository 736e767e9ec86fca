"""The ledger on SQLModel: every revision, transition and operation, append-only."""
