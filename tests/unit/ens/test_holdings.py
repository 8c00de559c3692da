"""What is remembered of holdings, how often the chain is asked, and that no question waits for ever."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import pytest

from gateway.dm3.sender_rules import SenderRules, Stake, TokenBalance, TokenOwnership, TokenStandard
from gateway.ens.holdings import HoldingLimits, Holdings
from gateway.ens.questions import Answer, Question
from gateway.ens.unmet import RuleKind, Unmet
from gateway.errors import ChainUnavailable, InvalidInput
from gateway.ids import EthAddress

ALICE, BOB = EthAddress("0x" + "a1" * 20), EthAddress("0x" + "b0" * 20)
COIN = EthAddress("0x" + "c0" * 20)
RICH = SenderRules(min_balance=100)
EVERYTHING = SenderRules(
    min_nonce=1,
    min_balance=100,
    min_token_balance=TokenBalance(COIN, 1),
    owns_token=tuple(TokenOwnership(TokenStandard.ERC1155, COIN, number) for number in range(8)),
    min_stake=Stake(COIN, 1),
)


class World:
    """A chain on which everybody has the same, what it was asked, and a clock."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.amount = 100
        self.reads: list[list[Question]] = []
        self.blocks: set[str] = set()
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def read(self, questions: list[Question], block: str) -> tuple[Answer, ...]:
        self.reads.append(questions)
        self.blocks.add(block)
        amount = self.amount
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return tuple(amount if each.method != "eth_call" else amount.to_bytes(32, "big") for each in questions)

    def holdings(self, limits: HoldingLimits | None = None) -> Holdings:
        return Holdings(self, limits=limits or HoldingLimits(), clock=lambda: self.now)


async def test_all_facts_of_a_question_are_one_batch() -> None:
    world = World()
    assert await world.holdings().unmet(ALICE, EVERYTHING) == ()
    (batch,) = world.reads
    assert len(batch) == 12
    assert Counter(each.method for each in batch) == {
        "eth_call": 10,
        "eth_getBalance": 1,
        "eth_getTransactionCount": 1,
    }
    assert world.blocks == {"finalized"}


async def test_no_rules_ask_nothing() -> None:
    world = World()
    assert await world.holdings().unmet(ALICE, SenderRules(message_requests=True)) == ()
    assert world.reads == []


async def test_the_same_fact_of_two_rules_is_read_once() -> None:
    world = World()
    rules = SenderRules(
        min_token_balance=TokenBalance(COIN, 100), owns_token=(TokenOwnership(TokenStandard.ERC721, COIN, None, 101),)
    )
    assert await world.holdings().unmet(ALICE, rules) == (Unmet(RuleKind.OWNS_TOKEN, 101, 100, COIN),)
    assert [len(batch) for batch in world.reads] == [1]


@pytest.mark.parametrize(("amount", "unmet"), [(99, True), (100, False), (101, False)])
async def test_the_bound_itself_is_enough(amount: int, unmet: bool) -> None:
    world = World()
    world.amount = amount
    assert bool(await world.holdings().unmet(ALICE, RICH)) is unmet


@pytest.mark.weakness(4)
@pytest.mark.attack(37)
async def test_what_meets_a_rule_is_remembered_for_a_minute() -> None:
    world = World()
    holdings = world.holdings()
    assert await holdings.unmet(ALICE, RICH) == ()
    world.amount = 0
    world.now += 59.9
    assert await holdings.unmet(ALICE, RICH) == ()
    assert len(world.reads) == 1
    world.now += 0.1
    assert len(await holdings.unmet(ALICE, RICH)) == 1
    assert len(world.reads) == 2


@pytest.mark.attack(37)
async def test_what_does_not_is_asked_again_soon() -> None:
    world = World()
    world.amount = 99
    holdings = world.holdings()
    assert await holdings.unmet(ALICE, RICH) == (Unmet(RuleKind.BALANCE, 100, 99),)
    world.amount = 100
    world.now += 14.9
    assert len(await holdings.unmet(ALICE, RICH)) == 1
    assert len(world.reads) == 1
    world.now += 0.1
    assert await holdings.unmet(ALICE, RICH) == ()


async def test_enough_for_one_recipient_and_too_little_for_another() -> None:
    """One fact, two rules: how long it is believed depends on whom it would let in."""
    world = World()
    world.amount = 50
    holdings = world.holdings()
    modest = SenderRules(min_balance=50)
    assert await holdings.unmet(ALICE, modest) == ()
    assert len(await holdings.unmet(ALICE, RICH)) == 1
    assert len(world.reads) == 1
    world.now += 15
    assert await holdings.unmet(ALICE, modest) == ()
    assert len(world.reads) == 1
    assert len(await holdings.unmet(ALICE, RICH)) == 1
    assert len(world.reads) == 2


async def test_only_what_is_not_known_is_read() -> None:
    world = World()
    holdings = world.holdings()
    await holdings.unmet(ALICE, RICH)
    await holdings.unmet(ALICE, EVERYTHING)
    assert [len(batch) for batch in world.reads] == [1, 11]
    await holdings.unmet(BOB, RICH)
    assert len(world.reads) == 3, "a fact is of one address"


async def test_a_clock_that_steps_back_keeps_nothing() -> None:
    world = World()
    holdings = world.holdings()
    await holdings.unmet(ALICE, RICH)
    world.now -= 1
    await holdings.unmet(ALICE, RICH)
    assert len(world.reads) == 2


