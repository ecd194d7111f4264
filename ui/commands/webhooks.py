"""`chatalogue webhooks`: where events of the tenant that the settings name are sent, and what did not arrive."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, cast, get_args

import typer

from agent.log.opening import open_log
from agent.log.outbox import WEBHOOK_KINDS, DeliveryState, Outbox, WebhookKind
from agent.settings import Settings, load_settings
from agent.webhooks.guard import target_of
from retrieval.errors import BadRequest
from ui.commands.output import print_result
from ui.logs import configure_logs

_MARK: Final = "whsec_"  # what scanners of repositories look for


def run_add(url: str, kinds: Sequence[str], as_json: bool, config: Path | None) -> None:
    """Tell `url` from now on; () are all kinds."""
    settings = load_settings(config).settings
    target = target_of(url, settings.server.webhooks)
    wrong = [kind for kind in kinds if kind not in WEBHOOK_KINDS]
    if wrong:
        raise BadRequest(f"{wrong[0]!r} is no kind of event; there are {', '.join(WEBHOOK_KINDS)}.")
    secret = _MARK + secrets.token_urlsafe(32)
    wanted = cast("Sequence[WebhookKind]", kinds or WEBHOOK_KINDS)
    with _outbox(settings) as outbox:
        made = outbox.add_endpoint(settings.tenant, url, target.host, secret, wanted)
    if as_json:
        print_result(json.dumps({"secret": secret, **_told(made)}, indent=2))
        return
    print_result(secret)
    typer.echo(
        f"This is the only time that this secret is shown; it signs what the webhook {made.id} is told.", err=True
    )


def run_list(as_json: bool, config: Path | None) -> None:
    """Print the addresses' hosts."""
    settings = load_settings(config).settings
    with _outbox(settings) as outbox:
        found = outbox.endpoints(settings.tenant)
    if as_json:
        print_result(json.dumps([_told(one) for one in found], indent=2))
        return
    lines = [f"{one.id}  {one.host}  {','.join(one.kinds)}  since {one.created_at:%Y-%m-%d}" for one in found]
    print_result("\n".join(lines) or "Nothing is told; `chatalogue webhooks add URL` adds an address.")


def run_remove(endpoint_id: str, config: Path | None) -> None:
    """Tell an address nothing more."""
    settings = load_settings(config).settings
    with _outbox(settings) as outbox:
        outbox.remove_endpoint(settings.tenant, endpoint_id)
    print_result(f"The webhook {endpoint_id} is told nothing more.")


def run_deliveries(state: str, as_json: bool, config: Path | None) -> None:
    """Print deliveries of one state."""
    if state not in get_args(DeliveryState):
        raise BadRequest(f"{state!r} is no state; there are {', '.join(get_args(DeliveryState))}.")
    settings = load_settings(config).settings
    with _outbox(settings) as outbox:
        found = outbox.deliveries(settings.tenant, cast("DeliveryState", state))
    if as_json:
        print_result(json.dumps([_told(one) for one in found], indent=2))
        return
    lines = [
        f"{one.id}  {one.kind}  to {one.host}  {one.attempts} attempts  {one.last_problem or ''}".rstrip()
        for one in found
    ]
    print_result("\n".join(lines) or f"No delivery is {state}.")


def run_retry(delivery_id: str, config: Path | None) -> None:
    """Try a dead delivery again."""
    settings = load_settings(config).settings
    with _outbox(settings) as outbox:
        outbox.retry(settings.tenant, delivery_id)
    print_result(f"The delivery {delivery_id} is sent again by the running server.")


@contextmanager
def _outbox(settings: Settings) -> Iterator[Outbox]:
    configure_logs(logging.WARNING)
    log = open_log(settings)
    try:
        yield Outbox(log.database)
    finally:
        log.close()


def _told(one: Any) -> dict[str, Any]:  # noqa: ANN401 - any of our dataclasses
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in asdict(one).items()}
