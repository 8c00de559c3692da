"""The mailbox: envelopes that wait for their recipient, and the memory of those that are gone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import structlog
from sqlalchemy import ColumnElement, Connection, Select, and_, delete, func, select

from gateway.errors import DamagedRow, GatewayError, MailboxFull
from gateway.ids import EnsName, EnvelopeId, EthAddress, LaneKey
from gateway.store import usage
from gateway.store.among import among
from gateway.store.jobs import NewJob, insert_jobs
from gateway.store.schema import HASHES_DIFFER, envelopes, seen
from gateway.store.statement import Statement
from gateway.store.upsert import insert_for
from gateway.store.usage import UNVERIFIED, Quota, Usage

log = structlog.get_logger(__name__)

PAGE_BYTES: Final = 8 * 1024 * 1024
"""A pick-up stops before its bodies pass this size; one envelope always comes, however large."""


_BODY: Final = tuple(envelopes.c[name] for name in ("seq", "id", "recipient", "size", "body", "checksum"))
_CHARGED: Final = (envelopes.c.recipient, envelopes.c.recipient_name, envelopes.c.holder, envelopes.c.size)


class Folder(StrEnum):
    """Where in a mailbox an envelope waits."""

    INBOX = "inbox"
    REQUESTS = "requests"
    """From somebody whom the recipient has yet to let in."""


@dataclass(frozen=True, slots=True)
class StoredEnvelope:
    """An envelope in the mailbox of ``recipient``.

    ``recipient`` is the address of the owner, ``recipient_name`` the name that was written to, one of perhaps several.
    ``sender`` is the name it came under, ``verified`` whether its signature was checked against that name's profile;
    ``holder`` is whose quota it is charged to.
    ``message_hash`` and ``encrypted_hash`` are what an acknowledgement may name. ``seq`` is given by the store and
    rises with arrival at one node.
    """

    id: EnvelopeId
    recipient: EthAddress
    sender: EnsName
    verified: bool
    message_hash: str
    encrypted_hash: str
    body: bytes = field(repr=False)
    received_at: int
    expires_at: int
    recipient_name: EnsName = EnsName("")
    seq: int = 0
    holder: str = UNVERIFIED
    folder: Folder = Folder.INBOX

    @property
    def size(self) -> int:
        """Bytes that it takes of a quota."""
        return len(self.body)


@dataclass(frozen=True, slots=True)
class AcceptEnvelope:
    """Take an envelope, and its job with it; False, and nothing done, when its id was taken before.

    An id is remembered until the envelope's expiry, also after the envelope was acknowledged or dropped: a repeat
    of an old submission is not delivered twice. Raises ``MailboxFull`` when it is new and ``quota`` has no room.
    """

    envelope: StoredEnvelope
    job: NewJob | None = None
    quota: Quota | None = None

    def lanes(self) -> tuple[LaneKey, ...]:
        """The job's lane."""
        return (self.job.lane,) if self.job else ()

    def mailboxes(self) -> tuple[EthAddress, ...]:
        """The recipient's."""
        return (self.envelope.recipient,)

    def wakes(self, result: bool) -> bool:
        """Taken, with a job."""
        return result and self.job is not None

    def apply(self, conn: Connection) -> bool:
        """Insert what is new."""
        result = self.apply_many(conn, [self])[0]
        if isinstance(result, GatewayError):
            raise result
        return result

    @staticmethod
    def apply_many(conn: Connection, ops: Sequence[AcceptEnvelope]) -> list[bool | GatewayError]:
        """Insert what is new with a few statements however many there are."""
        fresh = _remember(conn, [op.envelope for op in ops])
        first: dict[EnvelopeId, int] = {}
        for place, op in enumerate(ops):
            if op.envelope.id in fresh:
                first.setdefault(op.envelope.id, place)
        new = [ops[place] for place in first.values()]
        # One statement counts and tells what was there before; looking first would be a second one.
        refused = _without_room(new, usage.charge(conn, [op.envelope for op in new])) if new else set()
        if refused:
            # What was not taken may come again when there is room.
            conn.execute(delete(seen).where(seen.c.id.in_(refused)))
            usage.release(conn, [op.envelope for op in new if op.envelope.id in refused])
        taken = [op for op in new if op.envelope.id not in refused]
        if taken:
            _KEEP.run(conn, [_columns(op.envelope) for op in taken])
        if jobs := [op.job for op in taken if op.job is not None]:
            insert_jobs(conn, jobs)
        # A second copy of what was refused is no repeat of something that was taken.
        return [
            MailboxFull(op.envelope.recipient_name) if op.envelope.id in refused else first.get(op.envelope.id) == place
            for place, op in enumerate(ops)
        ]


