"""A TCP proxy on loopback, between a program under test and what it depends on: the network's faults, on demand.

    with TcpProxy(postgres_port) as proxy:
        connect_to(proxy.port)
        proxy.cut()                    # what is open is reset; returns how many connections that were
        proxy.cut(after=20_000)        # the same after so many bytes of answers more: in the middle of one
        proxy.go_silent()              # what is open never says another word, nor that it ended; new ones work
        with proxy.delaying(1.5): ...  # each answer comes so many seconds later
        with proxy.refusing(): ...     # nobody listens, and what is open is reset
        with proxy.stalling(): ...     # nothing passes, either way; after the block all of it does
        with proxy.stalling(after=9)   # the same after so many bytes of answers more

It passes bytes and knows no protocol: TLS goes through it, where the certificate names 127.0.0.1.
It runs in a thread of its own, and every call returns once the fault is there.
"""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import yaml

_CHUNK = 64 * 1024
_PATIENCE = 10.0

T = TypeVar("T")


class TcpProxy:
    """Passes what comes to `port` on to `upstream_port`, both on 127.0.0.1, while its `with` block lasts."""

    def __init__(self, upstream_port: int) -> None:
        """Nothing is started yet."""
        self._upstream_port = upstream_port
        # Bound and never listening, it keeps the port while nobody listens there.
        self._keeper = _bound(0)
        self.port: int = self._keeper.getsockname()[1]
        """Where it listens."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._clients: list[asyncio.StreamWriter] = []
        self._pairs: set[_Pair] = set()
        self._silent: list[_Pair] = []
        self._flow = _Flow()
        self._faults = 0
        self.accepted = 0
        """How many connections were made to it, ever."""

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)
        self._loop.close()
        self._keeper.close()

    @property
    def open(self) -> int:
        """How many connections carry something now, or would."""
        return len(self._pairs)

    def cut(self, *, after: int = 0) -> int:
        """Reset every open connection, at once or after so many bytes of answers; how many are open now."""
        return self._do(self._cut(after))

    def go_silent(self) -> int:
        """Carry nothing on what is open now, and never close it: half-open connections. How many."""
        return self._do(self._go_silent())

    @contextmanager
    def delaying(self, seconds: float) -> Iterator[None]:
        """While the block lasts, answers come so much later, on new and on open connections."""
        self._flow.delay = seconds
        try:
            yield
        finally:
            self._flow.delay = 0.0

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """While the block lasts, nobody listens. What was open is reset."""
        self._do(self._refuse())
        try:
            yield
        finally:
            self._do(self._listen())

    @contextmanager
    def stalling(self, *, after: int = 0) -> Iterator[None]:
        """While the block lasts, nothing passes after so many bytes of answers more; connections are still accepted."""
        self._do(self._flow.limit(after, self._flow.stop))
        try:
            yield
        finally:
            self._do(self._flow.go_on())

    # In the proxy's thread.

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, sock=_bound(self.port))

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Coroutine[Any, Any, None]:
        self.accepted += 1
        self._clients.append(writer)  # noted before the task below runs, which the proxy's end may cancel first
        return self._connect(reader, writer)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        faults = self._faults
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        except OSError:
            _reset(writer)
            return
        if faults != self._faults:  # it was accepted before the fault, and is of those that it hits
            _reset(writer)
            _reset(up_writer)
            return
        pair = _Pair(writer, up_writer)
        self._pairs.add(pair)
        pair.start(self._flow, reader, up_reader, ended=lambda: self._pairs.discard(pair))

    async def _cut(self, after: int) -> int:
        found = len(self._pairs)
        await self._flow.limit(after, self._reset_all)
        return found

    def _reset_all(self) -> None:
        self._faults += 1
        for pair in list(self._pairs):
            pair.reset()
        self._flow.unlimit()

    async def _go_silent(self) -> int:
        found = list(self._pairs)
        self._silent += found
        for pair in found:
            pair.fall_silent()
        return len(found)

    async def _refuse(self) -> None:
        assert self._server is not None
        self._server.close()
        self._reset_all()

    async def _end(self) -> None:
        await self._refuse()
        for pair in self._silent:
            pair.reset()
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:  # one that ends may have begun another
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for client in self._clients:
            _reset(client)

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE)


def kubeconfig_through(proxy: TcpProxy, kubeconfig: Path) -> Path:
    """A copy of a kubeconfig, beside it, in which the proxy stands for every server."""
    content = yaml.safe_load(kubeconfig.read_text())
    for cluster in content["clusters"]:
        cluster["cluster"]["server"] = f"https://127.0.0.1:{proxy.port}"
    path = kubeconfig.with_name(f"{kubeconfig.name}-through-{proxy.port}")
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(content))
    return path


def upstream_port_of(kubeconfig: Path) -> int:
    """The port of the API server that it names."""
    server: str = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    return int(server.rpartition(":")[2])


class _Flow:
    """What all connections share: how late answers come, and how many bytes of them still do."""

    def __init__(self) -> None:
        self.delay = 0.0
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._left: int | None = None
        self._when_spent: Callable[[], None] = self.stop

    async def limit(self, left: int, when_spent: Callable[[], None]) -> None:
        """Let so many bytes of answers pass, then call `when_spent`."""
        self._left, self._when_spent = left, when_spent
        if not left:
            when_spent()

    def unlimit(self) -> None:
        self._left = None

    def stop(self) -> None:
        self._flowing.clear()

    async def go_on(self) -> None:
        self.unlimit()
        self._flowing.set()

    async def take(self, chunk: bytes, *, answer: bool) -> tuple[bytes, bytes]:
        """What of a chunk may pass, once something may, and the rest."""
        await self._flowing.wait()
        if self._left is None or not answer:
            return chunk, b""
        passed, rest = chunk[: self._left], chunk[self._left :]
        self._left -= len(passed)
        return passed, rest

    def passed(self) -> None:
        """What was taken is on its way: the fault comes after it."""
        if self._left == 0 and self._flowing.is_set():
            self._when_spent()


class _Pair:
    """One connection to the proxy, and the one that it makes for it."""

    def __init__(self, client: asyncio.StreamWriter, upstream: asyncio.StreamWriter) -> None:
        self._client = client
        self._upstream = upstream
        self._tasks: list[asyncio.Task[None]] = []
        self._ended: Callable[[], None] = lambda: None

    def start(
        self, flow: _Flow, client: asyncio.StreamReader, upstream: asyncio.StreamReader, ended: Callable[[], None]
    ) -> None:
        self._ended = ended
        answers: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=64)
        works = (  # functions: a coroutine would never be awaited where its task is cancelled before it begins
            partial(self._ask, flow, client),
            partial(self._collect, flow, upstream, answers),
            partial(self._answer, flow, answers),
        )
        for work in works:
            self._tasks.append(asyncio.create_task(self._until_closed(work)))

    def reset(self) -> None:
        """Both ends see it broken off."""
        self._stop()
        _reset(self._client)
        _reset(self._upstream)

    def fall_silent(self) -> None:
        """The client sees nothing at all; the other end sees it broken off."""
        self._stop()
        self._client.transport.pause_reading()  # type: ignore[attr-defined]  # so that not even its goodbye is noticed
        _reset(self._upstream)

    async def _ask(self, flow: _Flow, reader: asyncio.StreamReader) -> None:
        while chunk := await reader.read(_CHUNK):
            passed, _ = await flow.take(chunk, answer=False)
            self._upstream.write(passed)
            await self._upstream.drain()

    async def _collect(
        self, flow: _Flow, reader: asyncio.StreamReader, answers: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        while chunk := await reader.read(_CHUNK):
            await answers.put((asyncio.get_running_loop().time() + flow.delay, chunk))
        await answers.put((0.0, b""))
        await asyncio.Event().wait()  # the end comes after what is still to be delivered

    async def _answer(self, flow: _Flow, answers: asyncio.Queue[tuple[float, bytes]]) -> None:
        while True:
            due, rest = await answers.get()
            if not rest:
                return
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
            while rest:
                passed, rest = await flow.take(rest, answer=True)
                self._client.write(passed)
                await self._client.drain()
                flow.passed()

    async def _until_closed(self, work: Callable[[], Awaitable[None]]) -> None:
        with suppress(OSError):
            await work()
        self._stop()
        self._client.close()
        self._upstream.close()

    def _stop(self) -> None:
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        self._ended()


def _bound(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    with suppress(OSError, AttributeError):
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()
