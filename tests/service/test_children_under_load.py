"""Children started beside gRPC's threads live and end as they should.

uvloop, or gRPC's own fork handlers, killed some of them before they became another
program. So the server runs on asyncio's own loop and sets GRPC_ENABLE_FORK_SUPPORT=0
before grpc is imported. The load runs in a process of its own, where that order is
certain.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CHILDREN = 200

LOAD = """
import asyncio, os, sys
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
import grpc
from pathlib import Path
from helm_rollback.domain.helm_call import HelmRollback
from helm_rollback.domain.helm_options import HelmOptions
from helm_rollback.domain.release import ReleaseId
from helm_rollback.helm.process import HelmCommand
from helm_rollback.helm.version import HelmVersion, InstalledHelm

CHILDREN, PARALLEL, CLIENTS = int(sys.argv[3]), 8, 16
ECHO = "/load.Load/Echo"


class Load(grpc.GenericRpcHandler):
    def service(self, details):
        async def echo(request, context):
            return request
        return grpc.unary_unary_rpc_method_handler(echo) if details.method == ECHO else None


async def call(port, done, counts):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        echo = channel.unary_unary(ECHO)
        while not done.is_set():
            assert await echo(b"x" * 1000) == b"x" * 1000
            counts.append(1)


async def main():
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Load(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    done, calls, codes, started = asyncio.Event(), [], [], []
    clients = [asyncio.create_task(call(port, done, calls)) for _ in range(CLIENTS)]
    while len(calls) < 100:
        await asyncio.sleep(0.01)
    warm = len(calls)
    helm = HelmCommand(InstalledHelm(Path(sys.argv[1]), HelmVersion(4, 3, 1)), folder=Path(sys.argv[2]))
    places = asyncio.Semaphore(PARALLEL)

    async def note(process):
        started.append(process.pid)

    async def child():
        async with places:
            ended = await helm.run(
                ReleaseId("default", "prod", "shop"), HelmRollback(1),
                options=HelmOptions(), description="", kubeconfig="{}", api_state="", started=note,
            )
            codes.append((ended.returncode, ended.output))

    await asyncio.gather(*(child() for _ in range(CHILDREN)))
    done.set()
    await asyncio.gather(*clients)
    await server.stop(None)
    bad = [code for code in codes if code != (0, "done\\n")]
    print(len(started), len(codes), len(bad), bad[:5], len(calls) - warm)


asyncio.run(main())
"""


def test_none_of_many_children_dies_under_rpc_load(tmp_path: Path) -> None:
    helm, folder = tmp_path / "helm", tmp_path / "folders"
    helm.write_text("#!/bin/sh\nsleep 0.05\necho done\n")
    helm.chmod(0o700)
    folder.mkdir()

    load = subprocess.run(
        [sys.executable, "-c", LOAD, helm, folder, str(CHILDREN)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        timeout=180,
    )

    assert load.returncode == 0, load.stderr
    *children, calls = load.stdout.split()
    assert children == [str(CHILDREN), str(CHILDREN), "0", "[]"]
    assert int(calls) > CHILDREN / 10, "that was no load"
    assert list(folder.iterdir()) == []