@dataclass(frozen=True, slots=True)
class PickUp:
    """Unexpired envelopes of a recipient in the order of ``seq``, from one sender when ``sender`` is given.

    ``after_seq`` is a cursor: whatever becomes visible in a mailbox later has a higher number. A page ends at
    ``limit`` envelopes or ``max_bytes`` of bodies. A damaged row is reported in the log and left out.
    """

    recipient: EthAddress
    now: int
    limit: int
    after_seq: int = 0
    sender: EnsName | None = None
    max_bytes: int = PAGE_BYTES
    names: tuple[EnsName, ...] | None = None
    """Only what was addressed to these names of the recipient."""
    folder: Folder = Folder.INBOX

    def run(self, conn: Connection) -> list[StoredEnvelope]:
        """The envelopes of the page."""
        return [_envelope_of(row) for row in self.rows(conn, envelopes.c)]

    def rows(self, conn: Connection, columns: Iterable[ColumnElement[Any]]) -> list[Any]:
        """The rows of the page. Reads on until there is something to show: an empty page says that there is no more."""
        after = self.after_seq
        while True:
            read = list(self._fitting(conn, after, select(*columns)))
            page = list(whole(read))
            if page or not read:
                return page
            after = read[-1].seq

    def _fitting(self, conn: Connection, after: int, rows: Select[Any]) -> Iterator[Any]:
        """Rows until their bodies are too many. Those bodies are read and no others."""
        wanted = and_(
            envelopes.c.recipient == self.recipient,
            envelopes.c.folder == self.folder.value,
            envelopes.c.seq > after,
            envelopes.c.expires_at > self.now,
            *([envelopes.c.sender == self.sender] if self.sender is not None else []),
            *addressed_to(self.names),
        )
        rows = rows.where(wanted).order_by(envelopes.c.seq).limit(self.limit)
        if conn.dialect.name == "postgresql":
            # It sends all rows at once; a size is read without its body.
            sizes = conn.execute(
                select(envelopes.c.seq, envelopes.c.size).where(wanted).order_by(envelopes.c.seq).limit(self.limit)
            )
            last = max((row.seq for row in _within(sizes, self.max_bytes)), default=0)
            rows = rows.where(envelopes.c.seq <= last)
        with conn.execute(rows) as found:
            yield from _within(found, self.max_bytes)


@dataclass(frozen=True, slots=True)
class PickUpBodies:
    """The bodies of a page, for clients that get nothing else of it."""

    page: PickUp

    def run(self, conn: Connection) -> list[bytes]:
        """Read them with what shows that they are undamaged."""
        return [row.body for row in self.page.rows(conn, _BODY)]


@dataclass(frozen=True, slots=True)
class CountMailbox:
    """Number of envelopes of a recipient, expired ones that were not yet removed included."""

    recipient: EthAddress

    def run(self, conn: Connection) -> int:
        """Count by the index."""
        return conn.execute(
            select(func.count()).select_from(envelopes).where(envelopes.c.recipient == self.recipient)
        ).scalar_one()


@dataclass(frozen=True, slots=True)
class GetEnvelope:
    """The envelope with this id or None; raises ``DamagedRow`` when its row is damaged."""

    id: EnvelopeId

    def run(self, conn: Connection) -> StoredEnvelope | None:
        """Read and check one row."""
        row = conn.execute(select(envelopes).where(envelopes.c.id == self.id)).first()
        if row is None:
            return None
        if not _is_whole(row):
            raise DamagedRow(f"envelope {self.id} is damaged in the database")
        return _envelope_of(row)


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Delete what a recipient acknowledged, named by pairs of sender and hash; returns how many envelopes went.

    A pair matches either hash of an envelope. A pair that matches nothing is ignored: clients of the reference
    acknowledge every hash they fetched under every sender.
    """

    recipient: EthAddress
    pairs: tuple[tuple[EnsName, str], ...]
    names: tuple[EnsName, ...] | None = None
    """Only what was addressed to these names of the recipient."""

    def mailboxes(self) -> tuple[EthAddress, ...]:
        """The recipient's."""
        return (self.recipient,)

    def apply(self, conn: Connection) -> int:
        """Delete by the hash indexes, so that the time does not depend on the mailbox's size."""
        given = {
            "hashes": sorted({digest for _, digest in self.pairs}),
            "pairs": sorted({f"{sender}\n{digest}" for sender, digest in self.pairs}),
        }
        theirs = envelopes.c.recipient == self.recipient, *addressed_to(self.names)
        return sum(remove(conn, *theirs, *acknowledged, given=given) for acknowledged in (_BY_MESSAGE, _BY_ENCRYPTED))


