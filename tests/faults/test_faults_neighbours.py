"""Other programs on the directory of a running server, its memory over many turns, and Ctrl-C."""

from __future__ import annotations

import signal
from pathlib import Path

from served import (
    FILMS,
    Served,
    assert_kept,
    assert_logged,
    assert_whole,
    children,
    is_running,
    run_command,
    wait_for,
)

from tests.ports import free_port

WARM_TURNS, TURNS = 50, 200
GROWTH_MIB = 40
"""What the process may grow by over `TURNS` after the first `WARM_TURNS`: less than 0.2 MiB a turn."""


def test_a_second_server_is_refused_and_the_first_unharmed(server: Served) -> None:
    before = server.say("a funny film")
    done = run_command(server.data, "serve", "--port", str(free_port()))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith(f"chatalogue: Another server (process {server.process.pid}) is using")
    after = server.say("a heist film", session=before.session_id)
    assert_whole(after)
    assert_logged(server, before, after)
    assert server.state() == "degraded"


def test_the_terminal_chat_works_beside_a_server(server: Served) -> None:
    done = run_command(server.data, "chat", stdin="a funny film\n/quit\n")
    assert done.returncode == 0, done.stderr
    assert "1. " in done.stdout
    assert_whole(server.say("a funny film"))


def test_a_server_moves_over_to_a_catalogue_that_is_indexed_beside_it(server: Served, tmp_path: Path) -> None:
    smaller = tmp_path / "smaller.jsonl"
    smaller.write_text(FILMS.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
    done = run_command(server.data, "index", str(smaller))
    assert done.returncode == 0, done.stderr
    said = [server.say("any film")]

    def has_moved() -> bool:
        said.append(server.say("any film"))
        return len(said[-1].last["items"]) == 1

    wait_for(has_moved, "the one film of the new catalogue")
    for one in said:
        assert_whole(one)
    assert_logged(server, *said)
    assert server.state() == "degraded"


def test_memory_does_not_grow_with_the_turns(server: Served) -> None:
    session = server.say("a funny film").session_id
    for _ in range(WARM_TURNS):
        server.say("a funny film", session=session)
    warm = memory_mib(server)
    for n in range(TURNS):
        assert server.say("a funny film", session=session if n % 2 else None).done
    assert memory_mib(server) - warm < GROWTH_MIB


def test_ctrl_c_ends_the_server_in_order(server: Served) -> None:
    said = server.say("a funny film")
    left = children(server.process.pid)
    server.signal(signal.SIGINT)
    assert server.wait_end() == 130
    wait_for(lambda: not any(map(is_running, left)), "what it started ends with it")
    assert_kept(server.data, said)
    assert "Traceback" not in server.logged()


def memory_mib(server: Served) -> float:
    """Resident memory of the server's own process."""
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="utf-8")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024
