"""Run a command and print its cost as the last line of stdout: `python measured.py COMMAND ARGUMENT ...`.

A script of its own that imports next to nothing: Linux counts the memory of the process that forks
into the peak of its child, so whoever measures must be small.
"""

import json
import resource
import subprocess
import sys
import time

RSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in one unit of `ru_maxrss`."""


def main() -> int:
    """Run, measure, report; the exit code is the command's."""
    started = time.perf_counter()
    code = subprocess.call(sys.argv[1:])  # noqa: S603
    seconds = time.perf_counter() - started
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    cost = {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_rss_gib": round(usage.ru_maxrss * RSS_UNIT / 2**30, 3),
    }
    sys.stdout.write("\n" + json.dumps(cost) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