@dataclass(frozen=True, slots=True)
class AcknowledgeIds:
    """Delete envelopes of a recipient by their ids; returns how many went. Ids that are not there are ignored.

    Unlike a hash, which the sender writes into the envelope, an id belongs to one envelope only.
    """

    recipient: EthAddress
    ids: tuple[EnvelopeId, ...]
    names: tuple[EnsName, ...] | None = None
    """Only what was addressed to these names of the recipient."""

    def mailboxes(self) -> tuple[EthAddress, ...]:
        """The recipient's."""
        return (self.recipient,)

    def apply(self, conn: Connection) -> int:
        """Delete by the unique index."""
        # An expression: SQLite would take an index of the recipient, which reads the whole mailbox.
        theirs = envelopes.c.recipient.concat("") == self.recipient, *addressed_to(self.names)
        return remove(conn, *theirs, among(envelopes.c.id, "ids"), given={"ids": sorted(set(self.ids))})


@dataclass(frozen=True, slots=True)
class EmptyMailbox:
    """Delete at most ``limit`` envelopes of a recipient, in every folder; call again while it returns ``limit``."""

    recipient: EthAddress
    limit: int

    def mailboxes(self) -> tuple[EthAddress, ...]:
        """The recipient's."""
        return (self.recipient,)

    def apply(self, conn: Connection) -> int:
        """Delete by the mailbox index."""
        some = select(envelopes.c.seq).where(envelopes.c.recipient == self.recipient).limit(self.limit)
        return remove(conn, envelopes.c.seq.in_(some))


@dataclass(frozen=True, slots=True)
class IsWaiting:
    """Whether the envelope with this id is in an inbox and not picked up."""

    id: EnvelopeId

    def run(self, conn: Connection) -> bool:
        """Look up by the unique index; the body is not read."""
        found = select(envelopes.c.seq).where(envelopes.c.id == self.id, envelopes.c.folder == Folder.INBOX.value)
        return conn.scalar(found) is not None


@dataclass(frozen=True, slots=True)
class DropEnvelope:
    """Delete one envelope by its id, as a bridge does after delivery; True when it was there."""

    id: EnvelopeId

    def mailboxes(self) -> tuple[EnvelopeId, ...]:
        """The one that it is in."""
        return (self.id,)

    def apply(self, conn: Connection) -> bool:
        """Delete one row; its id stays remembered."""
        return remove(conn, envelopes.c.id == self.id) > 0


@dataclass(frozen=True, slots=True)
class ExpireEnvelopes:
    """Remove at most ``limit`` envelopes, and as many remembered ids, whose stored expiry is not after ``now``.

    Returns how many envelopes went; call again while it equals ``limit``.
    """

    now: int
    limit: int

    def apply(self, conn: Connection) -> int:
        """Delete oldest first."""
        oldest = (
            select(envelopes.c.seq)
            .where(envelopes.c.expires_at <= self.now)
            .order_by(envelopes.c.expires_at)
            .limit(self.limit)
        )
        expired = remove(conn, envelopes.c.seq.in_(oldest))
        conn.execute(
            delete(seen).where(
                seen.c.id.in_(
                    select(seen.c.id).where(seen.c.until <= self.now).order_by(seen.c.until).limit(self.limit)
                )
            )
        )
        return expired


@dataclass(frozen=True, slots=True)
class DamagedEnvelopes:
    """Ids of damaged rows among the ``limit`` envelopes after ``after_seq``, and the last ``seq`` looked at.

    For the operator's verification of a database or of a restored backup; ``last_seq`` is 0 at the end.
    """

    after_seq: int
    limit: int

    def run(self, conn: Connection) -> tuple[list[EnvelopeId], int]:
        """Read a stretch of rows and check each."""
        rows = conn.execute(
            select(envelopes).where(envelopes.c.seq > self.after_seq).order_by(envelopes.c.seq).limit(self.limit)
        ).all()
        return [EnvelopeId(row.id) for row in rows if not _is_whole(row)], rows[-1].seq if rows else 0


def _remember(conn: Connection, candidates: Sequence[StoredEnvelope]) -> set[EnvelopeId]:
    """Insert the ids; returns those that were new. The unique key decides, whatever runs at the same time."""
    until = {envelope.id: envelope.expires_at for envelope in reversed(candidates)}
    # One order for everybody: two nodes that take the same envelopes must not wait for each other in a circle.
    rows = [{"id": id_, "until": until[id_]} for id_ in sorted(until)]
    return {EnvelopeId(id_) for (id_,) in _REMEMBER.run(conn, rows)}


