"""Where a word stands on the disk, whatever file it is in and however it is written there."""

from __future__ import annotations

import base64
import gzip
import io
import json
import urllib.parse
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path


def found_in(folder: Path, words: Iterable[str]) -> dict[str, set[str]]:
    """For each word that is there: the files that have it; SQLite's free pages and write-ahead logs are files, too."""
    forms = {word: list(forms_of(word)) for word in words}
    found: dict[str, set[str]] = {}
    for file in folder.rglob("*"):
        if file.is_file():
            for content in contents(file.read_bytes()):
                for word in _in(content, forms):
                    found.setdefault(word, set()).add(str(file.relative_to(folder)))
    return found


def forms_of(word: str) -> Iterator[bytes]:
    """The word as files have it: two widths of letters, JSON with escapes, percent-coded, in hex."""
    raw = word.encode()
    yield from (raw, word.encode("utf-16-le"), word.encode("utf-16-be"))
    yield json.dumps(word)[1:-1].encode()
    yield urllib.parse.quote(word).encode()
    yield raw.hex().encode()
    coded = base64.b64encode(raw).rstrip(b"=")
    yield coded[: len(coded) // 4 * 4]


def contents(data: bytes) -> Iterator[bytes]:
    """The bytes, and what is packed in them: gzip, zip (npz), zlib."""
    yield data
    if data[:2] == b"\x1f\x8b":
        yield from contents(gzip.decompress(data))
    elif data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield name.encode()
                yield from contents(archive.read(name))
    elif data[:2] in (b"\x78\x9c", b"\x78\x01", b"\x78\xda"):
        try:
            yield from contents(zlib.decompress(data))
        except zlib.error:
            return


def _in(content: bytes, forms: Mapping[str, list[bytes]]) -> Iterator[str]:
    for word, written in forms.items():
        if any(one in content for one in written):
            yield word
