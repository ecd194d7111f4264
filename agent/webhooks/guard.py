"""Which addresses webhooks may go to: hosts that the operator listed, at the addresses they have at that moment.

Whoever chooses an address could have this server call its neighbours, which trust it (SSRF). So a host must be listed
by name; what its name leads to must be public, each of its addresses; and the connection goes to the address that was
looked at, for a name may lead elsewhere a moment later (DNS rebinding). Hosts on one's own network are listed apart.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from agent.settings import WebhookSettings
from retrieval.errors import BadRequest

MAX_URL_CHARS: Final = 2000

_PORTS: Final = {"https": 443, "http": 80}
_PUBLIC_V6: Final = ipaddress.IPv6Network("2000::/3")

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port -> the IP addresses of that name."""


@dataclass(frozen=True, slots=True)
class Target:
    """An address that may be told. `is_private`: listed as one of the operator's own network."""

    url: str
    host: str
    port: int
    is_private: bool


def target_of(url: str, settings: WebhookSettings) -> Target:
    """Look at an address, without asking anybody for it.

    Raises:
        BadRequest: it is none, or its host is not listed.
    """
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        raise BadRequest("The webhook's address cannot be read; write https://host/path.") from None
    is_private = host in _names(settings.private_hosts)
    if not is_private and host not in _names(settings.hosts):
        raise BadRequest(
            f"Webhooks may not go to {host!r}; add it to CHATALOGUE_SERVER__WEBHOOKS__HOSTS (or PRIVATE_HOSTS, where "
            "it is on your own network)."
        )
    if parts.scheme != "https" and not (is_private and parts.scheme == "http"):
        raise BadRequest("The webhook's address must begin with https://; only private hosts may be told by http.")
    if not is_private and port != _PORTS["https"]:
        raise BadRequest("The webhook's address names a port; hosts that are not private are told at 443 alone.")
    if parts.username is not None or parts.password is not None or len(url) > MAX_URL_CHARS or not _is_plain(url):
        raise BadRequest(f"The webhook's address must be plain ASCII of {MAX_URL_CHARS} characters, without a user.")
    return Target(url, host, port, is_private)


async def address_of(target: Target, resolve: Resolve | None = None) -> str:
    """The IP address to connect to.

    Raises:
        BadRequest: the name leads nowhere, or to an address that is not public.
    """
    try:
        found = await (resolve or _resolve)(target.host, target.port)
    except (OSError, UnicodeError):  # the latter: a label of more than 63 characters
        found = ()
    if not found:
        raise BadRequest("the host has no address")
    if not target.is_private and not all(map(is_public, found)):
        raise BadRequest("the host leads to an address that is not public")
    return found[0]


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open Internet; those that wrap another one are not."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip not in _PUBLIC_V6 or ip.sixtofour is not None or ip.teredo is not None:
            return False
    return ip.is_global and not ip.is_multicast


async def _resolve(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def _names(hosts: Sequence[str]) -> frozenset[str]:
    return frozenset(host.lower().rstrip(".").strip("[]") for host in hosts)


def _is_plain(url: str) -> bool:
    return url.isascii() and url.isprintable() and " " not in url and "\\" not in url