_REMEMBER: Final = Statement(
    ("id", "until"), lambda dialect: insert_for(dialect, seen).on_conflict_do_nothing().returning(seen.c.id)
)
_KEEP: Final = Statement(
    [column.name for column in envelopes.c if column is not envelopes.c.seq], lambda _dialect: envelopes.insert()
)


def _without_room(new: Sequence[AcceptEnvelope], before: Mapping[usage.Key, Usage]) -> set[EnvelopeId]:
    """Ids of those that their quotas refuse, when they are taken in their order on top of what was there."""
    known = dict(before)
    refused = set()
    for op in new:
        if op.quota is None:
            continue
        envelope = op.envelope
        named = usage.of_name(envelope.recipient, envelope.recipient_name)
        held = usage.of_holder(envelope.recipient, envelope.holder)
        more = Usage(1, envelope.size)
        if (known[named] + more).fits(op.quota.mailbox) and (known[held] + more).fits(op.quota.of(envelope.holder)):
            known[named] += more
            known[held] += more
        else:
            refused.add(envelope.id)
    return refused


def remove(conn: Connection, *where: ColumnElement[bool], given: Mapping[str, Any] | None = None) -> int:
    """Delete envelopes and give back what they took of quotas; returns how many. ``given`` are values by parameter."""
    gone = conn.execute(delete(envelopes).where(*where).returning(*_CHARGED), given).all()
    usage.release(conn, gone)
    return len(gone)


def _acknowledged(digest: ColumnElement[str], *indexed: ColumnElement[bool]) -> tuple[ColumnElement[bool], ...]:
    """The condition that sender and hash are one of ``pairs``. ``hashes`` is implied; the planners need it."""
    return among(digest, "hashes"), among(envelopes.c.sender.concat("\n").concat(digest), "pairs"), *indexed


_BY_MESSAGE: Final = _acknowledged(envelopes.c.message_hash)
_BY_ENCRYPTED: Final = _acknowledged(envelopes.c.encrypted_hash, HASHES_DIFFER)


def addressed_to(names: tuple[EnsName, ...] | None) -> list[ColumnElement[bool]]:
    """The condition that an envelope was written to one of these names; none at all for None."""
    return [] if names is None else [envelopes.c.recipient_name.in_(names)]


def _columns(envelope: StoredEnvelope) -> dict[str, Any]:
    return {
        "id": envelope.id,
        "recipient": envelope.recipient,
        "recipient_name": envelope.recipient_name,
        "sender": envelope.sender,
        "verified": envelope.verified,
        "message_hash": envelope.message_hash,
        "encrypted_hash": envelope.encrypted_hash,
        "body": envelope.body,
        "size": envelope.size,
        "checksum": _checksum(envelope.id, envelope.recipient, envelope.body),
        "received_at": envelope.received_at,
        "expires_at": envelope.expires_at,
        "holder": envelope.holder,
        "folder": envelope.folder.value,
    }


def _checksum(envelope_id: str, recipient: str, body: bytes) -> bytes:
    """Binds the body to its row: a flipped bit and a body of another row are both noticed."""
    digest = hashlib.blake2b(f"{envelope_id}\n{recipient}\n".encode(), digest_size=16)
    digest.update(body)
    return digest.digest()


def _within(rows: Iterable[Any], max_bytes: int) -> Iterator[Any]:
    """Rows until their sizes together are more; the first one always."""
    total = 0
    for row in rows:
        if total and total + row.size > max_bytes:
            return
        total += row.size
        yield row


def _is_whole(row: Any) -> bool:
    return bool(row.checksum == _checksum(row.id, row.recipient, row.body))


def undamaged(rows: Iterable[Any]) -> Iterable[StoredEnvelope]:
    """Rows as envelopes; those that are damaged are reported in the log and left out."""
    return map(_envelope_of, whole(rows))


def whole(rows: Iterable[Any]) -> Iterator[Any]:
    """The same as they are."""
    for row in rows:
        if _is_whole(row):
            yield row
        else:
            log.error("envelope.damaged", envelope=row.id, seq=row.seq)


def _envelope_of(row: Any) -> StoredEnvelope:
    return StoredEnvelope(
        id=EnvelopeId(row.id),
        recipient=EthAddress(row.recipient),
        sender=EnsName(row.sender),
        verified=row.verified,
        message_hash=row.message_hash,
        encrypted_hash=row.encrypted_hash,
        body=row.body,
        received_at=row.received_at,
        expires_at=row.expires_at,
        recipient_name=EnsName(row.recipient_name),
        seq=row.seq,
        holder=row.holder,
        folder=Folder(row.folder),
    )
