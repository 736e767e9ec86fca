"""The fault layer: real service processes that are killed, paused and cut off, beside a real cluster."""

from collections.abc import Iterator

import pytest
from fault.site import Site, open_site


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """A cluster of its own, since its audit log is the witness, and a PostgreSQL that may be crashed."""
    with open_site() as site:
        yield site
