"""The database engines a ledger can be on. `database.py` says what one must offer."""
