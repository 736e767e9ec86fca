"""Proves what README promises: a fresh clone needs python3, go, make, git and coreutils.

The tests run the examples of the pages besides, with bash, curl, grep and Node.js.
Clones the committed state into a temporary folder, makes a second folder with links
to just those programs, and runs `make demo` twice and `make test` with PATH set to
it. Caches of pip and Go are those of the user.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_PROGRAMS = ("go", "make", "git", "sh")
_OF_EXAMPLES = ("bash", "curl", "grep", "node", "npm", "npx")
_COREUTILS = (  # one text, since a list of these would fill a page
    "base64 basename cat chgrp chmod chown comm cp cut date dd df dirname du echo env expr false fold head "
    "id install join kill link ln ls mkdir mkfifo mktemp mv nice nl nohup nproc od paste printenv "
    "printf pwd readlink realpath rm rmdir seq sha256sum shuf sleep sort split stat stty sync tac "
    "tail tee test timeout touch tr true truncate tsort tty uname unexpand uniq unlink wc whoami yes"
)


@dataclass(frozen=True)
class Step:
    """One command and how long it may take."""

    name: str
    argv: Sequence[str]
    at_most_seconds: float | None = None


STEPS = {
    "demo": (Step("demo", ["make", "demo"]), Step("demo again", ["make", "demo"], at_most_seconds=30)),
    "test": (Step("test", ["make", "test"]),),
    "check": (Step("check", ["make", "check"]),),
}


def main() -> int:
    """Run the steps, print a verdict for each, return 0 if all are good."""
    parser = argparse.ArgumentParser(description="Run make targets on a fresh clone with a minimal PATH.")
    parser.add_argument("targets", nargs="*", choices=[[], *STEPS], help="default: demo test")
    targets = parser.parse_args().targets or ["demo", "test"]
    steps = [step for target in targets for step in STEPS[target]]
    with tempfile.TemporaryDirectory(prefix="clean-path-") as folder:
        programs = Path(folder) / "bin"
        clone = Path(folder) / "clone"
        _link_programs(programs, _OF_EXAMPLES if "test" in targets else ())
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        print(f"PATH holds {len(list(programs.iterdir()))} programs; clone in {clone}", flush=True)
        verdicts = [_run(step, clone, _environment(programs)) for step in steps]

    print()
    for ok, verdict in verdicts:
        print(f"{'ok  ' if ok else 'FAIL'}  {verdict}")
    return 0 if all(ok for ok, _ in verdicts) else 1


def _run(step: Step, clone: Path, environment: dict[str, str]) -> tuple[bool, str]:
    print(f"\n=== {step.name}: {' '.join(step.argv)}", flush=True)
    started = time.monotonic()
    code = subprocess.run(step.argv, cwd=clone, env=environment, stdin=subprocess.DEVNULL).returncode
    seconds = time.monotonic() - started
    verdict = f"{step.name}: exit code {code}, {seconds:.0f} s"
    if step.at_most_seconds is not None:
        verdict += f" (at most {step.at_most_seconds:.0f} s)"
    return code == 0 and seconds <= (step.at_most_seconds or seconds), verdict


def _link_programs(folder: Path, further: Sequence[str]) -> None:
    folder.mkdir()
    # The interpreter itself: a version manager's shim would need a shell and more.
    base: str = getattr(sys, "_base_executable", sys.executable)
    (folder / "python3").symlink_to(Path(base).resolve())
    for name in (*_PROGRAMS, *further):
        program = shutil.which(name)
        if program is None:
            raise SystemExit(f"error: {name} is needed and not on PATH")
        (folder / name).symlink_to(program)
    for name in _COREUTILS.split():
        if program := shutil.which(name):
            (folder / name).symlink_to(program)


def _environment(programs: Path) -> dict[str, str]:
    """Ours, without what a surrounding make, venv or pytest would add."""
    unwanted = ("ARGS", "MAKE", "MFLAGS", "VIRTUAL_ENV", "PYTHONPATH", "PYTEST", "KUBECONFIG", "HELM_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return kept | {"PATH": str(programs)}


if __name__ == "__main__":
    sys.exit(main())
