"""The random wait of a layer: drawn once, when it is taken, within everybody's bounds; nothing is sent before."""

from __future__ import annotations

import pytest

from gateway.dm3.keys import ServiceKeys
from gateway.dm3.layers import DEFAULT_VALIDITY_MS, Hop, seal_layer, wrap
from gateway.offload import Offload
from gateway.relay.forward import Forwarding, ForwardPolicy
from gateway.store import Store
from gateway.store.lanes import LeaseLanes
from tests.integration.store.values import NOW, Sql
from tests.support.layers import envelope_text, plain_layer

HOUR = 3_600_000
POLICY = ForwardPolicy(size_limit=1_000_000, max_delay_ms=HOUR, max_waiting=100, max_waiting_bytes=10**8)
KEYS = ServiceKeys.generate()


class Dice:
    """Shows the highest number, and remembers of how many it was."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, number: int) -> int:
        self.asked.append(number)
        return number - 1


def forwarding(store: Store, dice: Dice | None = None) -> Forwarding:
    options = {} if dice is None else {"draw": dice}
    return Forwarding(policy=POLICY, keys=KEYS, store=store, clock=lambda: NOW, offload=Offload(), **options)


def layer(max_delay_ms: int | None) -> str:
    hops = [Hop("ds.gw.eth", KEYS.encryption.public)]
    return wrap(envelope_text(), hops, destination="ds.far.eth", now=NOW, max_delay_ms=max_delay_ms)


async def waits(store: Store) -> list[int]:
    """Milliseconds from now until each lane is due."""
    return sorted(due - NOW for (due,) in await store.read(Sql("SELECT due FROM lanes")))


@pytest.mark.parametrize(
    ("wish", "longest"), [(None, 0), (0, 0), (1, 1), (60_000, 60_000), (HOUR, HOUR), (24 * HOUR, HOUR)]
)
async def test_the_wait_is_drawn_within_both_bounds(store: Store, wish: int | None, longest: int) -> None:
    """Ours is an hour: a longer wish counts as that."""
    dice = Dice()
    await forwarding(store, dice).accept(layer(wish))
    assert dice.asked == [longest + 1]
    assert await waits(store) == [longest]


async def test_nothing_is_leased_before_its_time(store: Store) -> None:
    await forwarding(store, Dice()).accept(layer(60_000))
    assert await store.commit(LeaseLanes("w", NOW + 59_999, 1000, 10)) == []
    assert len(await store.commit(LeaseLanes("w", NOW + 60_000, 1000, 10))) == 1


async def test_waits_are_spread_over_the_whole_time(store: Store) -> None:
    taking = forwarding(store)
    for _ in range(40):
        await taking.accept(layer(HOUR))
    found = await waits(store)
    assert len(set(found)) == 40
    assert 0 <= found[0] < HOUR // 2 < found[-1] <= HOUR, "the chance that one half stays empty is 2 to the minus 39"


async def test_a_repeat_does_not_draw_again(store: Store) -> None:
    """Or a sender could bring a wait down by repeating."""
    taking, text = forwarding(store), layer(HOUR)
    await taking.accept(text)
    before = await waits(store)
    for _ in range(5):
        await taking.accept(text)
    assert await waits(store) == before


async def test_a_wait_leaves_time_to_arrive(store: Store) -> None:
    """A layer that has ten seconds left waits for five at the most."""
    short = plain_layer(envelope_text(), valid_until=NOW + 10_000, max_delay_ms=HOUR)
    await forwarding(store, Dice()).accept(seal_layer(short, KEYS.encryption.public, 0))
    assert await waits(store) == [5_000]


async def test_a_job_expires_with_its_layer(store: Store) -> None:
    await forwarding(store).accept(layer(None))
    [(created, expires)] = await store.read(Sql("SELECT created_at, expires_at FROM jobs"))
    assert created == NOW
    assert NOW + DEFAULT_VALIDITY_MS * 7 // 8 <= expires <= NOW + DEFAULT_VALIDITY_MS
