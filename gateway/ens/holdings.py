"""Whether an address holds what a recipient's rules ask for, read from the chain within bounds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from cachetools import LRUCache

from gateway.dm3.sender_rules import SenderRules
from gateway.ens.facts import STAKE_VIEW, Fact, Need, needs_of, view_selector
from gateway.ens.questions import Answer, Question
from gateway.ens.unmet import Unmet
from gateway.errors import ChainUnavailable
from gateway.ids import EthAddress


class Reads(Protocol):
    """The chain as it is used here."""

    async def read(self, questions: list[Question], block: str) -> tuple[Answer, ...]:
        """See `gateway.ens.chain.Chain.read`."""


@dataclass(frozen=True, slots=True)
class HoldingLimits:
    """Bounds; times in seconds."""

    ttl: float = 60.0
    """For which a fact is remembered that meets the rule."""
    unmet_ttl: float = 15.0
    """For which one is remembered that does not: somebody who tops up is let in soon."""
    patience: float = 3.0
    """For which one question waits, however many facts it needs."""
    facts: int = 20_000
    """That are remembered, each some 300 bytes."""
    loads: int = 256
    """Reads under way at a time; while a node is slow, what comes on top is refused at once."""


DEFAULT_LIMITS: Final = HoldingLimits()


@dataclass(frozen=True, slots=True)
class _Known:
    amount: int
    asked_at: float


_Key: TypeAlias = tuple[Fact, EthAddress]
_Load: TypeAlias = "asyncio.Task[Mapping[Fact, int]]"


class Holdings:
    """Reads nonce, balances, tokens and stakes at ``block``; remembers each fact of each address for a while.

    The block is ``finalized`` so that a deposit counts only when no reorganisation can take it back. ``stake_view``
    is the function of stake contracts, ``name(address)`` returning ``uint256``; anything else raises InvalidInput.
    ``clock`` gives monotonic seconds.
    """

    def __init__(
        self,
        chain: Reads,
        *,
        block: str = "finalized",
        stake_view: str = STAKE_VIEW,
        limits: HoldingLimits = DEFAULT_LIMITS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._chain = chain
        self._block = block
        self._stake_selector = view_selector(stake_view)
        self._limits = limits
        self._clock = clock
        self._known: LRUCache[_Key, _Known] = LRUCache(limits.facts)
        self._running: dict[_Key, _Load] = {}

    async def unmet(self, address: EthAddress, rules: SenderRules) -> tuple[Unmet, ...]:
        """The rules that ``address`` does not meet, empty when it meets them all.

        What is not remembered is read together, by one batch, and once however many ask for it. Raises
        ChainUnavailable when the chain does not answer in time.
        """
        needs = needs_of(rules, self._stake_selector)
        found = await self._amounts(address, needs)
        return tuple(need.unmet(found[need.fact]) for need in needs if found[need.fact] < need.required)

    async def close(self) -> None:
        """Give up what is being read."""
        loads = set(self._running.values())
        for load in loads:
            load.cancel()
        await asyncio.gather(*loads, return_exceptions=True)

    async def _amounts(self, address: EthAddress, needs: Iterable[Need]) -> Mapping[Fact, int]:
        amounts: dict[Fact, int] = {}
        wanted: dict[Fact, None] = {}
        for need in needs:
            known = self._known.get((need.fact, address))
            if known is not None and self._serves(known, need):
                amounts[need.fact] = known.amount
            else:
                wanted[need.fact] = None
        if not wanted:
            return amounts
        try:
            async with asyncio.timeout(self._limits.patience):
                for load in self._loads(address, wanted):
                    # One who gives up waiting does not take the answer from the others, nor from the next question.
                    amounts.update(await asyncio.shield(load))
        except TimeoutError:
            raise ChainUnavailable(f"no answer within {self._limits.patience:g} s") from None
        except ChainUnavailable as error:
            # A new object each time: raising one error from several tasks would grow its traceback without end.
            raise ChainUnavailable(error.detail) from None
        return amounts

    def _serves(self, known: _Known, need: Need) -> bool:
        life = self._limits.ttl if known.amount >= need.required else self._limits.unmet_ttl
        return 0 <= self._clock() - known.asked_at < life

    def _loads(self, address: EthAddress, wanted: Iterable[Fact]) -> list[_Load]:
        """What is under way for these facts, started for those that nobody is reading."""
        new = [fact for fact in wanted if (fact, address) not in self._running]
        if new:
            if len(set(self._running.values())) >= self._limits.loads:
                raise ChainUnavailable(f"{self._limits.loads} reads of the chain are under way")
            load = asyncio.create_task(self._load(address, new))
            self._running.update(dict.fromkeys(((fact, address) for fact in new), load))
            load.add_done_callback(lambda _: self._ended(address, new))
        return list(dict.fromkeys(self._running[fact, address] for fact in wanted))

    async def _load(self, address: EthAddress, facts: list[Fact]) -> Mapping[Fact, int]:
        asked_at = self._clock()
        answers = await self._chain.read([fact.question(address) for fact in facts], self._block)
        amounts = {fact: fact.amount(address, answer) for fact, answer in zip(facts, answers, strict=True)}
        for fact, amount in amounts.items():
            self._known[fact, address] = _Known(amount, asked_at)
        return amounts

    def _ended(self, address: EthAddress, facts: list[Fact]) -> None:
        for fact in facts:
            load = self._running.pop((fact, address))
            if not load.cancelled():
                load.exception()  # Nobody may be waiting any more: the failure counts as seen.
