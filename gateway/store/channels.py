"""Channels: how somebody wants to be told that mail waits, whether that is proven to be theirs, and when it was used.

A channel that must be proven has a code, kept as a keyed digest only; who reads the database cannot use it.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, select, update

from gateway.ids import EthAddress
from gateway.store.schema import accounts, channels
from gateway.store.upsert import insert


class ChannelKind(StrEnum):
    """Kinds of channels, in the reference's spelling."""

    EMAIL = "EMAIL"
    PUSH = "PUSH"


class CodeCheck(StrEnum):
    """What became of a guess."""

    RIGHT = "right"
    """The channel is verified now, and the code used up."""
    WRONG = "wrong"
    EXPIRED = "expired"
    NONE = "none"
    """There is no code, or it had too many guesses: a new one is needed."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of the account at ``address``; ``recipient`` is a mail address, or a push subscription as JSON.

    ``notified_at`` (ms) is when it was last used for a notification, 0 for never.
    """

    address: EthAddress
    kind: ChannelKind
    recipient: str = field(repr=False)
    enabled: bool
    verified: bool
    notified_at: int


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Notification settings of an address: ``account`` is False, and all else off, for one that is not registered."""

    account: bool
    notify: bool
    channels: tuple[Channel, ...]

    def channel(self, kind: ChannelKind) -> Channel | None:
        """The channel of a kind; there is at most one."""
        return next((channel for channel in self.channels if channel.kind is kind), None)


@dataclass(frozen=True, slots=True)
class SubscriberAt:
    """Notification settings of one address."""

    address: EthAddress

    def run(self, conn: Connection) -> Subscriber:
        """Read the account's switch and all its channels."""
        notify = conn.scalar(select(accounts.c.notify).where(accounts.c.address == self.address))
        rows = conn.execute(select(channels).where(channels.c.address == self.address).order_by(channels.c.kind))
        return Subscriber(notify is not None, bool(notify), tuple(map(_channel_of, rows)))


@dataclass(frozen=True, slots=True)
class UsableChannels:
    """Channels of ``kinds`` by which an address wants to be told: all switches on, and proven."""

    address: EthAddress
    kinds: frozenset[ChannelKind]

    def run(self, conn: Connection) -> list[Channel]:
        """One look-up by two keys."""
        rows = conn.execute(
            select(channels)
            .join(accounts, accounts.c.address == channels.c.address)
            .where(
                channels.c.address == self.address,
                channels.c.kind.in_([kind.value for kind in sorted(self.kinds)]),
                channels.c.enabled,
                channels.c.verified,
                accounts.c.notify,
            )
            .order_by(channels.c.kind)
        )
        return [_channel_of(row) for row in rows]


@dataclass(frozen=True, slots=True)
class SetNotify:
    """Turn all notifications of an account on or off; False when there is no account."""

    address: EthAddress
    enabled: bool

    def apply(self, conn: Connection) -> bool:
        """Update one row."""
        changed = update(accounts).where(accounts.c.address == self.address).values(notify=self.enabled)
        return conn.execute(changed).rowcount > 0


@dataclass(frozen=True, slots=True)
class PutChannel:
    """Add a channel, enabled, in place of the account's channel of this kind; codes of that one count no more."""

    address: EthAddress
    kind: ChannelKind
    recipient: str = field(repr=False)
    verified: bool
    now: int

    def apply(self, conn: Connection) -> None:
        """Insert or replace."""
        fresh: dict[str, Any] = {
            "recipient": self.recipient,
            "enabled": True,
            "verified": self.verified,
            "code_digest": None,
            "code_sent_at": 0,
            "code_attempts": 0,
            "notified_at": 0,
            "created_at": self.now,
        }
        put = insert(conn, channels).values(address=self.address, kind=self.kind.value, **fresh)
        conn.execute(
            put.on_conflict_do_update(
                index_elements=[channels.c.address, channels.c.kind],
                set_={name: put.excluded[name] for name in fresh},
            )
        )


