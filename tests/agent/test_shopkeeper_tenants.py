"""One server looks after the catalogues of every tenant that has a key."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent import shopkeeper
from agent.datadir import DataDirectory
from agent.log.keys import KeyStore
from agent.log.store import EventLog
from agent.shopkeeper import ShopKeeper
from retrieval.errors import DataDirectoryError


class Looking(ShopKeeper):
    """Notes whose catalogue is looked at; that of the tenant `broken` cannot be opened in a way nobody foresaw."""

    looked: list[str]

    def refresh(self, tenant: str) -> None:
        self.looked.append(tenant)
        if tenant == "broken":
            raise RuntimeError


async def test_every_tenant_with_a_live_key_is_looked_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shopkeeper, "POLL_SECONDS", 0.01)
    log = EventLog.open(None, tmp_path)
    keys, shops = KeyStore(log.database), Looking(DataDirectory(tmp_path), log, None)  # type: ignore[arg-type]
    shops.looked = []
    for tenant in ("broken", "second", "second", "default"):
        keys.create(tenant, "shop", ["chat"])
    ended = keys.create("third", "shop", ["chat"]).key
    keys.revoke("third", ended.id)
    away = False

    def others() -> tuple[str, ...]:
        if away:
            raise DataDirectoryError("The database is away.")
        return keys.tenants()

    watching = asyncio.create_task(shops.watch("default", others))
    try:
        while shops.looked.count("default") < 3:
            await asyncio.sleep(0.01)
        assert set(shops.looked) == {"default", "broken", "second"}
        assert shops.looked[:3].count("default") == 1
        away, shops.looked = True, []
        while shops.looked.count("default") < 3:
            await asyncio.sleep(0.01)
        assert set(shops.looked[2:]) <= {"default", "broken", "second"}
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        log.close()
