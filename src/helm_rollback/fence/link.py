"""One connection to the API server. What comes down goes to the client unread, as it comes."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import sys
from collections.abc import Callable
from typing import Protocol, cast

WHOLE_MAX = 128 * 1024
"""Up to this a request goes into the kernel in one piece: with SEND_BUFFER it holds more, and is empty."""
SEND_BUFFER = 1024 * 1024
"""Asked of the kernel; it grants less where `net.core.wmem_max` says so, by default some 400 KiB."""
TAIL = 1024
_SIOCOUTQ = 0x5411
_RESET_WHEN_CLOSED = struct.pack("ii", 1, 0)
"""SO_LINGER: on, for no time."""
_STATUS_LINE = len(b"HTTP/1.1 200")


class Receiver(Protocol):
    """Who takes what comes down."""

    def answered(self, data: bytes) -> None: ...

    def link_lost(self) -> None: ...


class Link(asyncio.Protocol):
    """Carries one request at a time; a response's end is not looked for."""

    def __init__(self) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._receiver: Receiver | None = None
        self._on_success: Callable[[], None] | None = None
        self._start = b""

    @property
    def is_usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def attach(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def send(self, data: bytes, *, on_success: Callable[[], None] | None = None) -> None:
        """Send a whole request; `on_success` is called when its answer begins with 2xx."""
        self._send(data, seconds=0, on_success=on_success)

    async def send_guarded(
        self, data: bytes, *, seconds_left: Callable[[], float], on_success: Callable[[], None] | None = None
    ) -> bool:
        """Send a write so that no part that matters can leave when no seconds are left; False when none were.

        What does not fit into the kernel would wait in this process, and leave when a
        paused process wakes up, long after the check. So of a large request the tail is
        held back until the API server has the rest; then it is checked once more. What
        is in the kernel and does not get through is given up when the seconds are over.
        Raises ConnectionError when the connection is lost meanwhile.
        """
        seconds = seconds_left()
        if seconds <= 0:
            return False
        if len(data) <= WHOLE_MAX:
            self._send(data, seconds=seconds, on_success=on_success)
            return True
        self._send(data[:-TAIL], seconds=seconds, on_success=on_success)
        await self._all_left()
        seconds = seconds_left()
        if seconds <= 0:
            self.abort()  # the API server drops a request that is not whole
            return False
        self._give_up_after(seconds)
        self._up.write(data[-TAIL:])
        return True

    def abort(self) -> None:
        """End it at once. What the API server has not got by then it never gets."""
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    @property
    def _up(self) -> asyncio.Transport:
        if self._transport is None:
            raise ConnectionError("not connected")
        return self._transport

    def _send(self, data: bytes, *, seconds: float, on_success: Callable[[], None] | None) -> None:
        self._on_success, self._start = on_success, b""
        self._give_up_after(seconds)
        self._up.write(data)

    def _give_up_after(self, seconds: float) -> None:
        """Let the kernel reset the connection when something stays unacknowledged for so long; 0: as it likes.

        It would send again for a quarter of an hour, also what a stopped or dead process has left with it.
        """
        if sys.platform == "linux":
            milliseconds = max(1, int(seconds * 1000)) if seconds else 0
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)

    @property
    def _socket(self) -> socket.socket:
        return cast("socket.socket", self._up.get_extra_info("socket"))

    async def _all_left(self) -> None:
        """Wait until the other side has acknowledged all. Seen twice: between two looks the loop refills the kernel."""
        seen = 0
        while seen < 2:
            await asyncio.sleep(0.001)
            if not self.is_usable:
                raise ConnectionError("lost")
            seen = 0 if self._is_under_way() else seen + 1

    def _is_under_way(self) -> bool:
        """Whether something is in our buffer, or (Linux) sent and not acknowledged."""
        if self._up.get_write_buffer_size():
            return True
        if sys.platform != "linux":
            return False
        return any(fcntl.ioctl(self._socket.fileno(), _SIOCOUTQ, b"\0" * 4))

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        # However it ends, by `abort` or with the process, what is still to be sent goes with it.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_WHEN_CLOSED)

    def data_received(self, data: bytes) -> None:
        if self._receiver is None:
            self.abort()  # nothing was asked
            return
        if self._on_success is not None:
            self._look_at_status(data)
        self._receiver.answered(data)

    def connection_lost(self, _exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)
        if self._receiver is not None:
            self._receiver.link_lost()
            self._receiver = None

    def _look_at_status(self, data: bytes) -> None:
        self._start += data[:_STATUS_LINE]
        if len(self._start) < _STATUS_LINE:
            return
        on_success, self._on_success = self._on_success, None
        if on_success is not None and self._start.startswith(b"HTTP/1.1 2"):
            on_success()
