"""The archive gives back to the byte what was put in, or says that it can not."""

from __future__ import annotations

import gzip
import os
from base64 import b64encode
from hashlib import sha256

import pytest
from sqlalchemy import update
from support.ledgers import AnyDatabase, opened
from support.samples import SHOP, a_release, a_transition

from helm_rollback.application.ports import Ledger
from helm_rollback.domain.errors import LedgerCorrupt
from helm_rollback.store import SqlLedger
from helm_rollback.store.tables import payload

HELMS = b64encode(gzip.compress(b'{"name": "shop"}' * 50, mtime=0))


@pytest.mark.parametrize(
    "payload",
    [
        HELMS,
        HELMS + b"\n",
        HELMS[:-4] + b"!!!!",
        b64encode(b"base64, but of no gzip"),
        gzip.compress(b"no base64", mtime=0),
        b"",
        b"\x00\xff",
        b"QQ=",
        # Its last character has bits that decoding drops, so encoding would give another.
        b64encode(b"\x1f\x8b\x08\x00")[:-3] + b"B==",
        b64encode(gzip.compress(os.urandom(500_000))),
    ],
    ids=["helm's", "newline", "no base64", "no gzip", "bare gzip", "empty", "bytes", "padding", "loose bits", "large"],
)
async def test_what_was_put_in_comes_out(ledger: Ledger, payload: bytes) -> None:
    digest = await ledger.write(lambda tx: tx.archive(payload))

    assert digest == sha256(payload).hexdigest()
    assert await ledger.read(lambda view: view.payload(digest)) == payload


async def test_the_same_payload_is_stored_once(database: AnyDatabase) -> None:
    with opened(database.url) as ledger:
        digests = [await ledger.write(lambda tx: tx.archive(HELMS)) for _ in range(3)]

    with database.raw() as connection:
        assert connection.exec_driver_sql("SELECT digest FROM payload").scalars().all() == digests[:1]
    assert len(set(digests)) == 1


async def test_helms_base64_is_not_stored(database: AnyDatabase) -> None:
    with opened(database.url) as ledger:
        await ledger.write(lambda tx: tx.archive(HELMS))

    with database.raw() as connection:
        row = connection.exec_driver_sql("SELECT encoding, size, body, plain_digest FROM payload").one()
    assert (row.encoding, row.size, b64encode(row.body)) == ("gzip", len(HELMS), HELMS)
    assert row.plain_digest == sha256(row.body).hexdigest()


async def test_base64_of_anything_else_is_stored_as_it_is(database: AnyDatabase) -> None:
    payload = b64encode(b"base64, but of no gzip")
    with opened(database.url) as ledger:
        await ledger.write(lambda tx: tx.archive(payload))

    with database.raw() as connection:
        assert tuple(connection.exec_driver_sql("SELECT encoding, body FROM payload").one()) == ("plain", payload)


async def test_an_unknown_digest_is_none(ledger: Ledger) -> None:
    assert await ledger.read(lambda view: view.payload("0" * 64)) is None


@pytest.mark.parametrize("damage", [HELMS[:-1], b"", b"another"], ids=["cut", "empty", "another"])
async def test_a_payload_that_was_changed_on_disk_is_not_given_out(database: AnyDatabase, damage: bytes) -> None:
    with opened(database.url) as ledger:
        digest = await ledger.write(lambda tx: tx.archive(HELMS))
    damaged(database, body=damage)

    with opened(database.url) as ledger:
        with pytest.raises(LedgerCorrupt, match=digest):
            await ledger.read(lambda view: view.payload(digest))
        await still_works(ledger)


async def test_a_payload_whose_encoding_was_changed_on_disk_is_not_given_out(database: AnyDatabase) -> None:
    with opened(database.url) as ledger:
        digest = await ledger.write(lambda tx: tx.archive(HELMS))
    damaged(database, encoding="plain")

    with opened(database.url) as ledger, pytest.raises(LedgerCorrupt, match=digest):
        await ledger.read(lambda view: view.payload(digest))


def damaged(database: AnyDatabase, **changes: object) -> None:
    database.drop_rule("payload_is_not_changed")
    with database.raw() as connection:
        connection.execute(update(payload).values(changes))


async def still_works(ledger: SqlLedger) -> None:
    digest = await ledger.write(lambda tx: tx.archive(b"another"))
    assert await ledger.read(lambda view: view.payload(digest)) == b"another"


async def test_an_event_that_can_not_be_read_is_told_as_such(database: AnyDatabase) -> None:
    with opened(database.url) as ledger:
        await ledger.write(lambda tx: tx.add_release(a_release()))
        await ledger.write(lambda tx: tx.append(SHOP, a_transition()))
    database.drop_rule("event_is_not_changed")
    with database.raw() as connection:
        connection.exec_driver_sql("UPDATE event SET change = replace(change, 'DEPLOYED', 'DEPLOYD')")

    with opened(database.url) as ledger, pytest.raises(LedgerCorrupt, match="can not be read"):
        await ledger.read(lambda view: view.events(SHOP, after=0, limit=1))
