"""The API over real parts: the 30 films, the real conversation and log, the language model switched off."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fastapi import FastAPI
from pydantic import SecretStr
from talking import keeper_of

from agent.api.app import create_api
from agent.conversation import Conversations
from agent.health import PartsHealth
from agent.llm.off import NoEngine
from agent.log.store import EventLog
from agent.observe.chat import ObservedChat
from agent.observe.observer import Observer
from agent.services import Services
from agent.settings import ServerSettings, Settings
from agent.shop import Shop
from agent.support.handoff.keeping import Handoffs
from agent.support.handoff.part import HandoffPart
from agent.support.helpdesk import HelpDesk

KEY, AGENT_KEY = "a-key-of-the-shop", "a-key-of-its-team"
BEARER = {"Authorization": f"Bearer {KEY}"}


def real_services(
    shop: Shop, log: EventLog, folder: Path, *keys: str, also: Mapping[str, Shop] | None = None, **more: object
) -> Services:
    """What `chatalogue serve` would give the API; without keys everybody on this machine may ask.

    `also` are the open shops of other tenants.
    """
    secrets = {
        "api_keys": tuple(SecretStr(key) for key in keys if key != AGENT_KEY),
        "agent_keys": tuple(SecretStr(key) for key in keys if key == AGENT_KEY),
    }
    settings = Settings(data_dir=folder, server=ServerSettings(**secrets), **more)  # type: ignore[arg-type]  # as given
    engine, observer = NoEngine(), Observer()
    shops = keeper_of(shop, log, folder, settings.tenant)
    shops._shops.update(also or {})
    handoffs = Handoffs(log, settings, None)
    talks = Conversations(settings, log, shops, engine, desk=HelpDesk((HandoffPart(handoffs),)))
    health = PartsHealth(settings.tenant, shops, log, engine)
    return Services(
        settings, ObservedChat(talks, observer), health, log, engine, observer, shops.current,
        handoffs=handoffs, again=talks.again,
    )  # fmt: skip


def real_app(shop: Shop, log: EventLog, folder: Path, *keys: str) -> FastAPI:
    return create_api(real_services(shop, log, folder, *keys))
