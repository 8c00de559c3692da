"""Accounts: who uses this relay, under which profile they registered, and the rules they made for senders."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, delete, select, union, update

from gateway.errors import NotFound
from gateway.ids import EnsName, EthAddress
from gateway.store.schema import accounts, challenges, channels, once, tokens
from gateway.store.upsert import insert

CLOSED_SCOPE: Final = "closed-account"
FOR_EVER: Final = 2**62


@dataclass(frozen=True, slots=True)
class Account:
    """A person who registered. ``profile`` is the canonical text of the signed profile, ``rules`` JSON or ""."""

    address: EthAddress
    name: EnsName
    profile: str
    rules: str = field(repr=False)
    notify: bool
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class AccountState:
    """What is known of an address: the account, if there is one, and whether its owner closed it."""

    account: Account | None
    closed: bool


@dataclass(frozen=True, slots=True)
class PutAccount:
    """Register an address, or note its newer profile; rules stay. Opens an account again that was closed.

    True when the account is new.
    """

    address: EthAddress
    name: EnsName
    profile: str
    now: int

    def apply(self, conn: Connection) -> bool:
        """Insert, or update what changes."""
        conn.execute(delete(once).where(once.c.scope == CLOSED_SCOPE, once.c.key == _tombstone(self.address)))
        put = insert(conn, accounts).values(
            address=self.address,
            name=self.name,
            profile=self.profile,
            rules="",
            notify=False,
            created_at=self.now,
            updated_at=self.now,
        )
        stored = put.on_conflict_do_update(
            index_elements=[accounts.c.address],
            set_={"name": put.excluded.name, "profile": put.excluded.profile, "updated_at": put.excluded.updated_at},
        )
        created: int = conn.execute(stored.returning(accounts.c.created_at)).scalar_one()
        return created == self.now


@dataclass(frozen=True, slots=True)
class SetRules:
    """Replace the rules of an account if they still are ``before``; False when somebody else changed them meanwhile.

    Raises ``NotFound`` when there is no account.
    """

    address: EthAddress
    before: str = field(repr=False)
    rules: str = field(repr=False)
    now: int

    def apply(self, conn: Connection) -> bool:
        """Compare and set."""
        changed = conn.execute(
            update(accounts)
            .where(accounts.c.address == self.address, accounts.c.rules == self.before)
            .values(rules=self.rules, updated_at=self.now)
        ).rowcount
        if not changed and conn.scalar(select(accounts.c.address).where(accounts.c.address == self.address)) is None:
            raise NotFound(f"{self.address} has no account here")
        return changed > 0


@dataclass(frozen=True, slots=True)
class CloseAccount:
    """Remove an account, its channels, sessions and open challenges; what stays is a digest that says it was closed.

    Envelopes are removed by ``gateway.store.mailbox.EmptyMailbox``. True when there was an account.
    """

    address: EthAddress

    def apply(self, conn: Connection) -> bool:
        """Delete, and leave the tombstone."""
        names = union(*(select(table.c.name).where(table.c.address == self.address) for table in (accounts, tokens)))
        subjects = [self.address, *conn.scalars(names)]
        conn.execute(delete(challenges).where(challenges.c.subject.in_(subjects)))
        for table in (channels, tokens):
            conn.execute(delete(table).where(table.c.address == self.address))
        removed = conn.execute(delete(accounts).where(accounts.c.address == self.address)).rowcount
        conn.execute(
            insert(conn, once)
            .values(scope=CLOSED_SCOPE, key=_tombstone(self.address), expires_at=FOR_EVER)
            .on_conflict_do_nothing()
        )
        return removed > 0


@dataclass(frozen=True, slots=True)
class AccountOf:
    """What is known of an address."""

    address: EthAddress

    def run(self, conn: Connection) -> AccountState:
        """Look up by the key."""
        row = conn.execute(select(accounts).where(accounts.c.address == self.address)).first()
        if row is not None:
            return AccountState(Account(**row._mapping), closed=False)
        return AccountState(None, closed=is_closed(conn, self.address))


def is_closed(conn: Connection, address: EthAddress) -> bool:
    """Whether the owner of an address closed their account."""
    closed = select(once.c.key).where(once.c.scope == CLOSED_SCOPE, once.c.key == _tombstone(address))
    return conn.scalar(closed) is not None


def _tombstone(address: EthAddress) -> str:
    """A closed account leaves no address behind."""
    return hashlib.sha256(f"closed {address}".encode()).hexdigest()
