"""`chatalogue keys ...` and `chatalogue webhooks ...`. Only light imports here; each command imports what it needs."""

from __future__ import annotations

from typing import Annotated

import typer

from ui.cli_options import ConfigOption, JsonOption

keys_app = typer.Typer(help="Keys of the API, for each team its own.", no_args_is_help=True)
webhooks_app = typer.Typer(help="Where events of this shop are sent.", no_args_is_help=True)


@keys_app.command("create")
def keys_create(
    team: Annotated[str, typer.Argument(help="Whose it is: small letters, digits, - and _.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="chat, feedback, users, sessions, handoff or admin; may be given again. Default: chat."),
    ] = None,
    days: Annotated[float | None, typer.Option(help="Until it ends; default: never.")] = None,
    per_minute: Annotated[int | None, typer.Option(min=0, help="Requests a minute; 0: no limit.")] = None,
    turns: Annotated[int | None, typer.Option(min=0, help="Messages a day; 0: no limit.")] = None,
    streams: Annotated[int | None, typer.Option(min=0, help="Answers at the same time; 0: no limit.")] = None,
    takes_over: Annotated[
        str,
        typer.Option(
            metavar="KEY_ID",
            help="Key of the settings whose customers the new team has from now on; 'local': of those without a key.",
        ),
    ] = "",
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make a key and print it, once; a running server takes it within seconds."""
    from agent.log.keys import KeyLimits
    from ui.commands.keys import CreateCall, run_create

    limits = KeyLimits(per_minute, turns, streams)
    run_create(CreateCall(team, tuple(scope or ("chat",)), days, limits, takes_over, as_json, config))


@keys_app.command("list")
def keys_list(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Print every key but the secrets: team, scopes, when it ends, when it was used last."""
    from ui.commands.keys import run_list

    run_list(as_json, config)


@keys_app.command("rotate")
def keys_rotate(
    key: Annotated[str, typer.Argument(metavar="KEY_ID", help="From `keys list`.")],
    grace: Annotated[float, typer.Option(min=0, help="Hours that the old key still works.")] = 24.0,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make a key's successor and print it, once; the old one works on for a while."""
    from ui.commands.keys import run_rotate

    run_rotate(key, grace, as_json, config)


@keys_app.command("revoke")
def keys_revoke(
    key: Annotated[str, typer.Argument(metavar="KEY_ID", help="From `keys list`.")],
    config: ConfigOption = None,
) -> None:
    """Refuse a key for good; a running server does so within five seconds."""
    from ui.commands.keys import run_revoke

    run_revoke(key, config)


@webhooks_app.command("add")
def webhooks_add(
    url: Annotated[str, typer.Argument(help="https, on a host of the setting server.webhooks.hosts.")],
    kind: Annotated[
        list[str] | None, typer.Option(help="handoff.requested, feedback.stored ...; may be given again. Default: all.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Send events to an address, and print the secret that signs them, once."""
    from ui.commands.webhooks import run_add

    run_add(url, tuple(kind or ()), as_json, config)


@webhooks_app.command("list")
def webhooks_list(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Print where events are sent."""
    from ui.commands.webhooks import run_list

    run_list(as_json, config)


@webhooks_app.command("remove")
def webhooks_remove(
    webhook: Annotated[str, typer.Argument(metavar="ID", help="From `webhooks list`.")],
    config: ConfigOption = None,
) -> None:
    """Send nothing more to an address; what waits to be sent there is dropped."""
    from ui.commands.webhooks import run_remove

    run_remove(webhook, config)


@webhooks_app.command("deliveries")
def webhooks_deliveries(
    state: Annotated[str, typer.Option(help="dead, pending, delivered or erased.")] = "dead",
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Print deliveries without their words, the newest first."""
    from ui.commands.webhooks import run_deliveries

    run_deliveries(state, as_json, config)


@webhooks_app.command("retry")
def webhooks_retry(
    delivery: Annotated[str, typer.Argument(metavar="ID", help="From `webhooks deliveries`.")],
    config: ConfigOption = None,
) -> None:
    """Try a dead delivery again."""
    from ui.commands.webhooks import run_retry

    run_retry(delivery, config)
