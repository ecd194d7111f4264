"""The server that the tests of this folder share, and the secrets that it must keep."""

from __future__ import annotations

from dataclasses import dataclass

from otlp_receiver import Collector

from tests.faults.served import Served

KEY = "sk-harbour-lantern-0042"  # a name that occurs nowhere else


@dataclass(frozen=True)
class Observed:
    """The running server, and where its traces go."""

    server: Served
    collector: Collector
