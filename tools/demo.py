"""The story in one command: a release breaks, and is put back.

    python tools/demo.py [--release NAME]

Starts a Kubernetes API and the service, lets Helm install, upgrade and break a
release, then puts it back through the service. What is shown are headings, the
commands, and what Helm and the service print. Everything that was started is ended,
by its process id, and everything that was written is removed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import sysconfig
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from local_cluster import LocalCluster, NotReady
from local_cluster.processes import Child

ROOT = Path(__file__).resolve().parents[1]
BIN_DIR = ROOT / ".tools" / "bin"
SERVICE = Path(sysconfig.get_path("scripts")) / "helm-rollback"
NAMESPACE = "demo"

READY = timedelta(seconds=30)
ENDED = timedelta(seconds=15)
COMMAND_SECONDS = 60.0
STREAM_SECONDS = 10.0
REFUSED = 3
"""Exit code of the command line where the service refuses a request."""


class Unexpected(Exception):
    """The story went another way; the text says where."""


def main() -> int:
    """Tell the story; 0 only if every part of it happened."""
    parser = argparse.ArgumentParser(description="Break a real Helm release and watch it being put back.")
    parser.add_argument("--release", default="shop", help="name of the release (default: shop)")
    release: str = parser.parse_args().release

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    started = time.monotonic()
    try:
        heading("A Kubernetes API and the service")
        with LocalCluster(BIN_DIR) as cluster, running_service(cluster.folder, cluster.kubeconfig) as ready:
            print(ready, flush=True)
            cluster.create_namespace(NAMESPACE)
            tell(Stage(cluster.folder, cluster.kubeconfig, json.loads(ready)["grpc"], release))
    except KeyboardInterrupt:
        print("\nInterrupted; everything was ended.")
        return 130
    except (NotReady, FileNotFoundError, Unexpected) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    heading(f"All ended and removed after {time.monotonic() - started:.0f} s")
    return 0


def tell(stage: Stage) -> None:
    """The story itself."""
    release, release_id = stage.release, f"default.{NAMESPACE}.{stage.release}"

    heading("A release is installed and upgraded, with Helm alone")
    stage.helm("install", release, stage.chart("1.0.0", greeting="hello", port=80))
    stage.helm("upgrade", release, stage.chart("1.1.0", greeting="welcome", port=80))

    heading("An upgrade fails halfway: the API server refuses its second object")
    stage.helm("upgrade", release, stage.chart("1.2.0", greeting="oops", port=70000), fails=True)

    heading("Back to the last revision that worked; the stream tells it beside")
    with stage.stream("history", release_id, "--follow"):
        stage.service("last-successful", release_id, "--reason", "1.2.0 is broken")

    heading("Further back, to a revision of our choice")
    request_id = str(uuid.uuid4())
    rollback = ("rollback", release_id, "1", "--reason", "as it was at first", "--request-id", request_id)
    first = stage.service(*rollback)

    heading("The same request once more: the same operation, nothing runs again")
    again = stage.service(*rollback)
    if operation_in(first) != operation_in(again):
        raise Unexpected("the same request_id was answered with another operation")

    heading("A blind retry is refused: nothing is broken any more")
    stage.service("last-successful", release_id, exit_code=REFUSED)

    heading("What the service remembers")
    stage.service("history", release_id)

    heading("What Helm says")
    stage.helm("history", release)


@dataclass
class Stage:
    """Where it happens: runs commands, and shows them with what they print."""

    folder: Path
    kubeconfig: Path
    address: str
    release: str
    _printing: threading.Lock = field(default_factory=threading.Lock)

    def helm(self, *arguments: str, fails: bool = False) -> str:
        """Run Helm as a person would."""
        return self._run("helm", [str(BIN_DIR / "helm"), *arguments], exit_code=1 if fails else 0)

    def service(self, *arguments: str, exit_code: int = 0) -> str:
        """Run the service's own command line, as a client."""
        return self._run("helm-rollback", [str(SERVICE), *arguments], exit_code=exit_code)

    def chart(self, version: str, *, greeting: str, port: int) -> str:
        """Write a version of the chart; its path, as Helm is to be told."""
        write_chart(self.folder / f"chart-{version}", version, greeting=greeting, port=port)
        return f"chart-{version}"

    @contextmanager
    def stream(self, *arguments: str) -> Iterator[None]:
        """Show what a command of the service prints, as it comes, while the block lasts."""
        self._show_command("helm-rollback", arguments, "&")
        process = subprocess.Popen(
            [SERVICE, *arguments],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        shown = Quiet()
        reader = threading.Thread(target=self._show_stream, args=(process, shown))
        reader.start()
        try:
            shown.wait()
            yield
            shown.wait()
        finally:
            process.terminate()
            process.wait()
            reader.join()

    def _show_stream(self, process: subprocess.Popen[str], shown: Quiet) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self._print(f"  | {line.rstrip()}")
                shown.note()

    def _run(self, name: str, argv: Sequence[str], *, exit_code: int) -> str:
        self._show_command(name, argv[1:])
        done = subprocess.run(
            argv,
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        self._print("\n".join(line.rstrip() for line in done.stdout.rstrip().splitlines()))
        if done.returncode != exit_code:
            raise Unexpected(f"{name} ended with {done.returncode}, expected was {exit_code}")
        return done.stdout

    def _show_command(self, name: str, arguments: Sequence[str], *background: str) -> None:
        self._print(f"\n$ {shlex.join([name, *arguments])}{''.join(f' {mark}' for mark in background)}")

    def _print(self, text: str) -> None:
        with self._printing:
            print(text, flush=True)

    def _environment(self) -> dict[str, str]:
        """For commands without flags that would hide what matters; nothing of the caller's gets in."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder),
            "KUBECONFIG": str(self.kubeconfig),
            "HELM_NAMESPACE": NAMESPACE,
            "HELM_ROLLBACK_SERVER": self.address,
            "COLUMNS": "120",
        }


class Quiet:
    """Waits until a stream that has said something is silent for a moment."""

    SILENCE = 0.7

    def __init__(self) -> None:
        self._last: float | None = None

    def note(self) -> None:
        """A line came."""
        self._last = time.monotonic()

    def wait(self) -> None:
        """Return at silence. Raises Unexpected where nothing was said at all."""
        deadline = time.monotonic() + STREAM_SECONDS
        while time.monotonic() < deadline:
            if self._last is not None and time.monotonic() - self._last > self.SILENCE:
                return
            time.sleep(0.05)
        if self._last is None:
            raise Unexpected("the stream told nothing")


@contextmanager
def running_service(folder: Path, kubeconfig: Path) -> Iterator[str]:
    """Start the service with its ledger and log in `folder`; the line that it prints when it is ready."""
    # In a cluster's own folder its guard ends it, too, should this process be killed.
    log = folder / "service.log"
    service = Child(
        "helm-rollback",
        [
            *(str(SERVICE), "serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"),
            *("--database", f"sqlite:///{folder / 'ledger.db'}"),
            *("--kubeconfig", str(kubeconfig), "--helm", str(BIN_DIR / "helm")),
        ],
        log=log,
    )
    try:
        service.wait_until(lambda: bool(ready_line(log)), READY)
        yield ready_line(log)
    except Unexpected:
        print("".join(log.read_text(errors="replace").splitlines(keepends=True)[-10:]), file=sys.stderr)
        raise
    finally:
        service.end(ENDED)


def ready_line(log: Path) -> str:
    """The line with which the service says where it serves; empty until it has."""
    lines = log.read_text(errors="replace").splitlines(keepends=True)
    return next((line.strip() for line in lines if line.startswith('{"ready"') and line.endswith("\n")), "")


def operation_in(output: str) -> str:
    """The id of the operation that a command told of."""
    found = re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", output)
    if found is None:
        raise Unexpected("the answer names no operation")
    return found[0]


def write_chart(folder: Path, version: str, *, greeting: str, port: int) -> None:
    """A chart of two objects. Helm applies the ConfigMap first, so a refused Service leaves a half-done upgrade."""
    templates = folder / "templates"
    templates.mkdir(parents=True)
    (folder / "Chart.yaml").write_text(f"apiVersion: v2\nname: shop\nversion: {version}\nappVersion: {version}\n")
    (folder / "values.yaml").write_text(f"greeting: {greeting}\nport: {port}\n")
    (templates / "page.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: shop\ndata:\n  greeting: {{ .Values.greeting }}\n"
    )
    (templates / "service.yaml").write_text(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: shop\n"
        "spec:\n  ports: [{port: {{ .Values.port }}, targetPort: 80}]\n"
    )


def heading(text: str) -> None:
    """A line of the story that is ours."""
    print(f"\n== {text}", flush=True)


def _interrupt(_number: int, _frame: object) -> None:
    for again in (signal.SIGINT, signal.SIGTERM):
        signal.signal(again, signal.SIG_IGN)  # a second signal must not interrupt the ending
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
