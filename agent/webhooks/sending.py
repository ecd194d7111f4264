"""Sends what waits in the outbox, signed, and again later where it did not arrive.

The signature is that of Chatwoot's webhooks under our own names: `X-Chatalogue-Signature: sha256=` and the HMAC-SHA256
of `<timestamp>.<body>` with the secret of the address; `X-Chatalogue-Timestamp` in Unix seconds, older than five
minutes is a repeat by somebody else; `X-Chatalogue-Delivery` is the same whenever one delivery is sent again.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ssl
import time
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import httpx
import structlog

from agent.log.outbox import DueDelivery, Outbox
from agent.polling import poll
from agent.settings import WebhookSettings
from agent.webhooks.guard import Resolve, Target, address_of, target_of
from retrieval.errors import BadRequest

POLL_SECONDS: Final = 2.0
SEND_SECONDS: Final = 10.0
"""For one delivery, from the look-up of its name to the status line; well below `outbox.CLAIM_SECONDS`."""
AT_ONCE: Final = 8

_log = structlog.get_logger(__name__)


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """What `X-Chatalogue-Signature` says; a receiver compares it in constant time, over the body as it came."""
    signed = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    return f"sha256={signed.hexdigest()}"


class WebhookSender:
    """The deliveries of one database; any number of processes may send, each delivery belongs to one at a time."""

    def __init__(
        self,
        outbox: Outbox,
        settings: WebhookSettings,
        *,
        resolve: Resolve | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`resolve` and `transport` are the system's where they are not given."""
        self._outbox, self._settings = outbox, settings
        self._resolve, self._transport = resolve, transport

    async def run(self) -> None:
        """Send for ever; run as a task of the server."""
        await poll(self.send_due, POLL_SECONDS, "webhooks_not_sent")

    async def send_due(self) -> int:
        """Send what is due now, some at once; how many those were."""
        due = await asyncio.to_thread(self._outbox.claim, AT_ONCE)
        if due:
            # No proxy of the environment (it would look names up itself), no redirects, the system's authorities.
            client = httpx.AsyncClient(
                trust_env=False,
                follow_redirects=False,
                timeout=SEND_SECONDS,
                transport=self._transport,
                verify=ssl.create_default_context(),
            )
            async with client:
                sent = await asyncio.gather(*(self._send(client, delivery) for delivery in due), return_exceptions=True)
            for failed in sent:
                if failed is not None:  # each has had its turn
                    raise failed
        return len(due)

    async def _send(self, client: httpx.AsyncClient, delivery: DueDelivery) -> None:
        problem = await self._problem(client, delivery)
        if not problem:
            await asyncio.to_thread(self._outbox.delivered, delivery)
            _log.info("webhook_delivered", delivery=delivery.id, kind=delivery.kind, attempt=delivery.attempts)
            return
        state = await asyncio.to_thread(self._outbox.failed, delivery, problem)
        tell = _log.error if state == "dead" else _log.warning
        tell("webhook_failed", delivery=delivery.id, kind=delivery.kind, attempt=delivery.attempts, reason=problem)

    async def _problem(self, client: httpx.AsyncClient, delivery: DueDelivery) -> str:
        """Send it once; what went wrong in a few words, never those of the address or of its answer."""
        try:
            async with asyncio.timeout(SEND_SECONDS):
                target = target_of(delivery.url, self._settings)  # again: the lists may have changed
                address = await address_of(target, self._resolve)
                async with client.stream(
                    "POST",
                    _at(target, address),
                    content=delivery.body,
                    headers=_headers(target, delivery),
                    extensions={"sni_hostname": target.host},  # the certificate must be the host's, not the address's
                ) as response:
                    status = response.status_code
        except BadRequest as error:
            return str(error)
        except TimeoutError:
            return f"no answer in {SEND_SECONDS:.0f} s"
        except Exception as error:  # whatever it was: one that raised would be sent for ever, and fail the others
            return type(error).__name__
        if 300 <= status < 400:
            return f"HTTP {status}; redirects are not followed"
        return "" if 200 <= status < 300 else f"HTTP {status}"


def _headers(target: Target, delivery: DueDelivery) -> dict[str, str]:
    now = int(time.time())
    return {
        "Host": urlsplit(target.url).netloc,
        "Content-Type": "application/json",
        "User-Agent": "Chatalogue-Webhooks",
        "X-Chatalogue-Event": delivery.kind,
        "X-Chatalogue-Delivery": delivery.id,
        "X-Chatalogue-Timestamp": str(now),
        "X-Chatalogue-Signature": signature(delivery.secret, now, delivery.body),
    }


def _at(target: Target, address: str) -> str:
    """The address with its host's IP in the place of the name: nobody looks the name up a second time."""
    parts = urlsplit(target.url)
    host = f"[{address}]" if ":" in address else address
    return urlunsplit((parts.scheme, f"{host}:{target.port}", parts.path or "/", parts.query, ""))
