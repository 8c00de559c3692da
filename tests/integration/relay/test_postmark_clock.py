"""Postmarks under a clock that jumps: each says the service's time when it took the envelope, and nobody else's."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.dm3.postmark import verify_postmark
from gateway.lifecycle import now_ms
from tests.integration.relay.clients import submit
from tests.integration.relay.envelopes import keys_of
from tests.support.house import running_house

HOUR = 3_600_000


@pytest.mark.attack(60)
async def test_a_clock_that_jumps_neither_forges_nor_loses_anything(tmp_path: Path) -> None:
    start = now_ms()
    clock = [start]
    async with running_house(tmp_path / "house", clock=lambda: clock[0]) as house:
        alice, bob = await house.native("alice.eth", "alice"), await house.native("bob.eth", "bob")
        times = {"first": start, "an hour back": start - HOUR, "a day ahead": start + 24 * HOUR}
        for text, time in times.items():
            clock[0] = time
            await submit(house, alice, bob, text)
        received = {each.message.text: each for each in await bob.fetch()}
        assert {text: each.postmark.incoming_timestamp for text, each in received.items()} == times
        assert all(each.verified for each in received.values())


@pytest.mark.attack(60)
async def test_a_time_that_the_service_did_not_sign(tmp_path: Path) -> None:
    """Both spellings of the time are under the signature, and so is what the envelope was delivered as."""
    async with running_house(tmp_path / "house") as house:
        alice, bob = await house.native("alice.eth", "alice"), await house.native("bob.eth", "bob")
        envelope = await submit(house, alice, bob)
        (received,) = await bob.fetch()
        service, mark = house.gateway.service_profile.public_signing_key, received.postmark
        assert verify_postmark(mark, envelope, service)
        for name in ("incommingTimestamp", "incomingTimestamp"):
            mark.raw[name] = mark.incoming_timestamp + 1
            assert not verify_postmark(mark, envelope, service)
            mark.raw[name] = mark.incoming_timestamp
        assert verify_postmark(mark, envelope, service)
        assert not verify_postmark(mark, await submit(house, alice, bob, "another"), service)
        assert not verify_postmark(mark, envelope, keys_of(house, "alice").signing.public)
