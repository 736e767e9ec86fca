"""What many rounds met, for people."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from fault.plan import Engine
from fault.run import Result


@dataclass(kw_only=True)
class Totals:
    """Of rounds on one engine, none of which broke a promise."""

    engine: Engine
    first_seed: int
    rounds: int = 0
    missed: int = 0
    """Rounds whose fault fell outside every operation."""
    met: Counter[str] = field(default_factory=Counter)
    """Fault, or fault and crash point → rounds."""
    ends: Counter[str] = field(default_factory=Counter)
    """State, or reason of the failure → operations."""
    attempts: Counter[int] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def add(self, result: Result) -> None:
        self.seconds.append(result.seconds)
        if not result.hit:
            self.missed += 1
            return
        self.rounds += 1
        self.met[result.plan.name] += 1
        for operation in result.operations:
            failure = operation["failure"]
            self.ends[str(failure["reason"] if failure else operation["state"])] += 1
            self.attempts[operation["attempt"]] += 1
            self.types[operation["type"]] += 1

    def text(self) -> str:
        """As Markdown."""
        ends = ", ".join(f"{count} {end}" for end, count in self.ends.most_common())
        attempts = ", ".join(f"{count} with {number}" for number, count in sorted(self.attempts.items()))
        types = ", ".join(f"{count} {name}" for name, count in self.types.most_common())
        lines = [
            f"{self.engine}: {self.rounds} rounds from seed {self.first_seed} on, 0 violations, "
            f"{median(self.seconds):.1f} s a round; {self.missed} more whose fault fell outside every operation.",
            f"{sum(self.ends.values())} operations: {types}. Ends: {ends}. Attempts: {attempts}.",
            "",
            "| fault | rounds |",
            "|---|---|",
            *(f"| {name} | {count} |" for name, count in sorted(self.met.items())),
        ]
        return "\n".join(lines)


def write_totals(page: Path, totals: Totals) -> None:
    """Put them between the engine's marks on the page."""
    begin, end = f"<!-- totals {totals.engine} -->", f"<!-- end {totals.engine} -->"
    text = page.read_text()
    before, after = text.split(begin)[0], text.split(end)[1]
    page.write_text(f"{before}{begin}\n{totals.text()}\n{end}{after}")
