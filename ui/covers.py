"""`/covers/<item id>.svg`: the drawn cover of any item, for clients that want a picture."""

from __future__ import annotations

from fastapi import FastAPI, Response

from agent.answer import shown_item
from agent.shopkeeper import ShopKeeper
from retrieval.errors import ChatalogueError
from ui.cards import cover_of

HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'", "Cache-Control": "max-age=3600"}


def add_covers(app: FastAPI, shops: ShopKeeper, tenant: str) -> None:
    """Add the route; 404 for an item that the live catalogue does not have."""

    @app.get("/covers/{item_id}.svg", include_in_schema=False)
    def cover(item_id: str) -> Response:
        try:
            item = shops.current(tenant).table.get(item_id)
        except ChatalogueError as error:
            return Response(str(error), status_code=404, media_type="text/plain")
        return Response(cover_of(shown_item(item, 1)), media_type="image/svg+xml", headers=HEADERS)
