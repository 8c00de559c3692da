"""What recipients decided: read from the store, remembered for a few seconds, never remembered wrongly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gateway.dm3.sender_rules import MAX_LISTED, RecipientRules, SenderRules
from gateway.errors import InvalidInput, Unavailable
from gateway.ids import EnsName, EthAddress
from gateway.relay import rulebook as module
from gateway.relay.rulebook import MAX_RULES, REMEMBERED_SECONDS, Decisions, Rulebook, read_rules, write_rules
from gateway.store import Store
from gateway.store.accounts import CloseAccount, PutAccount, SetRules
from tests.integration.store.values import BOB, BOB_ADDRESS, NOW, address

BLOCKING = RecipientRules(block=frozenset({EnsName("mallory.eth")}))
STRICT = RecipientRules(public=SenderRules(min_nonce=3, message_requests=True), allow=frozenset({EnsName("alice.eth")}))


@dataclass
class Time:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def store(sqlite_store_url: str) -> AsyncIterator[Store]:
    async with await Store.open(sqlite_store_url) as opened:
        yield opened


async def register(store: Store, rules: RecipientRules = STRICT, of: EthAddress = BOB_ADDRESS) -> None:
    await store.commit(PutAccount(of, BOB, "{}", NOW))
    await store.commit(SetRules(of, "", write_rules(rules), NOW))


async def change(store: Store, before: RecipientRules, after: RecipientRules) -> None:
    assert await store.commit(SetRules(BOB_ADDRESS, write_rules(before), write_rules(after), NOW))


async def test_who_never_registered_decided_nothing(store: Store) -> None:
    assert await Rulebook(store).of(BOB_ADDRESS) == Decisions(RecipientRules(), closed=False)


async def test_rules_are_those_of_the_account(store: Store) -> None:
    await register(store)
    rulebook = Rulebook(store)
    assert await rulebook.of(BOB_ADDRESS) == Decisions(STRICT)
    assert await rulebook.of(address("carol")) == Decisions()


async def test_a_closed_account(store: Store) -> None:
    await register(store)
    await store.commit(CloseAccount(BOB_ADDRESS))
    assert await Rulebook(store).of(BOB_ADDRESS) == Decisions(closed=True)


async def test_a_change_made_elsewhere_is_in_force_in_time(store: Store) -> None:
    await register(store)
    time = Time()
    rulebook = Rulebook(store, monotonic=time)
    await rulebook.of(BOB_ADDRESS)
    await change(store, STRICT, BLOCKING)
    time.now += REMEMBERED_SECONDS - 0.01
    assert (await rulebook.of(BOB_ADDRESS)).rules == STRICT, "or it is not remembered at all"
    time.now += 0.02
    assert (await rulebook.of(BOB_ADDRESS)).rules == BLOCKING


async def test_a_change_made_here_is_in_force_at_once(store: Store) -> None:
    await register(store)
    rulebook = Rulebook(store, monotonic=Time())
    await rulebook.of(BOB_ADDRESS)
    await change(store, STRICT, BLOCKING)
    rulebook.forget(BOB_ADDRESS)
    assert (await rulebook.of(BOB_ADDRESS)).rules == BLOCKING
    rulebook.forget(address("carol"))


class Slow:
    """A store whose reads are held up on their way back."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.read_it = asyncio.Event()
        self.go_on = asyncio.Event()
        self.reads = 0

    async def look_up(self, query: Any) -> Any:
        self.reads += 1
        found = await self.store.look_up(query)
        self.read_it.set()
        await self.go_on.wait()
        return found


async def test_a_look_that_a_change_overtook_is_not_remembered(store: Store) -> None:
    """The look began before the change and ends after it: it must not bring the old rules back."""
    await register(store)
    slow = Slow(store)
    rulebook = Rulebook(slow, monotonic=Time())  # type: ignore[arg-type]
    look = asyncio.create_task(rulebook.of(BOB_ADDRESS))
    await slow.read_it.wait()
    await change(store, STRICT, BLOCKING)
    rulebook.forget(BOB_ADDRESS)
    slow.go_on.set()
    await look
    assert (await rulebook.of(BOB_ADDRESS)).rules == BLOCKING
    await rulebook.of(BOB_ADDRESS)
    assert slow.reads == 2, "and the next one is remembered"


class Broken:
    """A store that is away."""

    async def look_up(self, query: Any) -> Any:
        raise Unavailable("away")


async def test_a_store_that_is_away_is_told_and_not_remembered(store: Store) -> None:
    """Neither as `no rules`, which would let everybody in, nor for longer than it lasts."""
    await register(store)
    rulebook = Rulebook(Broken(), monotonic=Time())  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        await rulebook.of(BOB_ADDRESS)
    rulebook._store = store
    assert (await rulebook.of(BOB_ADDRESS)).rules == STRICT


@pytest.mark.parametrize("text", ['{"minNonce":1,"newerRule":{}}', "not JSON", "[]", '{"block":[1]}', "[" * 10_000])
async def test_rules_that_cannot_be_read_do_not_stop_the_mail(store: Store, text: str) -> None:
    await store.commit(PutAccount(BOB_ADDRESS, BOB, "{}", NOW))
    await store.commit(SetRules(BOB_ADDRESS, "", text, NOW))
    with capture_logs() as logs:
        assert await Rulebook(store).of(BOB_ADDRESS) == Decisions()
    assert [entry["event"] for entry in logs] == ["rules.unreadable"]


async def test_only_so_many_are_remembered(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 10)
    rulebook = Rulebook(store, monotonic=Time())
    for number in range(50):
        await rulebook.of(address(number))
    assert len(rulebook._known) == 10


# --- the stored form ------------------------------------------------------------------------------------------------

NAMES = st.from_regex(r"[a-z0-9]{3,20}\.eth", fullmatch=True).map(EnsName)


@given(
    allow=st.frozensets(NAMES, max_size=5),
    block=st.frozensets(NAMES, max_size=5),
    waiting=st.integers(0, 2**53),
    nonce=st.integers(0, 2**53),
    balance=st.integers(0, 2**256 - 1),
    requests=st.booleans(),
)
def test_what_is_written_is_read_back(
    allow: frozenset[EnsName],
    block: frozenset[EnsName],
    waiting: int,
    nonce: int,
    balance: int,
    requests: bool,
) -> None:
    public = SenderRules(min_nonce=nonce, min_balance=balance, message_requests=requests)
    rules = RecipientRules(public=public, allow=allow - block, block=block, max_waiting_per_sender=waiting)
    assert read_rules(write_rules(rules)) == rules


def test_no_rules_are_no_text() -> None:
    assert write_rules(RecipientRules()) == ""
    assert read_rules("") == RecipientRules()


def test_equal_rules_have_one_text() -> None:
    """The stored text is what a change is compared with."""
    names = [EnsName(f"{number}.eth") for number in range(100)]
    texts = {
        write_rules(RecipientRules(allow=frozenset(order))) for order in (names, names[::-1], names[50:] + names[:50])
    }
    assert len(texts) == 1


def test_full_lists_fit_and_more_does_not() -> None:
    """Two lists of a thousand names of 255 bytes each are the most that the interface can make."""

    def rules(length: int) -> RecipientRules:
        names = [EnsName(f"{number:04}".ljust(length - 4, "x") + ".eth") for number in range(2 * MAX_LISTED)]
        return RecipientRules(allow=frozenset(names[:MAX_LISTED]), block=frozenset(names[MAX_LISTED:]))

    assert read_rules(write_rules(rules(255))) == rules(255)
    with pytest.raises(InvalidInput):
        write_rules(rules(MAX_RULES // MAX_LISTED))
