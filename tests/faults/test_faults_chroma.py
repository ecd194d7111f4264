"""The Chroma server gone and hanging under a running server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from served import FILMS, Said, Served, StartServer, assert_logged, assert_whole, run_command, wait_for

from agent.messages import messages
from tests.chroma_process import ChromaProcess

MESSAGES = ["a funny film", "a heist film", "something about war"]
TOLD = messages("en").text("reply.search_degraded")


@pytest.fixture(scope="module")
def chroma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromaProcess]:
    with ChromaProcess(tmp_path_factory.mktemp("chroma")) as server:
        yield server


@pytest.fixture(scope="module")
def server(chroma: ChromaProcess, start: StartServer, tmp_path_factory: pytest.TempPathFactory) -> Served:
    data = tmp_path_factory.mktemp("data") / "var"
    settings = {"CHATALOGUE_RETRIEVAL__CHROMA_URL": chroma.url, "CHATALOGUE_CHAT__EXPLORATION": "0"}
    done = run_command(data, "index", str(FILMS), settings=settings)
    assert done.returncode == 0, done.stderr
    served = start(data, **settings)
    served.wait_ready()
    wait_for(lambda: served.part("index")["state"] == "ok", "the Chroma server is in use")
    return served


@pytest.mark.parametrize("fault", ["gone", "hanging"])
def test_without_chroma_the_same_items_are_found(server: Served, chroma: ChromaProcess, fault: str) -> None:
    before = answered_by_chroma(server)
    if fault == "gone":
        chroma.kill()
    else:
        chroma.hang()
    try:
        during = [server.say(message) for message in MESSAGES]
        part = server.part("index")
        readiness = server.readiness()
        degraded = server.metric("chatalogue_index_degraded")
    finally:
        if fault == "gone":
            chroma.start()
        else:
            chroma.go_on()
    assert part["state"] == "degraded"
    assert "Chroma server" in part["detail"]
    assert (readiness["http"], readiness["status"]) == (200, "degraded")
    assert degraded == 1
    after = answered_by_chroma(server)
    for said in (*before, *during, *after):
        assert_whole(said)
    assert_logged(server, *before, *during, *after)
    assert [TOLD in said.text for said in (*before, *during, *after)] == [False] * 3 + [True] * 3 + [False] * 3
    assert items_of(during) == items_of(before) == items_of(after)


def answered_by_chroma(server: Served) -> list[Said]:
    """Answers with the Chroma server in use; a machine that pauses for a second makes it look gone, so they wait."""
    answers: list[Said] = []

    def is_in_use() -> bool:
        if server.part("index")["state"] != "ok":
            return False
        answers[:] = [server.say(message) for message in MESSAGES]
        return not any(TOLD in said.text for said in answers) and server.metric("chatalogue_index_degraded") == 0

    wait_for(is_in_use, "the Chroma server is in use")
    return answers


def items_of(answers: list[Said]) -> list[list[str]]:
    return [[item["id"] for item in said.last["items"]] for said in answers]
