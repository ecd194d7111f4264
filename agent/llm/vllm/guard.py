"""Runs a command for the app and ends it, with all its processes, when the app is gone.

A file of its own that imports nothing of ours: it is started as a program, `python guard.py SECONDS COMMAND ...`.
The app holds the other end of standard input; when that closes, however the app ended, the command is stopped.
vLLM is three processes, and a killed parent would leave the one with the model behind.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time

POLL_SECONDS = 0.2


def main(grace_s: float, command: list[str]) -> int:
    """Wait for the command or for the end of the app; the command's exit code."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # The app alone decides. A handler and not SIG_IGN, which the command would inherit.
        signal.signal(signum, lambda *_: None)
    # A group of its own, so that nothing of it survives.
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603
    while child.poll() is None and not select.select([sys.stdin], [], [], POLL_SECONDS)[0]:
        pass
    deadline = time.monotonic() + grace_s
    if child.poll() is None:
        child.terminate()
    while child.poll() is None and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS / 4)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    return child.wait()


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]) & 0xFF)
