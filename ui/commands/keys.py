"""`chatalogue keys`: keys of the API, of the tenant that the settings name."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

import typer

from agent.api.auth import key_id_of
from agent.log.keys import KeyLimits, KeyStore, NewKey, Scope, StoredKey
from agent.log.opening import open_log
from agent.settings import Settings, load_settings
from retrieval.errors import BadRequest
from ui.commands.output import print_result
from ui.logs import configure_logs

LOCAL: Final = "local"
"""For `takes_over`: whoever came while the server had no keys; no id of a key, which are hex digits."""


@dataclass(frozen=True, slots=True)
class CreateCall:
    """`keys create` as it was called; `takes_over` is empty for none, `LOCAL` for those who needed no key."""

    team: str
    scopes: tuple[str, ...]
    days: float | None
    limits: KeyLimits
    takes_over: str
    as_json: bool
    config: Path | None


def run_create(call: CreateCall) -> None:
    """Make a key."""
    settings = load_settings(call.config).settings
    if call.takes_over not in ("", LOCAL):
        _check_known(settings, call.takes_over)
    scopes = cast("Sequence[Scope]", call.scopes)  # the store looks at them
    with _store(settings) as store:
        made = store.create(
            settings.tenant,
            call.team,
            scopes,
            days=call.days,
            limits=call.limits,
            takes_over="" if call.takes_over == LOCAL else call.takes_over or None,
        )
    _print_new(made, as_json=call.as_json)


def run_list(as_json: bool, config: Path | None) -> None:
    """Print what there is, without any secret."""
    settings = load_settings(config).settings
    with _store(settings) as store:
        keys = store.all(settings.tenant)
    if as_json:
        print_result(json.dumps([_told(key) for key in keys], indent=2))
        return
    print_result("\n".join(map(_line, keys)) or "There is no key yet; `chatalogue keys create TEAM` makes one.")


def run_rotate(key_id: str, grace_hours: float, as_json: bool, config: Path | None) -> None:
    """Make a successor."""
    settings = load_settings(config).settings
    with _store(settings) as store:
        made = store.rotate(settings.tenant, key_id, grace_hours=grace_hours)
    _print_new(made, as_json=as_json)
    typer.echo(f"The key {key_id} works for {grace_hours:g} more hours.", err=True)


def run_revoke(key_id: str, config: Path | None) -> None:
    """Refuse a key from now on."""
    settings = load_settings(config).settings
    with _store(settings) as store:
        key = store.revoke(settings.tenant, key_id)
    print_result(f"The key {key.id} of the team {key.team} is revoked; a running server refuses it within seconds.")


@contextmanager
def _store(settings: Settings) -> Iterator[KeyStore]:
    configure_logs(logging.WARNING)
    log = open_log(settings)
    try:
        yield KeyStore(log.database)
    finally:
        log.close()


def _check_known(settings: Settings, key_id: str) -> None:
    known = [key_id_of(key.get_secret_value()) for key in settings.server.api_keys]
    if key_id not in known:
        raise BadRequest(
            f"{key_id!r} is not the id of a key in the setting 'server.api_keys'"
            + (f"; those are {', '.join(known)}." if known else ", which is empty.")
        )


def _print_new(made: NewKey, *, as_json: bool) -> None:
    if as_json:
        print_result(json.dumps({"key": made.secret, **_told(made.key)}, indent=2))
        return
    print_result(made.secret)
    typer.echo(
        f"This is the only time that this key is shown. Its id is {made.key.id}; {_line(made.key)}",
        err=True,
    )


def _told(key: StoredKey) -> dict[str, Any]:
    def said(moment: datetime | None) -> str | None:
        return None if moment is None else moment.isoformat()

    return {
        "id": key.id,
        "tenant": key.tenant,
        "team": key.team,
        "scopes": list(key.scopes),
        "state": _state(key),
        "created_at": said(key.created_at),
        "expires_at": said(key.expires_at),
        "revoked_at": said(key.revoked_at),
        "last_used_at": said(key.last_used_at),
        "successor": key.successor,
        "requests_per_minute": key.limits.requests_per_minute,
        "turns_per_day": key.limits.turns_per_day,
        "streams": key.limits.streams,
    }


def _state(key: StoredKey) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if not key.is_live(datetime.now(UTC)):
        return "over"
    return "replaced" if key.successor else "live"


def _line(key: StoredKey) -> str:
    ends = f"until {key.expires_at:%Y-%m-%d %H:%M} UTC" if key.expires_at else "without an end"
    used = f"last used {key.last_used_at:%Y-%m-%d %H}h UTC" if key.last_used_at else "never used"
    return f"{key.id}  {key.team}  {','.join(key.scopes)}  {_state(key)}, {ends}, {used}"
