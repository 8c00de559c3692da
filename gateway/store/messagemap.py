"""The message map: which message of a network is which DM3 message, for replies, edits and receipts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Boolean, ColumnElement, Connection, Insert, bindparam, delete, or_, select, tuple_

from gateway.ids import EnsName, EnvelopeId, NativeId, Network
from gateway.store.schema import message_links
from gateway.store.statement import Statement
from gateway.store.upsert import insert_for


@dataclass(frozen=True, slots=True)
class MessageLink:
    """One native message and its DM3 message; ``part`` counts the native messages of one DM3 message from 0.

    A native message to several ENS names is a DM3 message in each conversation.
    ``outbound`` is True for a message that left the network towards DM3.
    """

    network: Network
    native_id: NativeId
    part: int
    conversation: str
    message_hash: str
    encrypted_hash: str
    outbound: bool
    created_at: int
    reply_instruction: str | None = field(default=None, repr=False)
    """What the writer of a received message wants to have back with every answer (DM3-MTP, deliveryInstruction).

    Of a message that left the network: what it took along as an answer, so that an edit of it finds the same place.
    """
    envelope: EnvelopeId | None = None
    """The envelope that a message came in, by which it can be reported."""
    holder: str | None = None
    """Address of the verified sender of that envelope, ``UNVERIFIED`` for every other."""


@dataclass(frozen=True, slots=True)
class MapMessage:
    """Remember a link; True when it was written.

    The first one for (network, native id, conversation, part) stays, but for what left the network under an id that
    comes again: that takes the place of the earlier message, and the id means what was written last.
    """

    link: MessageLink

    def apply(self, conn: Connection) -> bool:
        """Insert, or replace the earlier message of the same id."""
        row = {name: getattr(self.link, name) for name in _LINK_COLUMNS}
        return bool(_MAP.run(conn, [row]))


@dataclass(frozen=True, slots=True)
class NativeOf:
    """Links of a DM3 message in one network, named by either of its hashes; oldest first, then by part."""

    network: Network
    message_hash: str

    def run(self, conn: Connection) -> list[MessageLink]:
        """Read by the two hash indexes."""
        return _links(
            conn,
            message_links.c.network == self.network,
            or_(
                message_links.c.message_hash == self.message_hash,
                message_links.c.encrypted_hash == self.message_hash,
            ),
        )


@dataclass(frozen=True, slots=True)
class HashesOf:
    """Links of a native message, by conversation and in the order of its parts; their hashes name DM3 messages."""

    network: Network
    native_id: NativeId
    conversation: str | None = None
    """Of this conversation only."""

    def run(self, conn: Connection) -> list[MessageLink]:
        """Read by the key."""
        where = [message_links.c.network == self.network, message_links.c.native_id == self.native_id]
        if self.conversation is not None:
            where.append(message_links.c.conversation == self.conversation)
        return _links(conn, *where)


@dataclass(frozen=True, slots=True)
class ConversationKnown:
    """Whether any message of a conversation passed through a network before, or any in one direction."""

    network: Network
    conversation: str
    outbound: bool | None = None

    def run(self, conn: Connection) -> bool:
        """Look for one link."""
        given = {"network": self.network, "talk": self.conversation}
        if self.outbound is None:
            return conn.execute(_TALKED, given).first() is not None
        return conn.execute(_TALKED_ONE_WAY, {**given, "outbound": self.outbound}).first() is not None


@dataclass(frozen=True, slots=True)
class NewestReceived:
    """Link of the message of a conversation that came last from DM3 in an envelope that is known, or None."""

    network: Network
    conversation: str

    def run(self, conn: Connection) -> MessageLink | None:
        """Read by the index of conversations."""
        row = conn.execute(
            select(message_links)
            .where(
                message_links.c.network == self.network,
                message_links.c.conversation == self.conversation,
                message_links.c.outbound.is_(False),
                message_links.c.envelope.is_not(None),
            )
            .order_by(message_links.c.created_at.desc())
            .limit(1)
        ).first()
        return None if row is None else MessageLink(**row._mapping)


@dataclass(frozen=True, slots=True)
class LinksOfPerson:
    """Links of all conversations of the person with the sub-name ``name``, at most ``limit``, the newest first."""

    network: Network
    name: EnsName
    limit: int

    def run(self, conn: Connection) -> list[MessageLink]:
        """Read the range of the index in which these conversations stand."""
        rows = conn.execute(
            select(message_links)
            .where(*_of_person(self.network, self.name))
            .order_by(message_links.c.created_at.desc())
            .limit(self.limit)
        )
        return [MessageLink(**row._mapping) for row in rows]


@dataclass(frozen=True, slots=True)
class ForgetMessages:
    """Remove at most ``limit`` links made before ``before`` (ms); returns how many."""

    before: int
    limit: int = 10_000

    def apply(self, conn: Connection) -> int:
        """Delete oldest first."""
        key = tuple(message_links.primary_key)
        old = (
            select(*key)
            .where(message_links.c.created_at < self.before)
            .order_by(message_links.c.created_at)
            .limit(self.limit)
        )
        return conn.execute(delete(message_links).where(tuple_(*key).in_(old))).rowcount


def _of_person(network: Network, name: EnsName) -> tuple[ColumnElement[bool], ...]:
    """Their conversations are called ``<name>|<other>``; ``}`` follows ``|`` in every byte order."""
    return (
        message_links.c.network == network,
        message_links.c.conversation >= f"{name}|",
        message_links.c.conversation < f"{name}}}",
    )


def _links(conn: Connection, *where: Any) -> list[MessageLink]:
    rows = conn.execute(
        select(message_links)
        .where(*where)
        .order_by(
            message_links.c.created_at,
            message_links.c.native_id,
            message_links.c.conversation,
            message_links.c.part,
        )
    )
    return [MessageLink(**row._mapping) for row in rows]


_LINK_COLUMNS: Final = tuple(column.name for column in message_links.c)


def _map(dialect: str) -> Insert:
    put = insert_for(dialect, message_links)
    key = tuple(message_links.primary_key)
    return put.on_conflict_do_update(
        index_elements=key,
        set_={column.name: put.excluded[column.name] for column in message_links.c if column not in key},
        where=message_links.c.outbound
        & put.excluded.outbound
        & (message_links.c.message_hash != put.excluded.message_hash),
    ).returning(message_links.c.part)


_MAP: Final = Statement(_LINK_COLUMNS, _map)
_TALKED: Final = (
    select(message_links.c.part)
    .where(message_links.c.network == bindparam("network"), message_links.c.conversation == bindparam("talk"))
    .limit(1)
)
_TALKED_ONE_WAY: Final = _TALKED.where(message_links.c.outbound == bindparam("outbound", type_=Boolean))
