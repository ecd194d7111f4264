"""compose.yaml as Compose reads it: variables put in, profiles chosen. Only what our file uses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "compose.yaml"
EXAMPLE = ROOT / "deploy" / "env.example"

FILLED = {"POSTGRES_PASSWORD": "p4ss/with@odd:signs", "CHATALOGUE_SERVER__API_KEYS": '["new key", "old key"]'}
"""A value for each variable that has to be set."""

_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?::([-?])([^}]*))?\})")

Service = Mapping[str, Any]


class Unset(Exception):
    """A variable that has to be set is not."""


def read(environment: Mapping[str, str]) -> dict[str, Any]:
    """The file with the variables of `environment`; raises `Unset` as Compose would refuse."""
    return _fill(_parsed(), environment)  # type: ignore[no-any-return]


@cache
def _parsed() -> Any:  # noqa: ANN401  YAML is anything
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


@cache
def services() -> Mapping[str, Service]:
    """All services by name, with `FILLED`."""
    return read(FILLED)["services"]  # type: ignore[no-any-return]


def variables() -> set[str]:
    """Every variable that the file can take from outside."""
    text = "\n".join(line.split(" #")[0] for line in FILE.read_text(encoding="utf-8").splitlines())
    plain = yaml.safe_load(text)
    secrets = {secret["environment"] for secret in plain["secrets"].values()}
    arguments = {name for one in plain["services"].values() for name in one.get("build", {}).get("args", {})}
    return {found[1] for found in _VARIABLE.findall(text) if found[1]} | secrets | arguments


def environment(service: Service) -> dict[str, str]:
    """A service's environment as its process gets it."""
    return {name: "" if value is None else str(value) for name, value in service.get("environment", {}).items()}


def words(service: Service, key: str) -> list[str]:
    """`entrypoint` or `command`, which stand as lists of words so that no shell is between."""
    given = service.get(key, [])
    assert isinstance(given, list), f"{key} is text, which Compose would hand to no shell but split"
    return [str(word) for word in given]


def mounts(service: Service) -> dict[str, tuple[str, bool]]:
    """By path inside: (volume name or file outside, whether it is read-only)."""
    parts = [str(volume).split(":") for volume in service.get("volumes", [])]
    return {part[1]: (part[0], part[2:] == ["ro"]) for part in parts}


def _fill(node: Any, environment: Mapping[str, str]) -> Any:  # noqa: ANN401  YAML is anything
    if isinstance(node, dict):
        return {key: _fill(value, environment) for key, value in node.items()}
    if isinstance(node, list):
        return [_fill(value, environment) for value in node]
    return _VARIABLE.sub(lambda found: _value(found, environment), node) if isinstance(node, str) else node


def _value(found: re.Match[str], environment: Mapping[str, str]) -> str:
    escaped, name, kind, rest = found.groups()
    if escaped:
        return "$"
    value = environment.get(name, "")
    if not value and kind == "?":
        raise Unset(f"{name}: {rest}")
    return value or (rest if kind == "-" else "")
