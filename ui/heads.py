"""Heads of requests: how long and how large one may be. uvicorn limits neither with httptools.

A client that sends a header a minute would hold its connection for ever, and one that never ends a header would fill
the memory. Bodies have limits of their own (agent/api/bodies.py). Knows nothing of what is asked.
"""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS: Final = 15.0
"""For a whole head, from the connection or from its first byte on."""
MAX_HEAD_BYTES: Final = 64 * 1024
"""As h11's; a browser's cookies for us take less than one."""


class BoundedHeads(HttpToolsProtocol):
    """uvicorn's protocol that gives up connections whose heads are too slow or too large."""

    seconds = HEAD_SECONDS
    _head_due: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _head_ended = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._head_is_there()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """See `httptools.HttpRequestParser`."""
        super().on_message_begin()
        self._expect_head()

    def on_headers_complete(self) -> None:
        """See `httptools.HttpRequestParser`."""
        self._head_is_there()
        self._head_ended = True
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        was_in_head, self._head_ended = self._head_due is not None, False
        super().data_received(data)
        # A head that begins behind a body shares its bytes with it: nobody knows how many are its own.
        if self._head_due is None or not was_in_head or self._head_ended:
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def _expect_head(self) -> None:
        self._head_bytes = 0
        if self._head_due is None:
            self._head_due = self.loop.call_later(self.seconds, self._give_up)

    def _head_is_there(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def _give_up(self) -> None:
        self._head_due = None
        if not self.transport.is_closing():
            self.transport.close()
