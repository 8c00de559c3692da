"""What recipients decided about their mail: read for every envelope, so remembered for a few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog
from cachetools import TTLCache

from gateway.dm3.canonical import parse_json, stringify
from gateway.dm3.sender_rules import RecipientRules
from gateway.errors import GatewayError, InvalidInput
from gateway.ids import EthAddress
from gateway.store import Store
from gateway.store.accounts import AccountOf, AccountState

log = structlog.get_logger(__name__)

REMEMBERED_SECONDS: Final = 5.0
"""A change made at another node is in force here after this time; one made here at once."""
REMEMBERED: Final = 10_000
MAX_RULES: Final = 512 * 1024
"""Bytes of the rules of one account."""


@dataclass(frozen=True, slots=True)
class Decisions:
    """What one recipient wants; the default is for whoever never registered."""

    rules: RecipientRules = field(default_factory=RecipientRules)
    closed: bool = False
    """Whether they closed their account."""
    notify: bool = False
    """Whether they are to be told that mail waits, if they have a channel for it."""


class Rulebook:
    """Decisions by address. ``monotonic`` gives seconds."""

    def __init__(self, store: Store, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._known: TTLCache[EthAddress, Decisions] = TTLCache(REMEMBERED, REMEMBERED_SECONDS, monotonic)
        self._changes = 0

    async def of(self, address: EthAddress) -> Decisions:
        """What the owner of `address` decided; raises Unavailable when the store does not answer."""
        known = self._known.get(address)
        if known is None:
            changes = self._changes
            known = _decisions(await self._store.look_up(AccountOf(address)))
            if changes == self._changes:
                # What was read before a change must not be remembered after it.
                self._known[address] = known
        return known

    def forget(self, address: EthAddress) -> None:
        """Something was changed here."""
        self._changes += 1
        self._known.pop(address, None)


def read_rules(text: str) -> RecipientRules:
    """Rules as they are stored; raises InvalidInput or ParseError for what `write_rules` did not write."""
    if not text:
        return RecipientRules()
    return RecipientRules.from_json(parse_json(text, max_bytes=MAX_RULES))


def write_rules(rules: RecipientRules) -> str:
    """The stored form: canonical JSON, or "" for no rules at all. Raises InvalidInput above `MAX_RULES`."""
    value = rules.to_json()
    text = stringify(value) if value else ""
    if len(text.encode()) > MAX_RULES:
        raise InvalidInput(f"rules of more than {MAX_RULES} bytes")
    return text


def _decisions(state: AccountState) -> Decisions:
    if state.account is None:
        return Decisions(closed=state.closed)
    try:
        return Decisions(read_rules(state.account.rules), notify=state.account.notify)
    except GatewayError as error:
        # Written by a newer version. Refusing all mail of this person would be worse than letting it in.
        log.error("rules.unreadable", detail=error.detail)
        return Decisions()