async def test_an_answer_is_as_old_as_its_question() -> None:
    """A slow node must not make a fact live longer than it may."""
    world = World()
    holdings = world.holdings(HoldingLimits(patience=60))
    world.gate.clear()
    asking = asyncio.create_task(holdings.unmet(ALICE, RICH))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    world.now += 59
    world.gate.set()
    await asking
    world.now += 1
    await holdings.unmet(ALICE, RICH)
    assert len(world.reads) == 2


async def test_fifty_ask_once() -> None:
    world = World()
    holdings = world.holdings()
    world.gate.clear()
    asking = [asyncio.create_task(holdings.unmet(ALICE, RICH)) for _ in range(50)]
    overlapping = asyncio.create_task(holdings.unmet(ALICE, EVERYTHING))
    await asyncio.sleep(0)
    world.gate.set()
    assert await asyncio.gather(*asking) == [()] * 50
    assert await overlapping == ()
    assert [len(batch) for batch in world.reads] == [1, 11]


async def test_one_who_leaves_takes_nothing_from_the_others() -> None:
    world = World()
    holdings = world.holdings()
    world.gate.clear()
    leaver, stayer = (asyncio.create_task(holdings.unmet(ALICE, RICH)) for _ in range(2))
    await asyncio.sleep(0)
    leaver.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaver
    world.gate.set()
    assert await stayer == ()
    assert len(world.reads) == 1


async def test_an_outage_is_told_to_everybody_and_not_remembered() -> None:
    world = World()
    world.error = ChainUnavailable("no endpoint answers")
    holdings = world.holdings()
    found = await asyncio.gather(*(holdings.unmet(ALICE, RICH) for _ in range(3)), return_exceptions=True)
    assert [type(each) for each in found] == [ChainUnavailable] * 3
    assert len({id(each) for each in found}) == 3, "one object for all would grow its traceback without end"
    assert all("no endpoint answers" in str(each) for each in found)
    assert len(world.reads) == 1
    world.error = None
    assert await holdings.unmet(ALICE, RICH) == ()


async def test_what_is_known_is_told_while_the_chain_is_away() -> None:
    world = World()
    holdings = world.holdings()
    await holdings.unmet(ALICE, RICH)
    world.error = ChainUnavailable()
    assert await holdings.unmet(ALICE, RICH) == ()
    with pytest.raises(ChainUnavailable):
        await holdings.unmet(ALICE, EVERYTHING)


async def test_a_question_is_bounded_in_time_and_its_answer_is_not_lost() -> None:
    world = World()
    holdings = world.holdings(HoldingLimits(patience=0.05))
    world.gate.clear()
    began = time.monotonic()
    with pytest.raises(ChainUnavailable, match=r"within 0\.05 s"):
        await holdings.unmet(ALICE, EVERYTHING)
    assert time.monotonic() - began < 30
    world.gate.set()
    holdings._limits = HoldingLimits(patience=30)
    assert await holdings.unmet(ALICE, EVERYTHING) == ()
    assert len(world.reads) == 1, "the next question gets what the first had asked for"


async def test_memory_is_bounded() -> None:
    world = World()
    holdings = world.holdings(HoldingLimits(facts=10))
    people = [EthAddress(f"0x{number:040x}") for number in range(11)]
    for person in people:
        await holdings.unmet(person, RICH)
    await holdings.unmet(people[-1], RICH)
    assert len(world.reads) == 11
    await holdings.unmet(people[0], RICH)
    assert len(world.reads) == 12
    assert len(holdings._known) == 10


async def test_more_facts_than_are_remembered_are_answered_all_the_same() -> None:
    world = World()
    assert await world.holdings(HoldingLimits(facts=1)).unmet(ALICE, EVERYTHING) == ()


async def test_reads_under_way_are_bounded() -> None:
    world = World()
    holdings = world.holdings(HoldingLimits(loads=5, patience=0.05))
    world.gate.clear()
    people = [EthAddress(f"0x{number:040x}") for number in range(6)]
    found = await asyncio.gather(*(holdings.unmet(person, RICH) for person in people), return_exceptions=True)
    assert all(isinstance(each, ChainUnavailable) for each in found)
    assert len(world.reads) == 5
    assert "under way" in str(found[-1])
    world.gate.set()
    holdings._limits = HoldingLimits(patience=30)
    assert await holdings.unmet(people[0], RICH) == ()
    assert await holdings.unmet(people[-1], RICH) == ()
    assert not holdings._running


async def test_a_bug_is_not_hidden_and_not_kept() -> None:
    world = World()
    holdings = world.holdings()
    world.error = RuntimeError("bug")
    with pytest.raises(RuntimeError):
        await holdings.unmet(ALICE, RICH)
    assert not holdings._running
    world.error = None
    assert await holdings.unmet(ALICE, RICH) == ()


async def test_closing_gives_up_what_is_read() -> None:
    world = World()
    holdings = world.holdings(HoldingLimits(patience=0.01))
    world.gate.clear()
    with pytest.raises(ChainUnavailable):
        await holdings.unmet(ALICE, RICH)
    assert holdings._running
    await holdings.close()
    assert not holdings._running
    await holdings.close()


async def test_a_view_that_is_none_stops_the_start() -> None:
    with pytest.raises(InvalidInput, match="name"):
        Holdings(World(), stake_view="stakeOf(uint256)")
