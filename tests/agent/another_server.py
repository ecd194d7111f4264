"""A second app process for the tests: answers in conversations of the database that it is given, as it is told.

    another_server.py <database URL or ""> <data directory> <lease seconds> <renewal seconds>

Reads lines from its input: `say <session> <tab-separated messages>` says them all at once and prints `done`; `hold
<session>` begins a turn whose model never speaks and prints `holding`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from small_shop import HashingEncoder, read_films
from talking import ScriptedEngine, Talk, talk_over

from agent import turnlocks
from agent.log import leases
from agent.log.store import EventLog
from agent.shop import open_shop
from retrieval.index import build_index


def main() -> None:
    url, data_dir = sys.argv[1], Path(sys.argv[2])
    leases.LEASE_SECONDS, turnlocks.RENEW_SECONDS = float(sys.argv[3]), float(sys.argv[4])
    turnlocks.WAIT_SECONDS = 300.0  # ten turns on a busy machine
    with tempfile.TemporaryDirectory() as folder:
        encoder = HashingEncoder()
        shop = open_shop(build_index(read_films(), Path(folder) / "index", encoder), encoder, None)
        log = EventLog.open(url, data_dir)
        _say("ready")
        for line in sys.stdin:
            command, session_id, *messages = line.rstrip("\n").replace(" ", "\t", 2).split("\t")
            engine = ScriptedEngine(" is one to see.", gate=asyncio.Event() if command == "hold" else None)
            talk = talk_over(shop, log, Path(folder), engine)
            asyncio.run(_hold(talk, engine, session_id) if command == "hold" else _all(talk, session_id, messages))
            _say("done")


async def _all(talk: Talk, session_id: str, messages: list[str]) -> None:
    await asyncio.gather(*(Talk(talk.chat, talk.log, session_id=session_id).say(message) for message in messages))


async def _hold(talk: Talk, engine: ScriptedEngine, session_id: str) -> None:
    talk.session_id = session_id
    turn = asyncio.create_task(talk.say("a comedy"))
    while not engine.prompts:
        assert not turn.done()
        await asyncio.sleep(0.01)
    _say("holding")
    await turn


def _say(word: str) -> None:
    os.write(1, f"{word}\n".encode())


if __name__ == "__main__":
    main()
