"""Rows of the name service: records that the resolver serves for names that are no bridged identity."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, not_, select

from gateway.errors import InvalidInput
from gateway.ids import EnsName, EthAddress
from gateway.store.among import among
from gateway.store.schema import names
from gateway.store.upsert import insert

_KEPT = ("name", "created_at", "sequence")
"""Columns that stay when a name is put again."""


class Origin(StrEnum):
    """How a name came here."""

    OPERATOR = "operator"
    CLAIM = "claim"
    IMPORT = "import"


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
    pubkey: bytes | None = None
    """64 bytes, x and y of a secp256k1 key (EIP-619)."""
    abis: Mapping[int, bytes] = field(default_factory=dict)
    """By content type, a power of two (EIP-205)."""
    interfaces: Mapping[str, bytes] = field(default_factory=dict)
    """Addresses of implementers by interface id, 8 hex digits (EIP-1844)."""
    data: Mapping[str, bytes] = field(default_factory=dict)
    """By key (ENSIP-24)."""
    origin: Origin = Origin.OPERATOR
    expires_at: int | None = None
    """End of the term; None is for ever."""
    released_at: int | None = None
    """Set when nobody has the name any more: it then says nothing and rests until it may be issued again."""
    sequence: int = 0
    """Number of the next order that the owner may sign."""
    listed: bool = False
    """The owner wants to be found in the directory."""
    reminded: int = 0
    """How many reminders of the end of the term were sent."""
    skeleton: str = ""
    """What the name looks like: names that can be taken for one another have the same."""


@dataclass(frozen=True, slots=True)
class PutName:
    """Insert a name or replace its records; the stored ``created_at`` and ``sequence`` stay. True when it is new.

    Raises ``InvalidInput`` when another name has the same node.
    """

    row: NameRow

    def apply(self, conn: Connection) -> bool:
        """Look, then insert or update."""
        taken = conn.scalar(select(names.c.name).where(names.c.node == self.row.node, names.c.name != self.row.name))
        if taken is not None:
            raise InvalidInput(f"{self.row.name!r} has the node of {taken!r}")
        known = conn.scalar(select(names.c.name).where(names.c.name == self.row.name)) is not None
        put = insert(conn, names).values(columns_of(self.row))
        conn.execute(
            put.on_conflict_do_update(
                index_elements=[names.c.name],
                set_={c.name: put.excluded[c.name] for c in names.c if c.name not in _KEPT},
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
        return None if row is None else name_of(row)


@dataclass(frozen=True, slots=True)
class NamesNamed:
    """The rows of several names; those without one are left out."""

    names: tuple[EnsName, ...]

    def run(self, conn: Connection) -> dict[EnsName, NameRow]:
        """Look up by the key, together."""
        return {row.name: row for row in map(name_of, conn.execute(_NAMED, {"names": self.names}))}


@dataclass(frozen=True, slots=True)
class ListNames:
    """Names in use below ``suffix``, sorted by their labels from the right, after ``after``; at most ``limit``.

    ``listed`` leaves out those that do not want to be found, ``containing`` those whose name lacks a text, ``without``
    those that are below one of these names.
    """

    suffix: EnsName
    limit: int
    after: EnsName | None = None
    listed: bool = False
    containing: str = ""
    without: tuple[EnsName, ...] = ()

    def run(self, conn: Connection) -> list[NameRow]:
        """Read one range of the turned-round names."""
        wanted: list[ColumnElement[bool]] = [names.c.listed] if self.listed else []
        wanted += [not_(and_(*_range_below(each))) for each in self.without]
        if self.containing:
            wanted.append(names.c.name.contains(self.containing, autoescape=True))
        return _some(conn, _below(self.suffix, self.after).where(*wanted), self.limit)


@dataclass(frozen=True, slots=True)
class NamesOf:
    """Names in use that belong to ``owner``, at most ``limit``, sorted by their labels from the right."""

    owner: EthAddress
    limit: int

    def run(self, conn: Connection) -> list[NameRow]:
        """Read by the index of owners."""
        return _some(conn, select(names).where(names.c.owner == self.owner, names.c.released_at.is_(None)), self.limit)


@dataclass(frozen=True, slots=True)
class NamesLike:
    """Names in use with this ``skeleton``, at most ``limit``."""

    skeleton: str
    limit: int

    def run(self, conn: Connection) -> list[NameRow]:
        """Read by the index of skeletons."""
        alike = select(names).where(names.c.skeleton == self.skeleton, names.c.released_at.is_(None))
        return _some(conn, alike, self.limit)


@dataclass(frozen=True, slots=True)
class NamesEnding:
    """Names in use below ``suffix`` whose term ends before ``before``, and who got fewer than ``reminders``.

    The first to end first; at most ``limit``.
    """

    suffix: EnsName
    before: int
    reminders: int
    limit: int

    def run(self, conn: Connection) -> list[NameRow]:
        """Read by the index of terms."""
        ending: list[ColumnElement[bool]] = [
            names.c.expires_at < self.before,
            names.c.reminded < self.reminders,
        ]
        rows = conn.execute(_below(self.suffix, None).where(*ending).order_by(names.c.expires_at).limit(self.limit))
        return [name_of(row) for row in rows]


def path_of(name: str) -> str:
    """The labels of ``name`` from the right to the left: ``bob.gw.eth`` -> ``eth.gw.bob``."""
    return ".".join(reversed(name.split(".")))


def columns_of(row: NameRow) -> dict[str, Any]:
    """What is written for ``row``, by column."""
    return {
        "name": row.name,
        "node": row.node,
        "path": path_of(row.name),
        "owner": row.owner,
        "address": row.address,
        "coins": json.dumps({str(coin): address.hex() for coin, address in sorted(row.coins.items())}),
        "texts": json.dumps(dict(row.texts), ensure_ascii=False, sort_keys=True),
        "contenthash": row.contenthash,
        "more": _more(row),
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "origin": row.origin,
        "expires_at": row.expires_at,
        "released_at": row.released_at,
        "sequence": row.sequence,
        "listed": row.listed,
        "reminded": row.reminded,
        "skeleton": row.skeleton,
    }


def _object(text: str) -> dict[str, Any]:
    """An object; most columns of most names have an empty one."""
    found: dict[str, Any] = {} if text == "{}" else _decode(text)[0]
    return found


# As it was written by columns_of(). What json.loads() does around this takes as long again.
_decode: Final = json.JSONDecoder().raw_decode


def name_of(row: Any) -> NameRow:
    """The value of a whole row of the table."""
    # All at once: by their names they would take longer than the database did.
    name, node, _path, owner, address, coins, texts, contenthash, further, created_at, updated_at, *others = row
    origin, expires_at, released_at, sequence, listed, reminded, skeleton = others
    more = _object(further)
    return NameRow(
        name,
        node,
        owner,
        address,
        {int(coin): bytes.fromhex(digits) for coin, digits in _object(coins).items()},
        _object(texts),
        contenthash,
        created_at,
        updated_at,
        bytes.fromhex(more["pubkey"]) if "pubkey" in more else None,
        {int(kind): bytes.fromhex(abi) for kind, abi in more["abis"].items()} if "abis" in more else {},
        _bytes_of(more["interfaces"]) if "interfaces" in more else {},
        _bytes_of(more["data"]) if "data" in more else {},
        Origin(origin),
        expires_at,
        released_at,
        sequence,
        listed,
        reminded,
        skeleton,
    )


def _more(row: NameRow) -> str:
    """Kinds of records that few names have, in one column."""
    more: dict[str, Any] = {
        "pubkey": None if row.pubkey is None else row.pubkey.hex(),
        "abis": {str(kind): abi.hex() for kind, abi in sorted(row.abis.items())},
        "interfaces": _hex_of(row.interfaces),
        "data": _hex_of(row.data),
    }
    return json.dumps({key: value for key, value in more.items() if value}, ensure_ascii=False)


def _hex_of(values: Mapping[str, bytes]) -> dict[str, str]:
    return {key: value.hex() for key, value in sorted(values.items())}


def _bytes_of(values: Mapping[str, str]) -> dict[str, bytes]:
    return {key: bytes.fromhex(value) for key, value in values.items()}


def _below(suffix: EnsName, after: EnsName | None) -> Select[Any]:
    later = () if after is None else (names.c.path > path_of(after),)
    return select(names).where(*later, *_range_below(suffix), names.c.released_at.is_(None))


def _range_below(suffix: EnsName) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    parent = path_of(suffix)
    # "/" is the character after "."; no name holds one.
    return names.c.path > parent + ".", names.c.path < parent + "/"


def _some(conn: Connection, rows: Select[Any], limit: int) -> list[NameRow]:
    return [name_of(row) for row in conn.execute(rows.order_by(names.c.path).limit(limit))]


_NAMED: Final = select(names).where(among(names.c.name, "names"))
