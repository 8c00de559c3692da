"""Rows of the name service: records that the resolver serves for names that are no bridged identity."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select

from gateway.errors import InvalidInput
from gateway.ids import EnsName, EthAddress
from gateway.store.schema import names
from gateway.store.upsert import insert


@dataclass(frozen=True, slots=True)
class NameRow:
    """Records of one name: ``node`` is its namehash (32 bytes), ``address`` its addr record (20 bytes).

    ``coins`` maps a coin type (ENSIP-9) to the address in that chain's binary form, ``texts`` a key (ENSIP-5) to its
    text. ``owner`` is the wallet that may change the records.
    """

    name: EnsName
    node: bytes
    owner: EthAddress | None
    address: bytes | None
    coins: Mapping[int, bytes]
    texts: Mapping[str, str]
    contenthash: bytes | None
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class PutName:
    """Insert a name or replace its records; the stored ``created_at`` stays. Returns True when the name is new.

    Raises ``InvalidInput`` when another name has the same node.
    """

    row: NameRow

    def apply(self, conn: Connection) -> bool:
        """Look, then insert or update."""
        taken = conn.scalar(select(names.c.name).where(names.c.node == self.row.node, names.c.name != self.row.name))
        if taken is not None:
            raise InvalidInput(f"{self.row.name!r} has the node of {taken!r}")
        known = conn.scalar(select(names.c.name).where(names.c.name == self.row.name)) is not None
        put = insert(conn, names).values(_columns(self.row))
        conn.execute(
            put.on_conflict_do_update(
                index_elements=[names.c.name],
                set_={c.name: put.excluded[c.name] for c in names.c if c.name not in ("name", "created_at")},
            )
        )
        return not known


@dataclass(frozen=True, slots=True)
class NameNamed:
    """The row of a name, or None."""

    name: EnsName

    def run(self, conn: Connection) -> NameRow | None:
        """Look up by the key."""
        row = conn.execute(select(names).where(names.c.name == self.name)).first()
        return None if row is None else _name_of(row)


@dataclass(frozen=True, slots=True)
class ListNames:
    """Names below ``suffix``, sorted by their labels from the right, after the name ``after``; at most ``limit``."""

    suffix: EnsName
    limit: int
    after: EnsName | None = None

    def run(self, conn: Connection) -> list[NameRow]:
        """Read one range of the turned-round names."""
        parent = path_of(self.suffix)
        start = parent + "." if self.after is None else path_of(self.after)
        rows = conn.execute(
            select(names)
            # "/" is the character after "."; no name holds one.
            .where(names.c.path > start, names.c.path > parent + ".", names.c.path < parent + "/")
            .order_by(names.c.path)
            .limit(self.limit)
        )
        return [_name_of(row) for row in rows]


@dataclass(frozen=True, slots=True)
class DropName:
    """Remove a name and its records; True when it was there."""

    name: EnsName

    def apply(self, conn: Connection) -> bool:
        """Delete one row."""
        return conn.execute(delete(names).where(names.c.name == self.name)).rowcount > 0


def path_of(name: str) -> str:
    """The labels of ``name`` from the right to the left: ``bob.gw.eth`` -> ``eth.gw.bob``."""
    return ".".join(reversed(name.split(".")))


def _columns(row: NameRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "node": row.node,
        "path": path_of(row.name),
        "owner": row.owner,
        "address": row.address,
        "coins": json.dumps({str(coin): address.hex() for coin, address in sorted(row.coins.items())}),
        "texts": json.dumps(dict(row.texts), ensure_ascii=False, sort_keys=True),
        "contenthash": row.contenthash,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def _name_of(row: Any) -> NameRow:
    return NameRow(
        name=EnsName(row.name),
        node=row.node,
        owner=None if row.owner is None else EthAddress(row.owner),
        address=row.address,
        coins={int(coin): bytes.fromhex(address) for coin, address in json.loads(row.coins).items()},
        texts=json.loads(row.texts),
        contenthash=row.contenthash,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
