"""Values of adapters: what a network's adapter must remember, as text under a kind and a key.

An adapter sees no SQL; its rooms, ghosts and marks are rows of one table, each in the adapter's own namespace.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import ColumnElement, Connection, Integer, bindparam, delete, select

from gateway.ids import Network
from gateway.store.schema import adapter_values
from gateway.store.upsert import insert


@dataclass(frozen=True, slots=True)
class StoredValue:
    """A value and where it stands."""

    kind: str
    key: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PutValue:
    """Write or replace a value at ``now`` (ms); None removes it. True when there was none under this key before."""

    network: Network
    kind: str
    key: str
    value: str | None = field(repr=False)
    now: int

    def apply(self, conn: Connection) -> bool:
        """Delete, or insert and replace."""
        if self.value is None:
            conn.execute(delete(adapter_values).where(*_at(self.network, self.kind, self.key)))
            return False
        if put_new(conn, self.network, StoredValue(self.kind, self.key, self.value), self.now):
            return True
        conn.execute(
            adapter_values.update().where(*_at(self.network, self.kind, self.key)).values(value=self.value, at=self.now)
        )
        return False


@dataclass(frozen=True, slots=True)
class PutFirst:
    """Write a value unless there is one; the value that stands there now."""

    network: Network
    value: StoredValue
    now: int

    def apply(self, conn: Connection) -> str:
        """Insert, then read."""
        put_new(conn, self.network, self.value, self.now)
        where = _at(self.network, self.value.kind, self.value.key)
        return str(conn.scalars(select(adapter_values.c.value).where(*where)).one())


@dataclass(frozen=True, slots=True)
class ValueOf:
    """The value under a kind and a key, or None."""

    network: Network
    kind: str
    key: str

    def run(self, conn: Connection) -> str | None:
        """Look up by the key."""
        return conn.scalar(_ONE, {"network": self.network, "kind": self.kind, "key": self.key})


@dataclass(frozen=True, slots=True)
class ValuesOf:
    """Values of one kind whose keys begin with ``prefix``, in the order of keys after ``after``; at most ``limit``."""

    network: Network
    kind: str
    prefix: str = ""
    after: str = ""
    limit: int = 1000

    def run(self, conn: Connection) -> Sequence[StoredValue]:
        """Read a range of the key."""
        given = {"network": self.network, "kind": self.kind, "first": self.prefix, "after": self.after}
        end = self.prefix + chr(0x10FFFF)
        rows = conn.execute(_RANGE, {**given, "end": end, "at_most": self.limit})
        return [StoredValue(*row) for row in rows]


def put_new(conn: Connection, network: Network, value: StoredValue, now: int) -> bool:
    """Insert a value unless there is one; whether it was inserted."""
    return (
        conn.execute(
            insert(conn, adapter_values)
            .values(network=network, kind=value.kind, key=value.key, value=value.value, at=now)
            .on_conflict_do_nothing()
            .returning(adapter_values.c.key)
        ).first()
        is not None
    )


def _at(network: Network, kind: str, key: str) -> tuple[ColumnElement[bool], ...]:
    return (
        adapter_values.c.network == network,
        adapter_values.c.kind == kind,
        adapter_values.c.key == key,
    )


_ONE: Final = select(adapter_values.c.value).where(
    adapter_values.c.network == bindparam("network"),
    adapter_values.c.kind == bindparam("kind"),
    adapter_values.c.key == bindparam("key"),
)
_RANGE: Final = (
    select(adapter_values.c.kind, adapter_values.c.key, adapter_values.c.value)
    .where(
        adapter_values.c.network == bindparam("network"),
        adapter_values.c.kind == bindparam("kind"),
        adapter_values.c.key >= bindparam("first"),
        # Keys are compared byte by byte, and no text comes behind this one.
        adapter_values.c.key < bindparam("end"),
        adapter_values.c.key > bindparam("after"),
    )
    .order_by(adapter_values.c.key)
    .limit(bindparam("at_most", type_=Integer))
)
