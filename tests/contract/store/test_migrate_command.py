"""`helm-rollback migrate`, on every engine."""

from __future__ import annotations

import os
import subprocess
import sys

from local_cluster.processes import free_port
from support.ledgers import AnyDatabase, opened, refused

from helm_rollback.store.migrate import VERSIONS, schema_version


def migrate(url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "helm_rollback", "migrate", "--database", url],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
    )


def test_the_tables_are_made_and_the_version_is_told(database: AnyDatabase) -> None:
    for _ in range(2):
        told = migrate(database.url)

        assert (told.returncode, told.stdout) == (0, f"the ledger has version {VERSIONS[-1]}\n")
    assert schema_version(database.url) == VERSIONS[-1]
    with opened(database.url):
        pass


def test_tables_of_a_newer_program_are_left_alone(database: AnyDatabase) -> None:
    migrate(database.url)
    with database.raw() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    told = migrate(database.url)

    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.splitlines()[-1] == refused(database.url)
    assert "use a newer helm-rollback" in told.stderr


def test_a_server_that_is_away_is_told_in_a_sentence() -> None:
    told = migrate(f"postgresql://someone:secret@127.0.0.1:{free_port()}/ledger")

    assert told.returncode == 1
    assert "can not be reached" in told.stderr
    assert "Traceback" not in told.stderr
    assert "secret" not in told.stderr
