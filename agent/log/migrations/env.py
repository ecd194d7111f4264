"""What alembic runs: migrate over the connection that `Database` opened, inside its transaction and its lock."""

from __future__ import annotations

from typing import Literal

from alembic import context

from agent.log.models import Base, UtcDateTime


def _render(kind: str, obj: object, _context: object) -> str | Literal[False]:
    """A migration must not change when the code does: write our own type as the one it stands on."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(obj, UtcDateTime) else False


def _run() -> None:
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=Base.metadata,
        render_item=_render,
        render_as_batch=True,  # SQLite alters a table by copying it
        transactional_ddl=True,  # alembic believes SQLite cannot; with our own BEGIN it can
    )
    with context.begin_transaction():
        context.run_migrations()


_run()  # alembic loads this file in order to run it
