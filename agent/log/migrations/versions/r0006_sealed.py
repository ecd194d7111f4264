"""The tenants' keys and the customers' names are sealed. Going back opens them again, with the same key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_SECRET = sa.table("secret", sa.column("tenant"), sa.column("name"), sa.column("value", sa.LargeBinary()))
_PERSON = sa.table(
    "person_payload",
    sa.column("tenant"),
    sa.column("person_id"),
    sa.column("name"),
    sa.column("sealed_name", sa.LargeBinary()),
)


def upgrade() -> None:
    sealer, connection = context.config.attributes["sealer"], op.get_bind()
    for tenant, name, value in connection.execute(sa.select(_SECRET.c.tenant, _SECRET.c.name, _SECRET.c.value)).all():
        _set_secret(tenant, name, sealer.seal(value, "secret.value", tenant, name))
    op.add_column("person_payload", sa.Column("sealed_name", sa.LargeBinary(), nullable=True))
    found = connection.execute(sa.select(_PERSON.c.tenant, _PERSON.c.person_id, _PERSON.c.name)).all()
    for tenant, person_id, name in found:
        sealed = sealer.seal(name.encode(), "person_payload.sealed_name", tenant, person_id)
        connection.execute(_PERSON.update().where(_PERSON.c.person_id == person_id).values(sealed_name=sealed))
    with op.batch_alter_table("person_payload") as batch:
        batch.alter_column("sealed_name", existing_type=sa.LargeBinary(), nullable=False)
        batch.drop_column("name")
    # What was deleted here is still on the disk: its owner takes it off, outside of this transaction.
    context.config.attributes["deleted"] = bool(found)


def downgrade() -> None:
    sealer, connection = context.config.attributes["sealer"], op.get_bind()
    for tenant, name, value in connection.execute(sa.select(_SECRET.c.tenant, _SECRET.c.name, _SECRET.c.value)).all():
        _set_secret(tenant, name, sealer.open(value, "secret.value", tenant, name))
    op.add_column("person_payload", sa.Column("name", sa.Text(), nullable=True))
    found = connection.execute(sa.select(_PERSON.c.tenant, _PERSON.c.person_id, _PERSON.c.sealed_name)).all()
    for tenant, person_id, sealed in found:
        name = sealer.open(sealed, "person_payload.sealed_name", tenant, person_id).decode()
        connection.execute(_PERSON.update().where(_PERSON.c.person_id == person_id).values(name=name))
    with op.batch_alter_table("person_payload") as batch:
        batch.alter_column("name", existing_type=sa.Text(), nullable=False)
        batch.drop_column("sealed_name")


def _set_secret(tenant: str, name: str, value: bytes) -> None:
    this = _SECRET.c.tenant == tenant, _SECRET.c.name == name
    op.get_bind().execute(_SECRET.update().where(*this).values(value=value))
