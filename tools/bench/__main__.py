"""`make bench`: rollbacks through the service, through the fence alone, and bare, interleaved."""

from __future__ import annotations

import argparse
import asyncio
from statistics import median, quantiles

import grpc.aio

from bench.arms import Fenced, Service, bare, watched
from bench.stage import Stage, stage

ROUNDS_A_RELEASE = 5
"""A new release after so many rounds: Helm gets slower with every revision it has to list."""


async def measure(on: Stage, rounds: int) -> dict[str, list[float]]:
    """Seconds of each arm, and of each event's delay behind the raw watch."""
    figures: dict[str, list[float]] = {"bare": [], "fenced": [], "service": [], "accept": [], "delay": []}
    async with Fenced.of(on) as fenced, grpc.aio.insecure_channel(on.address) as channel:
        service = Service(channel)
        for first in range(0, rounds, ROUNDS_A_RELEASE):
            release = f"shop-{first}"
            await asyncio.to_thread(on.make_release, release)
            raw: dict[tuple[int, str], float] = {}
            told: dict[tuple[int, str], float] = {}
            listening = [
                asyncio.create_task(watched(on, release, raw)),
                asyncio.create_task(service.told(release, told)),
            ]
            for number in range(first, min(first + ROUNDS_A_RELEASE, rounds)):
                target = 1 + number % 2
                figures["bare"].append(await bare(on, release, target))
                figures["service"].append(await service.rollback(release, target))
                figures["fenced"].append(await fenced.rollback(release, target))
                figures["accept"].append(await service.accept(release, target))
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)
            figures["delay"] += [told[key] - raw[key] for key in raw.keys() & told.keys()]
    return figures


def report(figures: dict[str, list[float]]) -> None:
    """Print the table of docs/benchmarks.md."""
    reference = median(figures["bare"])
    print("| what | n | median | against bare `helm rollback --wait` |")
    print("|---|---|---|---|")
    for name, what in (
        ("bare", "bare `helm rollback --wait`"),
        ("fenced", "the same through the fence alone"),
        ("service", "Rollback with wait_timeout"),
        ("accept", "Rollback until accepted"),
    ):
        middle = median(figures[name])
        print(f"| {what} | {len(figures[name])} | {middle * 1000:.1f} ms | {middle / reference:.2f} × |")
    delays = figures["delay"]
    print()
    print(
        f"An event reaches the stream {median(delays) * 1000:.1f} ms (median), "
        f"{quantiles(delays, n=100)[98] * 1000:.1f} ms (p99) after it reaches a raw watch ({len(delays)} events)."
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="rollbacks by each way (default: 30)")
    arguments = parser.parse_args()
    with stage() as on:
        report(asyncio.run(measure(on, arguments.rounds)))


main()
