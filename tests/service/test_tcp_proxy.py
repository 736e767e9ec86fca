"""The proxy that other tests make faults with does what it says to any protocol."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from support.tcp_proxy import TcpProxy
from support.waiting import eventually


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that says again what it is told."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                while told := connection.recv(65536):
                    connection.sendall(told)
            except OSError:
                return

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


@pytest.fixture
def proxy(echo: int) -> Iterator[TcpProxy]:
    with TcpProxy(echo) as proxy:
        yield proxy


@pytest.fixture
def connection(proxy: TcpProxy) -> Iterator[socket.socket]:
    """An open connection through the proxy, that has carried something."""
    with _connect(proxy) as connection:
        assert _say(connection, b"hello") == b"hello"
        yield connection


def test_what_is_open_is_cut_and_what_comes_after_it_works(proxy: TcpProxy, connection: socket.socket) -> None:
    assert proxy.cut() == 1

    with pytest.raises(ConnectionResetError):
        connection.recv(1)
    with _connect(proxy) as another:
        assert _say(another, b"x" * 200_000) == b"x" * 200_000


def test_an_answer_is_cut_in_its_middle(proxy: TcpProxy, connection: socket.socket) -> None:
    proxy.cut(after=7)
    connection.sendall(b"0123456789")

    with pytest.raises(ConnectionResetError):
        _receive(connection, 8)
    with _connect(proxy) as another:
        assert _say(another, b"0123456789") == b"0123456789"


def test_nobody_listens_for_a_while_and_then_on_the_same_port(proxy: TcpProxy, connection: socket.socket) -> None:
    with proxy.refusing():
        with pytest.raises(ConnectionRefusedError):
            _connect(proxy)
        with pytest.raises(ConnectionResetError):
            connection.recv(1)

    with _connect(proxy) as another:
        assert _say(another, b"again") == b"again"


def test_a_stalled_answer_goes_on_where_it_stopped(proxy: TcpProxy, connection: socket.socket) -> None:
    with proxy.stalling(after=4):
        connection.sendall(b"0123456789")
        assert _receive(connection, 4) == b"0123"
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)

    connection.settimeout(10)
    assert _receive(connection, 6) == b"456789"


def test_a_silent_connection_neither_answers_nor_ends_while_new_ones_work(
    proxy: TcpProxy, connection: socket.socket
) -> None:
    assert proxy.go_silent() == 1

    connection.sendall(b"anybody?")
    connection.settimeout(0.2)
    with pytest.raises(TimeoutError):
        connection.recv(1)
    with _connect(proxy) as another:
        assert _say(another, b"hello") == b"hello"
        eventually(lambda: proxy.open == 1, "only the new one counts as open")


def test_answers_come_later(proxy: TcpProxy, connection: socket.socket) -> None:
    with proxy.delaying(0.3):
        asked = time.monotonic()
        assert _say(connection, b"late") == b"late"
        assert time.monotonic() - asked >= 0.3

    asked = time.monotonic()
    assert _say(connection, b"soon") == b"soon"
    assert time.monotonic() - asked < 0.3


def test_a_client_that_closes_is_forgotten(proxy: TcpProxy, connection: socket.socket) -> None:
    connection.close()

    eventually(lambda: proxy.open == 0, "the connection is gone")


def _connect(proxy: TcpProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)


def _say(connection: socket.socket, text: bytes) -> bytes:
    threading.Thread(target=connection.sendall, args=(text,), daemon=True).start()
    return _receive(connection, len(text))


def _receive(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        received += connection.recv(size - len(received))
    return received
