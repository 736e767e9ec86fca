"""Page tokens: opaque, and bound to what they were made for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helm_rollback.domain.errors import InvalidField
from helm_rollback.servicer import page_token


@given(st.text(max_size=100), st.lists(st.text(max_size=20), max_size=4))
def test_a_token_leads_back_to_its_position(position: str, listing: list[str]) -> None:
    token = page_token.encode(position, *listing)

    assert page_token.decode(token, *listing) == position


@given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=60))
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(InvalidField, match="page_token"):
        page_token.decode(text, "ListReleases")


@pytest.mark.parametrize("other", [("ListReleases", "b"), ("ListRevisions", "a"), ("ListReleases",)])
def test_a_token_of_another_listing_is_refused(other: tuple[str, ...]) -> None:
    token = page_token.encode("here", "ListReleases", "a")

    with pytest.raises(InvalidField, match="other filters"):
        page_token.decode(token, *other)


def test_a_damaged_token_is_refused() -> None:
    token = page_token.encode("default.prod.shop", "ListReleases")

    for place in range(len(token)):
        damaged = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        with pytest.raises(InvalidField):
            page_token.decode(damaged, "ListReleases")


def test_no_token_is_the_first_page() -> None:
    assert page_token.decode("", "ListReleases") == ""


@pytest.mark.parametrize(("asked", "given"), [(0, 50), (1, 1), (500, 500), (501, 500), (2**31 - 1, 500)])
def test_page_sizes_are_bounded(asked: int, given: int) -> None:
    assert page_token.page_size(asked) == given


def test_a_negative_page_size_is_refused() -> None:
    with pytest.raises(InvalidField, match="page_size"):
        page_token.page_size(-1)
