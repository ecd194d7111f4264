"""Stands between a client and PostgreSQL and cuts a connection exactly when a COMMIT passes."""

from __future__ import annotations

import socket
import threading
from typing import Literal, TypeAlias

Cut: TypeAlias = Literal["before", "after"]
"""The COMMIT never arrives, or it is done and its answer never comes back."""


class CuttingProxy:
    """Listens on a port of its own; `cut` is done once and then None again."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.cut: Cut | None = None
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        for one in (self._listener, *self._sockets):
            _shut(one)

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._server_port))
            self._sockets += [client, server]
            answered, swallow = threading.Event(), threading.Event()
            threading.Thread(target=_answers, args=(server, client, swallow, answered), daemon=True).start()
            threading.Thread(target=self._requests, args=(client, server, swallow, answered), daemon=True).start()

    def _requests(
        self, client: socket.socket, server: socket.socket, swallow: threading.Event, answered: threading.Event
    ) -> None:
        while data := _read(client):
            if b"COMMIT\0" in data and self.cut is not None:  # not the BEGIN of READ COMMITTED
                cut, self.cut = self.cut, None
                if cut == "after":
                    swallow.set()
                    _send(server, data)
                    answered.wait(120)
                break
            if not _send(server, data):
                break
        _shut(server)
        _shut(client)


def _answers(server: socket.socket, client: socket.socket, swallow: threading.Event, answered: threading.Event) -> None:
    while data := _read(server):
        if swallow.is_set():
            answered.set()
            break
        if not _send(client, data):
            break
    _shut(client)


def _read(one: socket.socket) -> bytes:
    try:
        return one.recv(65_536)
    except OSError:
        return b""


def _send(one: socket.socket, data: bytes) -> bool:
    try:
        one.sendall(data)
    except OSError:  # the other side has gone
        return False
    return True


def _shut(one: socket.socket) -> None:
    try:
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # the other side was faster
    one.close()
