"""Our clock: signatures, postmarks and sessions carry its time, and others refuse what comes from the future."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from typing import Final

from gateway.ens.egress import GuardedClient
from gateway.operations.checks.installation import CHECK_SECONDS, Installation, asking
from gateway.operations.checks.servers import Head, head
from gateway.sdk.examination import Check, Finding, all_at_once, bad, good, poor

AHEAD_SECONDS: Final = 15.0
"""By which a block may be ahead of us: a slot, and the coarseness of seconds."""
SKEW_SECONDS: Final = 5.0
WRONG_SECONDS: Final = 60.0
_FIX: Final = "let the clock be set by NTP (timedatectl set-ntp true), then restart the gateway"


async def clock(house: Installation) -> Sequence[Finding]:
    """Compared with the newest block, and with what the chain's servers say in their answers."""
    async with asking() as client:
        checks: dict[str, Check] = {"clock": lambda: _clock(house, client)}
        return await all_at_once(checks, CHECK_SECONDS)


async def _clock(house: Installation, client: GuardedClient) -> list[Finding]:
    urls = tuple(dict.fromkeys(house.settings.chain.rpc_urls))
    told = await asyncio.gather(*(head(client, url) for url in urls), return_exceptions=True)
    heads = [each for each in told if isinstance(each, Head)]
    if not heads:
        return [poor("newest-block", "no server tells its newest block, so nothing can be compared", "see chain")]
    offsets = [
        each.answer.server_time + 0.5 - each.answer.asked_at for each in heads if each.answer.server_time is not None
    ]
    return [behind_blocks(max(each.time for each in heads), time.time()), against_servers(offsets)]


def behind_blocks(newest: int, now: float) -> Finding:
    """Whether blocks come from our future. Pure; seconds since 1970."""
    ahead = newest - now
    if ahead > AHEAD_SECONDS:
        return bad("newest-block", f"the newest block is {ahead:.0f} s ahead: our clock is behind", _FIX)
    return good("newest-block", "the newest block is not from our future")


def against_servers(offsets: Sequence[float]) -> Finding:
    """How far the servers' clocks are from ours, in seconds. Pure; HTTP tells whole seconds only."""
    if not offsets:
        return poor("servers", "no server tells the time", "compare the clock yourself (timedatectl)")
    offset = statistics.median(offsets)
    found = f"our clock is {abs(offset):.1f} s {'behind' if offset > 0 else 'ahead of'} that of {len(offsets)} servers"
    if abs(offset) > WRONG_SECONDS:
        return bad("servers", found, _FIX)
    return poor("servers", found, _FIX) if abs(offset) > SKEW_SECONDS else good("servers", found)