@dataclass(frozen=True, slots=True)
class SwitchChannel:
    """Enable or disable a channel; False when there is none of this kind."""

    address: EthAddress
    kind: ChannelKind
    enabled: bool

    def apply(self, conn: Connection) -> bool:
        """Update one row."""
        changed = update(channels).where(_is(self.address, self.kind)).values(enabled=self.enabled)
        return conn.execute(changed).rowcount > 0


@dataclass(frozen=True, slots=True)
class RemoveChannel:
    """Remove a channel, with ``recipient`` only while it leads there; False when there was none."""

    address: EthAddress
    kind: ChannelKind
    recipient: str | None = field(default=None, repr=False)

    def apply(self, conn: Connection) -> bool:
        """Delete one row."""
        return conn.execute(delete(channels).where(_is(self.address, self.kind, self.recipient))).rowcount > 0


@dataclass(frozen=True, slots=True)
class SetCode:
    """Give a channel that is not verified a new code, in place of the one before, with all its guesses.

    False when the channel is gone, leads elsewhere, is off, or is verified already.
    """

    address: EthAddress
    kind: ChannelKind
    recipient: str = field(repr=False)
    digest: bytes = field(repr=False)
    now: int

    def apply(self, conn: Connection) -> bool:
        """Update one row."""
        changed = (
            update(channels)
            .where(_is(self.address, self.kind, self.recipient), channels.c.enabled, ~channels.c.verified)
            .values(code_digest=self.digest, code_sent_at=self.now, code_attempts=0)
        )
        return conn.execute(changed).rowcount > 0


@dataclass(frozen=True, slots=True)
class GuessCode:
    """Count one guess and, if it is right and in time, verify the channel and use the code up.

    A code is good for ``life_ms`` and for ``guesses`` of them, however many come at once.
    """

    address: EthAddress
    kind: ChannelKind
    digest: bytes = field(repr=False)
    now: int
    life_ms: int
    guesses: int

    def apply(self, conn: Connection) -> CodeCheck:
        """Count first: the row is locked by that, and a guess that is being looked at is counted already."""
        counted = conn.execute(
            update(channels)
            .where(_is(self.address, self.kind), channels.c.code_digest.is_not(None), ~channels.c.verified)
            .values(code_attempts=channels.c.code_attempts + 1)
            .returning(channels.c.code_digest, channels.c.code_sent_at, channels.c.code_attempts)
        ).first()
        if counted is None:
            return CodeCheck.NONE
        result = CodeCheck.WRONG
        if counted.code_sent_at + self.life_ms <= self.now:
            result = CodeCheck.EXPIRED
        elif hmac.compare_digest(bytes(counted.code_digest), self.digest):
            result = CodeCheck.RIGHT
        if result is not CodeCheck.WRONG or counted.code_attempts >= self.guesses:
            changes = {"verified": True} if result is CodeCheck.RIGHT else {}
            conn.execute(
                update(channels)
                .where(_is(self.address, self.kind))
                .values(code_digest=None, code_attempts=0, **changes)
            )
        return result


@dataclass(frozen=True, slots=True)
class MarkNotified:
    """Note when a channel was used, if it still leads to ``recipient``; True when it does."""

    address: EthAddress
    kind: ChannelKind
    recipient: str = field(repr=False)
    now: int

    def apply(self, conn: Connection) -> bool:
        """Update one row."""
        changed = update(channels).where(_is(self.address, self.kind, self.recipient)).values(notified_at=self.now)
        return conn.execute(changed).rowcount > 0


def _is(address: EthAddress, kind: ChannelKind, recipient: str | None = None) -> ColumnElement[bool]:
    wanted: Iterable[ColumnElement[bool]] = () if recipient is None else (channels.c.recipient == recipient,)
    return and_(channels.c.address == address, channels.c.kind == kind.value, *wanted)


def _channel_of(row: Any) -> Channel:
    return Channel(
        address=EthAddress(row.address),
        kind=ChannelKind(row.kind),
        recipient=row.recipient,
        enabled=row.enabled,
        verified=row.verified,
        notified_at=row.notified_at,
    )
