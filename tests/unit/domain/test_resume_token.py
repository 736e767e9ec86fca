"""Resume tokens: each comes back whole to its own place, or is recognised."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from uuid import uuid4

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.samples import BLOG, SHOP

from helm_rollback.domain.errors import InvalidResumeToken, ResumePositionLost
from helm_rollback.domain.release import ReleaseId
from helm_rollback.domain.resume_token import decode, encode

LEDGER = "0b0e6a52-6f2a-4c4e-9c1e-0d8a5f0f4a11"
OTHER_LEDGER = "1b0e6a52-6f2a-4c4e-9c1e-0d8a5f0f4a11"
TOKEN = encode(LEDGER, SHOP, 42)


@given(st.uuids(), st.integers(0, 2**63 - 1))
def test_a_token_gives_its_sequence_back(ledger: object, sequence: int) -> None:
    assert decode(encode(str(ledger), SHOP, sequence), str(ledger), SHOP) == sequence


def test_a_token_is_safe_in_a_url_and_in_a_header() -> None:
    assert all(char.isascii() and (char.isalnum() or char in "-_") for char in TOKEN)
    assert len(TOKEN) < 80


def test_one_position_has_one_token() -> None:
    assert encode(LEDGER, SHOP, 42) == TOKEN
    assert encode(LEDGER, SHOP, 43) != TOKEN


@pytest.mark.parametrize("other", [BLOG, ReleaseId("default", "test", "shop"), ReleaseId("other", "prod", "shop")])
def test_another_releases_token_is_invalid(other: ReleaseId) -> None:
    with pytest.raises(InvalidResumeToken, match="another release") as refusal:
        decode(TOKEN, LEDGER, other)

    assert refusal.value.release_id == other


def test_another_ledgers_token_has_lost_its_position() -> None:
    with pytest.raises(ResumePositionLost, match="another ledger") as refusal:
        decode(TOKEN, OTHER_LEDGER, SHOP)

    assert refusal.value.release_id == SHOP


def test_a_token_of_another_ledger_and_another_release_is_invalid() -> None:
    with pytest.raises(InvalidResumeToken):
        decode(TOKEN, OTHER_LEDGER, BLOG)


JUNK = {
    "empty": "",
    "cut": TOKEN[:-1],
    "cut to half": TOKEN[: len(TOKEN) // 2],
    "one more": TOKEN + "A",
    "twice": TOKEN + TOKEN,
    "padded": TOKEN + "==",
    "with a space before": " " + TOKEN,
    "with a newline behind": TOKEN + "\n",
    "with a newline within": TOKEN[:9] + "\n" + TOKEN[9:],
    "with what is no base64 within": TOKEN[:9] + "!*" + TOKEN[9:],
    "with letters beyond ASCII": TOKEN[:-1] + "é",
    "with a lone surrogate": TOKEN + "\udc80",
    "with a NUL": TOKEN + "\0",
    "in upper case": TOKEN.upper(),
    "words": "the-token-I-had-yesterday",
    "a megabyte": "A" * 1_000_000,
}


@pytest.mark.parametrize("token", JUNK.values(), ids=JUNK.keys())
def test_what_is_no_token_is_invalid(token: str) -> None:
    with pytest.raises(InvalidResumeToken) as refusal:
        decode(token, LEDGER, SHOP)

    assert "start the stream anew" in str(refusal.value)


def test_the_other_alphabet_of_base64_is_invalid() -> None:
    tokens = (encode(LEDGER, SHOP, sequence) for sequence in range(1000))
    token = next(token for token in tokens if "-" in token or "_" in token)

    with pytest.raises(InvalidResumeToken):
        decode(token.replace("-", "+").replace("_", "/"), LEDGER, SHOP)


@given(st.binary(max_size=80))
def test_random_bytes_are_never_accepted(junk: bytes) -> None:
    with pytest.raises(InvalidResumeToken):
        decode(urlsafe_b64encode(junk).decode().rstrip("="), LEDGER, SHOP)


@given(st.text(max_size=80))
def test_random_text_is_never_accepted(junk: str) -> None:
    with pytest.raises(InvalidResumeToken):
        decode(junk, LEDGER, SHOP)


@given(st.integers(0, 36), st.integers(1, 255))
def test_a_token_with_one_byte_changed_is_invalid(position: int, change: int) -> None:
    """Also where the byte is one of the ledger's or of the sequence: half a token proves nothing."""
    raw = bytearray(urlsafe_b64decode(TOKEN + "=" * (-len(TOKEN) % 4)))
    raw[position] ^= change

    with pytest.raises(InvalidResumeToken, match="not kept whole"):
        decode(urlsafe_b64encode(bytes(raw)).decode().rstrip("="), LEDGER, SHOP)


@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=1))
def test_no_two_texts_are_one_token(last: str) -> None:
    """Base64 leaves bits of the last character open; a token does not."""
    assume(last != TOKEN[-1])

    with pytest.raises(InvalidResumeToken):
        decode(TOKEN[:-1] + last, LEDGER, SHOP)


def test_a_ledger_made_anew_has_other_tokens() -> None:
    assert encode(str(uuid4()), SHOP, 42) != TOKEN
