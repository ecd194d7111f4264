"""A server that learns by itself, and is stopped in the middle of it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from served import Served, StartServer, children, command_line, is_running, wait_for

from agent.datadir import DataDirectory
from agent.log.store import EventLog


def jobs(server: Served) -> list[int]:
    return [pid for pid in children(server.process.pid) if " learn --json " in command_line(pid)]


def test_a_scheduled_job_begins_with_the_server_and_ends_with_it(
    start: StartServer, data: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.toml"
    os.mkfifo(recipe)  # the job waits here for words that never come: it is in the middle on a quick machine, too
    events = EventLog.open(None, data)
    events.record_consent("default", "", "somebody", consent=True)  # else there is nothing to look at
    events.close()
    server = start(data, CHATALOGUE_LEARNING__EVERY="24h", CHATALOGUE_LEARNING__RECIPE=str(recipe))
    server.wait_ready()
    wait_for(lambda: bool(jobs(server)), "a job has begun")
    parts = {part["name"]: part["state"] for part in server.http.get("/readyz").json()["parts"]}
    assert parts["learning"] == "ok"
    counted = text_string_to_metric_families(server.http.get("/metrics").text)
    assert {one.name for one in counted} >= {"chatalogue_learning_jobs"}
    (job,) = jobs(server)
    assert server.say("a comedy").done, "customers are served meanwhile"
    server.signal(signal.SIGTERM)
    assert server.wait_end() == 0
    assert not is_running(job)
    with DataDirectory(data).job_lock("default"):
        pass
