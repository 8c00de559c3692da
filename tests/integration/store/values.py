"""Makers of values for the store's tests: everything has a default, a test names what it is about."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from gateway.ids import CanonicalId, EnsName, EnvelopeId, EthAddress, LaneKey, NativeId, Network
from gateway.store.identities import NewIdentity
from gateway.store.jobs import NewJob, lane_key
from gateway.store.mailbox import Folder, StoredEnvelope
from gateway.store.messagemap import MessageLink
from gateway.store.names import NameRow
from gateway.store.usage import UNVERIFIED

NOW = 1_800_000_000_000
DAY = 24 * 3600 * 1000

ALICE = EnsName("alice.eth")
BOB = EnsName("bob.eth")
EMAIL = Network("email")
MATRIX = Network("matrix")


def digest(*parts: object) -> str:
    """64 hex digits that depend on ``parts``."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def address(number: object) -> EthAddress:
    """An address that depends on ``number``."""
    return EthAddress("0x" + digest("address", number)[:40])


BOB_ADDRESS = address("bob")


def message_hash(number: object) -> str:
    """Hash of the message in envelope ``number``."""
    return "0x" + digest("message", number)


def encrypted_hash(number: object) -> str:
    """Hash of the encrypted message in envelope ``number``."""
    return "0x" + digest("encrypted", number)


def envelope(
    number: object,
    *,
    recipient: EthAddress = BOB_ADDRESS,
    sender: EnsName = ALICE,
    body: bytes | None = None,
    received_at: int = NOW,
    expires_at: int = NOW + 30 * DAY,
    recipient_name: EnsName = EnsName(""),
    holder: str = UNVERIFIED,
    folder: Folder = Folder.INBOX,
) -> StoredEnvelope:
    """Envelope ``number``; the same number is the same envelope."""
    return StoredEnvelope(
        id=EnvelopeId(digest("envelope", number)),
        recipient_name=recipient_name,
        holder=holder,
        folder=folder,
        recipient=recipient,
        sender=sender,
        verified=True,
        message_hash=message_hash(number),
        encrypted_hash=encrypted_hash(number),
        body=f"body of {number}".encode() if body is None else body,
        received_at=received_at,
        expires_at=expires_at,
    )


def lane(conversation: object = "main", destination: str = "email") -> LaneKey:
    """A lane of ``destination``."""
    return lane_key(destination, str(conversation))


def job(
    payload: object = b"",
    *,
    lane: LaneKey = lane(),  # noqa: B008 - a constant
    created_at: int = NOW,
    expires_at: int = NOW + 30 * DAY,
    envelope: EnvelopeId | None = None,
    due: int | None = None,
) -> NewJob:
    """A job whose payload is the text of ``payload``."""
    data = payload if isinstance(payload, bytes) else str(payload).encode()
    return NewJob(lane, "deliver", data, created_at, expires_at, envelope, due)


def identity(number: object, *, network: Network = EMAIL, **changes: Any) -> NewIdentity:
    """Draft for person ``number`` of ``network``."""
    fields: dict[str, Any] = {
        "network": network,
        "canonical_id": CanonicalId(f"{number}@example.org"),
        "name": EnsName(f"{number}.example.org.{network}.gw.eth"),
        "address": address((network, number)),
        "sealed_salt": f"salt of {number}".encode(),
        "created_at": NOW,
        "display_name": f"Person {number}",
    }
    return NewIdentity(**{**fields, **changes})


def link(number: object, *, part: int = 0, network: Network = EMAIL, **changes: Any) -> MessageLink:
    """Link of the native message and the DM3 message ``number``."""
    fields: dict[str, Any] = {
        "network": network,
        "native_id": NativeId(f"<{number}@example.org>"),
        "part": part,
        "conversation": "c",
        "message_hash": message_hash(number),
        "encrypted_hash": encrypted_hash(number),
        "outbound": True,
        "created_at": NOW,
    }
    return MessageLink(**{**fields, **changes})


@dataclass(frozen=True)
class Sql:
    """A statement run behind the store's back, to look at or to damage what it wrote."""

    statement: str

    def apply(self, conn: Connection) -> None:
        """Execute it."""
        conn.execute(text(self.statement))

    def run(self, conn: Connection) -> list[tuple[Any, ...]]:
        """Execute it and return all rows."""
        return [tuple(row) for row in conn.execute(text(self.statement))]


@dataclass(frozen=True)
class Refuse:
    """An operation that writes and then fails with an error of its own."""

    error: Exception

    def apply(self, conn: Connection) -> None:
        """Leave a trace that must not survive, then raise."""
        conn.execute(text("INSERT INTO aliases VALUES ('refused', 'refused', 'refused')"))
        raise self.error


def name_row(name: str, **changes: Any) -> NameRow:
    """A name with records of every usual kind."""
    fields: dict[str, Any] = {
        "name": EnsName(name),
        "node": bytes.fromhex(digest("node", name)),
        "owner": address(name),
        "address": bytes.fromhex(address(name)[2:]),
        "coins": {0: b"\x00\x14" + b"b" * 20, 2147483648: b"o" * 20},
        "texts": {"network.dm3.profile": 'data:application/json,{"a":"Ω"}', "avatar": ""},
        "contenthash": b"\xe3\x01\x01",
        "created_at": NOW,
        "updated_at": NOW,
    }
    return NameRow(**{**fields, **changes})
