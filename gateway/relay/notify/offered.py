"""Ways of telling people that this relay offers, as one thing to the rest of the relay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway.dm3.canonical import Json, JsonObject
from gateway.relay.notify.news import News
from gateway.sdk.delivery import Outcome
from gateway.store.channels import ChannelKind


@dataclass(frozen=True, slots=True)
class Gone:
    """There is nobody at the end of this channel any more: remove it."""


Told = Outcome | Gone
"""Delivered, Retry, Rejected, or Gone."""


class Way(Protocol):
    """One way of telling people."""

    @property
    def kind(self) -> ChannelKind:
        """Which one."""

    def published(self) -> JsonObject:
        """What clients must know to use it; nothing secret."""

    def check(self, recipient: str) -> None:
        """Raises GatewayError when this recipient, canonical as stored, could never be told."""

    async def tell(self, recipient: str, news: News, key: str) -> Told:
        """Try once; ``key`` is the same at every try of the same news."""


class Offered:
    """The ways that are switched on."""

    def __init__(self, *ways: Way) -> None:
        self._ways = {way.kind: way for way in ways}

    @property
    def kinds(self) -> frozenset[ChannelKind]:
        """All that can be used."""
        return frozenset(self._ways)

    def way(self, kind: ChannelKind) -> Way | None:
        """The way of a kind, None when it is not offered."""
        return self._ways.get(kind)

    def to_json(self) -> list[Json]:
        """For the service's properties: types, and what a client must know; never keys, passwords or hosts."""
        return [{"type": kind.value, "config": self._ways[kind].published()} for kind in sorted(self._ways)]
