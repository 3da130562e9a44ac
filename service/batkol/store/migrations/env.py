"""Alembic's environment: run by `batkol.store.postgres.migrate`, which hands over a connection, or asks for the SQL."""

from alembic import context

from batkol.store.postgres.migrate import VERSIONS
from batkol.store.postgres.schema import metadata

connection = context.config.attributes.get("connection")
if connection is None:
    context.configure(
        dialect_name="postgresql", target_metadata=metadata, literal_binds=True, version_table=VERSIONS,
        transactional_ddl=True,
    )  # fmt: skip
else:
    context.configure(connection=connection, target_metadata=metadata, version_table=VERSIONS)
with context.begin_transaction():
    context.run_migrations()
