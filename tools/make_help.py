"""Prints the targets of a Makefile: `target: ... ## text`, grouped by `##@ Group`."""

import re
import sys
from pathlib import Path

_TARGET = re.compile(r"^([\w-]+):.*?## (.*)$")


def main(makefile: Path) -> None:
    """One line a target, in the order of the file."""
    print("Usage: make TARGET")
    for line in makefile.read_text().splitlines():
        if line.startswith("##@ "):
            print(f"\n{line[4:]}")
        elif match := _TARGET.match(line):
            print(f"  {match[1]:<16} {match[2]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
