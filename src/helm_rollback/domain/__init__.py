"""The rules, pure: statuses, revisions, operations, the choice of the last successful revision."""
