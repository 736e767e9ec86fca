"""Runs the tests of all layers in one pytest and counts them.

    python tools/run_tests.py [--layers A,B] [PYTEST ARGUMENT ...]

Fails also if a layer ran no test, or if any test was skipped or expected to
fail: a test that does not run proves nothing. A selection (-k, --lf, a path)
is a person's own choice, so then only failures count.
"""

import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# In order of cost, so that a mistake shows early. A layer is a folder of
# tests/ that exists; one that is missing here is reported.
LAYERS = ("unit", "contract", "service", "packaging", "docs", "cluster", "fault")
_NOT_LAYERS = {"support"}
_OUTCOMES = ("passed", "failed", "skipped", "xfailed")


class LayerCounts:
    """A pytest plugin that counts outcomes by layer."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test once: by its call, or by a setup or teardown that went wrong."""
        layer = _layer_of(report.nodeid)
        self.seconds[layer] += report.duration  # type: ignore[assignment]
        outcome = "xfailed" if hasattr(report, "wasxfail") else report.outcome
        if report.when == "call" or outcome != "passed":
            self.counts[layer, outcome] += 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Count files that cannot be imported, or that skip themselves as a whole."""
        if not report.passed:
            self.counts[_layer_of(report.nodeid), report.outcome] += 1

    def total(self, outcome: str) -> int:
        """Of all layers."""
        return sum(count for (_, which), count in self.counts.items() if which == outcome)

    def ran(self, layer: str) -> int:
        """Tests of a layer that passed or failed."""
        return self.counts[layer, "passed"] + self.counts[layer, "failed"]


def main(arguments: Sequence[str]) -> int:
    """Run, print the table, return 0 only if all is well."""
    layers, rest = _choose_layers(list(arguments))
    selected = any(not a.startswith("-") or a in {"-k", "-m", "--lf", "--last-failed"} for a in rest)
    paths = [a for a in rest if not a.startswith("-") and (ROOT / a.split("::")[0]).exists()]
    counts = LayerCounts()
    started = time.monotonic()
    targets = [] if paths else [str(ROOT / "tests" / layer) for layer in layers]
    code = pytest.main(["--rootdir", str(ROOT), *rest, *targets], plugins=[counts])

    complaints = [] if selected else _complaints(counts, layers)
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        complaints.append(f"pytest ended with {pytest.ExitCode(code).name}")
    _print_table(counts, layers)
    for complaint in complaints:
        print(f"error: {complaint}")
    print(f"Took {time.monotonic() - started:.0f} s.")
    print(f"{counts.total('passed')} passed, {counts.total('failed')} failed")
    return 1 if code or complaints else 0


def _choose_layers(arguments: list[str]) -> tuple[list[str], list[str]]:
    existing = [layer for layer in LAYERS if (ROOT / "tests" / layer).is_dir()]
    if "--layers" not in arguments:
        return existing, arguments
    at = arguments.index("--layers")
    wanted = arguments[at + 1].split(",")
    return [layer for layer in existing if layer in wanted], arguments[:at] + arguments[at + 2 :]


def _complaints(counts: LayerCounts, layers: Sequence[str]) -> list[str]:
    known = {*LAYERS, *_NOT_LAYERS}
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name[0] not in "._"}
    found = [f"tests/{name} is not in LAYERS of tools/run_tests.py" for name in sorted(folders - known)]
    found += [f"layer {layer} ran no test" for layer in layers if not counts.ran(layer)]
    found += [f"{counts.total(o)} {o}: every test must run" for o in ("skipped", "xfailed") if counts.total(o)]
    return found


def _print_table(counts: LayerCounts, layers: Sequence[str]) -> None:
    print(f"\n{'layer':<12}" + "".join(f"{outcome:>9}" for outcome in _OUTCOMES) + f"{'seconds':>9}")
    others = sorted({layer for layer, _ in counts.counts} - set(layers))
    for layer in [*layers, *others]:
        row = "".join(f"{counts.counts[layer, outcome]:>9}" for outcome in _OUTCOMES)
        print(f"{layer:<12}{row}{counts.seconds[layer]:>9.1f}")
    print()


def _layer_of(nodeid: str) -> str:
    parts = Path(nodeid.split("::")[0]).parts
    return parts[1] if len(parts) > 1 and parts[0] == "tests" else "(other)"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
