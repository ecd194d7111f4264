"""Links, pictures and tags that strangers' words would put into a reply: they become plain words.

Titles, item texts, articles and what customers said stand in replies as they are, and many clients draw Markdown and
HTML: a picture's address alone tells a stranger what was talked about. The shop's own links stay, and those of
words that the operator wants said as they are (`hosts_in`). Knows nothing of where the words are from.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from urllib.parse import urlsplit

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]{1,20}):/{1,3}([^\s<>()\[\]\"'`]+)", re.IGNORECASE)
_TARGET = re.compile(r"(!?)\[([^\[\]]*)\]\(\s*<?([^)\s>]*)[^)]*\)")
_TAG = re.compile(r"<(?=[a-zA-Z/!?])")
_BARE = re.compile(r"\bwww\.(?=\w)[\w-]+(?:\.[\w-]+)*", re.IGNORECASE)
_LEFT = re.compile(r"!?\[([^\[\]]*)\](?=[(:])")
"""Half a link that the end of a quote cut off, or one that names its address elsewhere."""


def hosts_of(addresses: Iterable[str | None]) -> frozenset[str]:
    """The hosts of the addresses that have one."""
    found = set()
    for address in addresses:
        try:
            found.add(urlsplit(address or "").hostname or "")
        except ValueError:  # no address at all
            continue
    return frozenset(found - {""})


def hosts_in(text: str) -> frozenset[str]:
    """The hosts that `text` leads to, with a scheme or without one."""
    bare = (f"https://{found[0]}" for found in _BARE.finditer(text))
    return hosts_of([*(found[0] for found in _ADDRESS.finditer(text)), *bare])


def tamed(text: str, own: Collection[str]) -> str:
    """`text` without tags and pictures, and with links to the hosts `own` alone; other addresses lose their scheme."""
    if not any(sign in text for sign in ("<", "](", "://", ":/", "]:", "www.", "WWW.")):
        return text
    text = _TARGET.sub(lambda link: _link(link, own), text)
    kept = [link.span() for link in _TARGET.finditer(text)]
    text = _LEFT.sub(lambda link: link[0] if _inside(link.start(), kept) else f"{link[1]} ", text)
    text = _ADDRESS.sub(lambda found: found[0] if _host(found[0]) in own else found[2], text)
    return _BARE.sub(lambda found: found[0] if found[0].lower() in own else found[0][4:], _TAG.sub("‹", text))


def _link(link: re.Match[str], own: Collection[str]) -> str:
    picture, words, target = link.groups()
    if not picture and _host(target) in own:
        return f"[{words}]({target})"
    return f"{words} ({target})" if target else words


def _inside(at: int, spans: Iterable[tuple[int, int]]) -> bool:
    return any(start <= at < end for start, end in spans)


def _host(address: str) -> str:
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    return (parts.hostname or "") if parts.scheme in ("http", "https") else ""
