"""One tab of the page, as its script talks to Gradio's queue: enough to say something."""

from __future__ import annotations

import json
import uuid
from typing import Any

import httpx


class Tab:
    """A visitor with cookies of their own."""

    def __init__(self, address: str) -> None:
        self.http = httpx.Client(base_url=address, trust_env=False, timeout=60, headers={"origin": address})
        self.http.get("/").raise_for_status()
        self.config: dict[str, Any] = self.http.get("/config").json()
        self.session = uuid.uuid4().hex

    def say(self, text: str) -> str:
        """Send a message; the request id of its sending."""
        box = next(c["id"] for c in self.config["components"] if c["props"].get("elem_id") == "cg-box")
        dependency = next(d for d in self.config["dependencies"] if [box, "submit"] in d["targets"] and d["backend_fn"])
        values = {c["id"]: c["props"].get("value") for c in self.config["components"]} | {box: text}
        body = {
            "data": [values.get(i) for i in dependency["inputs"]],
            "event_data": None,
            "fn_index": dependency["id"],
            "trigger_id": box,
            "session_hash": self.session,
        }
        sent = self.http.post("/gradio_api/queue/join", json=body).raise_for_status()
        with self.http.stream("GET", "/gradio_api/queue/data", params={"session_hash": self.session}) as stream:
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    message = json.loads(line[5:])
                    if message["msg"] == "process_completed":
                        assert message["success"], message
                        return str(sent.headers["x-request-id"])
        raise AssertionError("the page's stream ended before the answer")
