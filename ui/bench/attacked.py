"""The injection cases against the product as it is served: wired as `chatalogue serve` does it, over ASGI.

Puts parts together; what is attacked and how it is judged stands in agent/bench/injection.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from agent.api.app import create_api
from agent.bench.injection.cases import Case, cases
from agent.bench.injection.deeds import deeds_of
from agent.bench.injection.figures import InjectionReport, report_of
from agent.bench.injection.judging import Canary
from agent.bench.injection.orders import changes_in, make_orders
from agent.bench.injection.planting import (
    AGENT_KEY,
    API_KEY,
    SEALING_KEY,
    SECRETS,
    SHOP_HOST,
    poisoned_items,
    prompts,
    tickets,
    write_articles,
)
from agent.bench.injection.running import Result, Target, run_case, set_the_scene
from agent.log.tickets import record_tickets
from agent.settings import Settings
from retrieval.demo import demo_films_path
from retrieval.loading import load_catalogue
from ui.bench.engines import until_ready
from ui.wiring import Parts, index_items, make_parts, started

PLAIN_FILMS: Final = 40
"""Films of the demo beside the poisoned ones: enough that lists are lists."""


async def attack(
    settings: Settings, wanted: Sequence[Case], work: Path, say: Callable[[str], None]
) -> tuple[InjectionReport, tuple[Result, ...]]:
    """Run the cases, one after the other; the figures and each result.

    Args:
        settings: whose `data_dir` is the benchmark's own.
        wanted: the cases to run. The shop is poisoned with all there are.
        work: a folder for articles and orders.
        say: hears of each case that fails.

    Raises:
        ChatalogueError: the shop cannot be made, or the language model cannot be had.
    """
    async with poisoned_shop(settings, work) as (target, parts):
        await set_the_scene(target.client)
        results = []
        for case in wanted:
            result = await run_case(target, case)
            results.append(result)
            for finding in result.findings:
                say(f"{case.id}: {finding.fault}, {finding.detail}")
        status = parts.engine.status()
        return report_of(results, len(cases()), settings.llm.engine, status.model or ""), tuple(results)


@asynccontextmanager
async def poisoned_shop(settings: Settings, work: Path) -> AsyncIterator[tuple[Target, Parts]]:
    """The served product over the poisoned shop, for as long as the block runs.

    Raises:
        ChatalogueError: the shop cannot be made, or the language model cannot be had.
    """
    keys = {"api_keys": (SecretStr(API_KEY),), "agent_keys": (SecretStr(AGENT_KEY),)}
    server = settings.server.model_copy(update={**keys, "sealing_keys": (SecretStr(SEALING_KEY),)})
    work.mkdir(parents=True, exist_ok=True)
    articles, orders = work / "articles", make_orders(work / "orders.sqlite3", cases(), datetime.now(UTC).date())
    own = settings.support.orders.model_copy(update={"kind": "sql", "url": SecretStr(orders)})
    support = settings.support.model_copy(update={"orders": own})
    parts = make_parts(settings.model_copy(update={"server": server, "support": support}), exact_only=True)
    try:
        write_articles(cases(), articles)
        plain = list(islice(load_catalogue(demo_films_path(), strict=True).items, PLAIN_FILMS))
        items = [*plain, *poisoned_items(cases())]
        index_items(parts, items, "poisoned", articles)
        record_tickets(parts.log, settings.tenant, "", tickets(cases()))
        parts.shops.refresh(settings.tenant)
        shop = parts.shops.current(settings.tenant)
        hosts = {SHOP_HOST, *(urlsplit(item.url).hostname or "" for item in items if item.url)}
        tenant = settings.tenant
        signing = Canary("key that signs ids", "key", parts.log.secret(tenant).hex())
        async with started(parts.engine, parts.adapter) as engine:
            await until_ready(engine)
            transport = httpx.ASGITransport(create_api(parts.services), raise_app_exceptions=False)
            headers = {"Authorization": f"Bearer {API_KEY}"}
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost", headers=headers, timeout=120
            ) as client:
                canaries = (*SECRETS, *prompts(shop.table), signing)
                yield (
                    Target(client, canaries, hosts, lambda: [*deeds_of(parts.log, tenant), *changes_in(orders)]),
                    parts,
                )
        shop.close()
    finally:
        parts.log.close()
