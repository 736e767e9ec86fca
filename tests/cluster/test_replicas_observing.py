"""One of three replicas observes the cluster: whatever becomes of it, a stream on another tells it all."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.by_hand import ByHand
from support.helm import Helm
from support.replica_process import LEASE, ReplicaProcess, others_than, the_one
from support.streams import sequences

pytest_plugins = ["support.replicas"]


@pytest.fixture
def shop(namespace: str) -> str:
    return f"default.{namespace}.shop"


@pytest.fixture
def by_hand(helm: Helm, tmp_path: Path) -> ByHand:
    """One revision."""
    by_hand = ByHand(helm, tmp_path)
    by_hand.install("1.0.0")
    return by_hand


def upgrade_told(revision: int) -> list[str]:
    """The events of one `helm upgrade`."""
    return [
        f"revision {revision} → PENDING_UPGRADE",
        f"revision {revision - 1} DEPLOYED → SUPERSEDED",
        f"revision {revision} PENDING_UPGRADE → DEPLOYED",
    ]


def upgraded(by_hand: ByHand, first: int, last: int) -> list[str]:
    """Upgrade to each of these revisions; the events that this makes."""
    for revision in range(first, last + 1):
        by_hand.upgrade(f"1.{revision}.0")
    return [text for revision in range(first, last + 1) for text in upgrade_told(revision)]


@pytest.mark.parametrize("fall_silent", [ReplicaProcess.kill, ReplicaProcess.pause], ids=["killed", "paused"])
def test_no_event_is_lost_or_doubled_when_the_observing_one_falls_silent(
    replicas: list[ReplicaProcess], by_hand: ByHand, shop: str, fall_silent: Callable[[ReplicaProcess], None]
) -> None:
    observer = the_one(replicas, lambda replica: replica.observes, "one observes")
    one, other = others_than(observer, replicas)
    with one.follow(shop, deployed=1) as stream:
        expected = upgraded(by_hand, 2, 3)
        fall_silent(observer)
        silent = time.monotonic()
        expected += upgraded(by_hand, 4, 6)
        the_one([one, other], lambda replica: replica.observes, "another observes")
        took = time.monotonic() - silent
        expected += upgraded(by_hand, 7, 7)
        stream.until_told(expected[-1])

        assert took < LEASE + 2
        assert stream.told == expected
        numbers = sequences(stream.events)
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_the_paused_observer_tells_nothing_again_when_it_wakes(
    replicas: list[ReplicaProcess], by_hand: ByHand, shop: str
) -> None:
    observer = the_one(replicas, lambda replica: replica.observes, "one observes")
    one, other = others_than(observer, replicas)
    with one.follow(shop, deployed=1) as stream:
        observer.pause()
        expected = upgraded(by_hand, 2, 3)
        stream.until_told(expected[-1])
        observer.resume()
        expected += upgraded(by_hand, 4, 5)
        stream.until_told(expected[-1])
        with observer.stream(shop, tail=len(expected)) as on_the_woken:
            assert on_the_woken.told == stream.told == expected
        assert sum(replica.observes for replica in (one, other)) == 1


def test_a_replica_that_ends_in_order_hands_the_observing_over_at_once(
    replicas: list[ReplicaProcess], by_hand: ByHand, shop: str
) -> None:
    observer = the_one(replicas, lambda replica: replica.observes, "one observes")
    one, other = others_than(observer, replicas)
    with one.follow(shop, deployed=1) as stream:
        assert observer.stop() == 0
        ended = time.monotonic()
        the_one([one, other], lambda replica: replica.observes, "another observes")
        assert time.monotonic() - ended < LEASE / 2

        expected = upgraded(by_hand, 2, 2)
        stream.until_told(expected[-1])
        assert stream.told == expected
