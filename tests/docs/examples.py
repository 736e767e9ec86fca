"""The commands of a page: run, and compared with what the page says that they print.

A block of ```console right after the comment `<!-- tested -->` holds commands, each after
`$ `, and below each what it prints. They run in order, by bash, against a service that is
started here, for a release `shop` in the namespace `prod` whose third revision failed.
Where the page says 127.0.0.1:50051, or 127.0.0.1:8080 for REST, the addresses of that
service are meant. Ids, times, tokens and digests are new each time, so one stands for any
other of its kind; everything else has to be the same, to the letter.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import demo
from local_cluster import ApiError, LocalCluster
from support.cluster import BIN_DIR
from support.helm import Helm

SECONDS = 60
VOLATILE = (
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>"),
    (r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:]{8}(\.[0-9]+)?(Z|[+-][0-9:]{5})?", "<time>"),
    (r"[0-9a-f]{64}", "<digest>"),
    (r'("resume_token": )"[^"]+"', r'\1"<token>"'),
)


@dataclass(frozen=True)
class Example:
    """One command of a page and what it says that it prints."""

    command: str
    output: str


def examples(page: str) -> list[Example]:
    """Those of a page's text."""
    found: list[Example] = []
    for block in re.findall(r"<!-- tested -->\n```console\n(.*?)```", page, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = part.splitlines()
            ends = next(i for i, line in enumerate(lines) if not line.endswith("\\"))
            command = " ".join(line.rstrip("\\").strip() for line in lines[: ends + 1])
            found.append(Example(command, "\n".join(lines[ends + 1 :])))
    return found


def comparable(output: str) -> str:
    """Without what is new each time, and without spaces that nobody sees."""
    for pattern, placeholder in VOLATILE:
        output = re.sub(pattern, placeholder, output)
    return "\n".join(line.rstrip() for line in output.strip().splitlines())


@dataclass(frozen=True)
class World:
    """A running service, and how a page's commands reach it."""

    address: str
    http: str
    folder: Path

    def run(self, command: str) -> str:
        command = command.replace("127.0.0.1:50051", self.address).replace("127.0.0.1:8080", self.http)
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env={
                "PATH": os.pathsep.join([str(BIN_DIR), str(demo.SERVICE.parent), os.defpath]),
                "HOME": str(self.folder),
                "HELM_ROLLBACK_SERVER": self.address,
                "COLUMNS": "120",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return done.stdout


@contextmanager
def broken_shop(cluster: LocalCluster, helm: Helm, folder: Path) -> Iterator[World]:
    """The service, and the release that the pages tell of: installed, upgraded, and broken by an upgrade."""
    with suppress(ApiError):  # an earlier test made it
        cluster.create_namespace("prod")
    prod = helm.in_namespace("prod")
    with demo.running_service(folder, cluster.kubeconfig) as ready:
        for version, greeting, port in (("1.0.0", "hello", 80), ("1.1.0", "welcome", 80), ("1.2.0", "oops", 70000)):
            chart = folder / f"shop-{version}"
            demo.write_chart(chart, version, greeting=greeting, port=port)
            prod.run("package", chart, "--destination", folder)
            prod.upgrade("shop", chart, "--install", f"--set=greeting={greeting}", check=version != "1.2.0")
        addresses = json.loads(ready)
        yield World(addresses["grpc"], addresses["http"], folder)
    prod.uninstall("shop")
