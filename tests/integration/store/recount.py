"""The counts of mailboxes beside a recount of what is really there."""

from __future__ import annotations

from gateway.store import Store
from gateway.store.usage import Key, Usage
from tests.integration.store.values import Sql

KEPT = "SELECT recipient, scope, key, messages, bytes FROM mailbox_usage"
RECOUNTED = " UNION ALL ".join(
    f"SELECT recipient, '{scope}', {key}, count(*), CAST(sum(size) AS BIGINT) FROM envelopes GROUP BY 1, 2, 3"
    for scope, key in (("all", "''"), ("name", "recipient_name"), ("holder", "holder"))
)


async def kept(store: Store) -> dict[Key, Usage]:
    """What the store counted as envelopes came and went."""
    return _by_key(await store.read(Sql(KEPT)))


async def recounted(store: Store) -> dict[Key, Usage]:
    """What a count of all rows says."""
    return _by_key(await store.read(Sql(RECOUNTED)))


async def assert_counted(store: Store) -> None:
    """Both are the same, row by row: no count is left of what is gone, and none is missing."""
    assert await kept(store) == await recounted(store)


def _by_key(rows: list[tuple[str, str, str, int, int]]) -> dict[Key, Usage]:
    return {(recipient, scope, key): Usage(messages, size) for recipient, scope, key, messages, size in rows}
