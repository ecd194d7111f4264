"""The wall clock is set back by an hour, and forward by a day, under a running server."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from served import Served, StartServer, assert_logged, assert_whole, wait_for

from tests.parts import missing

HOUR = 3_600
DAY = 86_400


SHIM = r"""
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile long *offset;

__attribute__((constructor)) static void open_offset(void) {
  int file = open(getenv("CLOCK_OFFSET_FILE"), O_RDONLY);
  offset = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
  close(file);
}
int clock_gettime(clockid_t clock, struct timespec *now) {
  int failed = syscall(SYS_clock_gettime, clock, now);
  if (!failed && offset && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += *offset;
  return failed;
}
int gettimeofday(struct timeval *now, void *zone) {
  struct timespec exact;
  int failed = clock_gettime(CLOCK_REALTIME, &exact);
  now->tv_sec = exact.tv_sec;
  now->tv_usec = exact.tv_nsec / 1000;
  return failed;
}
time_t time(time_t *copy) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (copy) *copy = now.tv_sec;
  return now.tv_sec;
}
"""
"""What an operator's `date --set` does to one process alone: its wall clock jumps, its monotonic clock does not.

Not libfaketime: with the monotonic clock left alone, its version 0.9.10 makes Python's `time.sleep` fail (EINVAL).
"""


class Clock:
    """The wall clock of one process, so many seconds from the true time."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            missing("a C compiler (cc) is not installed")
        self._file, self._library = folder / "offset", folder / "clock.so"
        self.set_off(0)
        source = folder / "clock.c"
        source.write_text(SHIM, encoding="utf-8")
        command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(self._library), str(source)]
        subprocess.run(command, check=True)  # noqa: S603

    def set_off(self, seconds: int) -> None:
        """From now on; written in place, for the process looks into this very file."""
        with os.fdopen(os.open(self._file, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(struct.pack("q", seconds))

    @property
    def environment(self) -> dict[str, str]:
        """For the process whose clock it is."""
        return {"LD_PRELOAD": str(self._library), "CLOCK_OFFSET_FILE": str(self._file)}


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    return Clock(tmp_path_factory.mktemp("clock"))


@pytest.fixture(scope="module")
def server(clock: Clock, start: StartServer, data: Path) -> Served:
    served = start(data, **clock.environment)
    served.wait_ready()
    return served


def written_at(server: Served) -> datetime:
    """When the server thinks that it is now."""
    said = server.say("a funny film")
    return datetime.fromisoformat(server.turns(said.session_id)[0]["created_at"])


@pytest.mark.parametrize("jump", [-HOUR, DAY])
def test_a_conversation_goes_on_when_the_clock_jumps(server: Served, clock: Clock, jump: int) -> None:
    clock.set_off(0)
    true_now = written_at(server)
    messages = ["a funny film", "an older one", "a heist film", "a war film"]
    answers = [server.say(messages[0])]
    session = answers[0].session_id
    answers.append(server.say(messages[1], session=session))
    clock.set_off(jump)
    wait_for(
        lambda: abs(written_at(server) - true_now - timedelta(seconds=jump)) < timedelta(seconds=HOUR // 2),
        "the server sees the other time",
    )
    answers += [server.say(message, session=session) for message in messages[2:]]
    for said in answers:
        assert said.done, said
        assert all(ms is None or ms >= 0 for ms in said.last["timings_ms"].values())
        assert said.seconds < HOUR / 60
    assert_whole(answers[0])
    assert_whole(answers[3])
    assert_logged(server, *answers)
    turns = server.turns(session)
    assert [turn["message"] for turn in turns] == messages
    assert [turn["number"] for turn in turns] == [1, 2, 3, 4]
    times = [datetime.fromisoformat(turn["created_at"]) for turn in turns]
    assert (times[2] < times[1]) == (jump < 0)  # it was the server's clock that jumped
    body = {"turn_id": answers[0].turn_id, "kind": "thumb_up"}  # ids from the other time are still ours
    assert server.http.post("/v1/feedback", json=body).json()["stored"] is True
    assert server.state() == "degraded"
    assert server.metric("chatalogue_turn_seconds_sum") >= 0
    assert server.metric("chatalogue_failed_turns_total") == 0
    assert "Traceback" not in server.logged()
