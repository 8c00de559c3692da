"""What is lost between a gateway and its XMPP server when one of both ends, is killed, or stands still.

People of a real Prosody and native DM3 clients write to each other, 200 messages a second each way, while it happens.
The load is offered at that rate whatever comes back. Acknowledged is a message of a person with a receipt (XEP-0184),
and an envelope that the relay answered with 200: none of them may be lost.

A message is silent when its writer is told nothing: neither receipt nor error, not even in what the server kept for
them. The clients do what clients of today do: they come back when their stream ends, send again with the same id what
the server did not say to have taken (XEP-0198), and look into its archive (XEP-0313). So a silent message is one that
the server took, and that is gone with the server or with us.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.support.xmpp_load import Load, xmpp_load

pytestmark = pytest.mark.xdist_group("xmpp")

RATE: Final = 200
"""Messages a second, each way."""
PAIRS: Final = 8
"""Of a person and a native client: a conversation has 25 messages a second each way."""
ENVELOPES: Final = 4000
"""Sealed before it begins."""
FREEZE_SECONDS: Final = 20
FLOW_INTO_FREEZE: Final = 5
"""Seconds; what comes later waits in the same places."""
SETTLE_SECONDS: Final = 150
"""A gateway on half a core needs most of it; alone it takes ten."""


async def gateway_ends(load: Load) -> None:
    """SIGTERM; others go on writing."""
    assert await load.gateway.stop() == 0, load.gateway.log()
    await load.more(RATE)


async def gateway_is_killed(load: Load) -> None:
    """kill -9; others go on writing."""
    await load.gateway.kill()
    await load.more(RATE)


async def gateway_starts(load: Load) -> None:
    """A new process; after a kill the right to the link is the dead one's for some seconds more."""
    await load.gateway.start()


async def server_restarts(load: Load) -> None:
    """SIGTERM, and a new start."""
    await load.server.restart()


async def server_is_killed(load: Load) -> None:
    """kill -9, and a new start."""
    await load.server.kill()
    await load.server.start()


async def server_freezes(load: Load) -> None:
    """SIGSTOP, until `server_thaws`."""
    load.server.freeze()
    await load.more(FLOW_INTO_FREEZE * RATE)


async def server_thaws(load: Load) -> None:
    """SIGCONT."""
    await asyncio.sleep(FREEZE_SECONDS - FLOW_INTO_FREEZE)
    load.server.thaw()


async def nothing(load: Load) -> None:
    """It is over already."""


class Event(NamedTuple):
    """What happens, during the flow and behind it."""

    happens: Callable[[Load], Awaitable[None]]
    ends: Callable[[Load], Awaitable[None]] = nothing
    harmful: bool = False
    """Messages that were under way in this moment may become silent."""


EVENTS = (
    Event(gateway_ends, gateway_starts),
    Event(gateway_is_killed, gateway_starts, harmful=True),
    Event(server_restarts),
    Event(server_is_killed, harmful=True),
    Event(server_freezes, server_thaws),
)


@pytest.mark.parametrize("event", EVENTS, ids=[each.happens.__name__ for each in EVENTS])
async def test_nothing_acknowledged_is_lost(event: Event, tmp_path: Path) -> None:
    async with xmpp_load(tmp_path, pairs=PAIRS, envelopes=ENVELOPES) as load:
        async with load.flowing(RATE):
            await load.more(2 * RATE)
            under_way = len(load.silent)
            await event.happens(load)
        await event.ends(load)
        await load.answered_again()
        async with load.flowing(RATE):
            await load.more(RATE)
        await load.settled(SETTLE_SECONDS)
        print(f"{event.happens.__name__}, {under_way} messages under way; {load.figures()}")
        assert not load.lost_inward
        assert not load.lost_outward
        assert not load.repeated_inward, "each once: the gateway knows the ids"
        assert not load.untold_repeats, "what is shown again has the id of before"
        # A server that comes back may close the first new connection, too.
        assert load.repeated_outward <= 2 * PAIRS, "what was under way in each conversation"
        assert len(load.silent) <= (under_way + RATE // 4 if event.harmful else 0), sorted(load.silent)
        assert len(load.answered) > 2 * RATE
        assert "Traceback" not in load.gateway.log()
