"""Alembic's entry: runs the revisions on the connection of ``gateway.store.migrate``, or on one of its own."""

from __future__ import annotations

from sqlalchemy import Connection

from alembic import context
from gateway.errors import ConfigError
from gateway.store import migrate
from gateway.store.schema import metadata


def run_on(connection: Connection) -> None:
    """Run what was asked for inside the transaction that ``connection`` is in."""
    context.configure(connection=connection, target_metadata=metadata, compare_type=True)
    context.run_migrations()


given: Connection | None = context.config.attributes.get("connection")
if context.is_offline_mode():
    raise ConfigError("migrations run on a live database; there is no offline mode")
if given is not None:
    run_on(given)
else:
    url = context.get_x_argument(as_dictionary=True).get("url") or context.config.get_main_option("store_url")
    migrate.run(str(url), run_on)
