"""A service that shares its ledger with others."""

import json
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from support.held_writes import HeldWrites
from support.process import HELD_SERVICE, ServiceProcess
from support.streams import Stream
from support.waiting import eventually

from helm_rollback.v1.release_pb2 import Revision

LEASE = 3.0
"""Seconds."""


class ReplicaProcess(ServiceProcess):
    """A service that shares its ledger. Its folder is called as it is."""

    def __init__(
        self, folder: Path, kubeconfig: Path, database: str, *flags: str | Path, far: bool = False, **choices: Any
    ) -> None:
        """`far`: as if on a machine of its own, where no other replica can end its Helm."""
        self.held_writes = HeldWrites(folder / "held")
        super().__init__(
            folder,
            kubeconfig,
            *("--database", database, "--lease", f"{LEASE:.0f}s", *flags),
            program=HELD_SERVICE,
            environment={**self.held_writes.environment, **({"FAR_HOST": folder.name} if far else {})},
            **choices,
        )

    def pause(self) -> None:
        """SIGSTOP: it stands still, and nobody is told."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def logged(self, message: str, **facts: object) -> bool:
        """Whether it logged that, with these facts."""
        lines = (json.loads(line) for line in self.stderr.splitlines() if line.startswith("{"))
        return any(line["message"] == message and facts.items() <= line.items() for line in lines)

    def claimed(self, operation_id: str) -> bool:
        return self.logged("operation claimed", operation_id=operation_id)

    def follow(self, release_id: str, *, deployed: int) -> Stream:
        """As of every service, but it may be another replica that observes: the test waits for that one."""
        self.until_seen(release_id, deployed, Revision.DEPLOYED)
        return self.stream(release_id, tail=0)


StartReplicas = Callable[..., list[ReplicaProcess]]
"""Starts replicas of these names, all at once: see the fixture `start_replicas`."""


def the_one(replicas: Sequence[ReplicaProcess], which: Callable[[ReplicaProcess], bool], what: str) -> ReplicaProcess:
    """The only replica of which that holds, once it does of one."""
    eventually(lambda: any(which(replica) for replica in replicas), what)
    [found] = [replica for replica in replicas if which(replica)]
    return found


def others_than(one: ReplicaProcess, replicas: Sequence[ReplicaProcess]) -> list[ReplicaProcess]:
    return [replica for replica in replicas if replica is not one]
