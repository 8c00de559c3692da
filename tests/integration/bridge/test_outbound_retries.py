"""Submissions that do not succeed at once: silent services, server errors, repeats that must be the same message."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gateway.bridge import outbound
from gateway.bridge.composing import Composer
from gateway.bridge.jobs import JobKind, decode_outbound
from gateway.dm3.envelope import envelope_hashes, hash_of_encrypted, parse_envelope
from gateway.dm3.keys import ServiceKeys
from gateway.dm3.service_profile import DeliveryServiceProfile
from gateway.ens import relays as other_services
from gateway.ens.egress import GuardedClient
from gateway.ens.relays import CALLS_AT_ONCE, RemoteRelays
from gateway.errors import FetchFailed, LimitExceeded, RemoteRefused
from gateway.ids import EnsName, Network
from gateway.offload import INLINE_BYTES
from gateway.sdk import DeliveryState
from gateway.store.jobs import JobState
from gateway.store.messagemap import NativeOf
from gateway.store.queue import QueueList
from tests.integration.bridge.scripted import BOB, ScriptedService, person_at, publish_service, refusal
from tests.support.adapters import PaperAdapter
from tests.support.house import House
from tests.support.waiting import mail_of, until


@dataclass
class Tarpit:
    """Accepts every connection and never says a word."""

    port: int = 0
    connections: int = 0
    most_open: int = 0
    _open: int = 0
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Tarpit]:
        """Listen on a free port."""

        async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            self._open += 1
            self.most_open = max(self.most_open, self._open)
            self._writers.append(writer)
            try:
                await reader.read()
            except ConnectionError:
                pass
            finally:
                self._open -= 1

        server = await asyncio.start_server(keep, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer in self._writers:
                writer.close()
            await server.wait_closed()

    @property
    def profile(self) -> DeliveryServiceProfile:
        """As a delivery service."""
        return DeliveryServiceProfile.of(ServiceKeys.generate(), f"http://127.0.0.1:{self.port}")

    async def publish(self, house: House, name: str) -> None:
        """Put the profile into ENS."""
        await publish_service(house.chain, name, self.profile.url)


class Hands:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def tarpit() -> AsyncIterator[Tarpit]:
    async with Tarpit().open() as pit:
        yield pit


@pytest.fixture
async def client() -> AsyncIterator[GuardedClient]:
    async with GuardedClient(allow_private=True, max_connections=100, timeout=30) as opened:
        yield opened


async def test_a_silent_service_is_asked_by_a_few_and_then_left_alone(
    tarpit: Tarpit, client: GuardedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(other_services, "PATIENCE_SECONDS", 2.0)
    clock = Hands()
    relays = RemoteRelays(client, clock)
    outcomes = await asyncio.gather(*(relays.submit(tarpit.profile, "{}") for _ in range(50)), return_exceptions=True)
    assert {type(each) for each in outcomes} <= {FetchFailed, LimitExceeded}
    assert tarpit.connections == CALLS_AT_ONCE, "who waited for a turn does not try what has just failed"
    with pytest.raises(FetchFailed, match="a moment ago"):
        await relays.submit(tarpit.profile, "{}")
    assert tarpit.connections == CALLS_AT_ONCE
    clock.now += other_services.SILENCE_SECONDS
    with pytest.raises(FetchFailed, match="within"):
        await relays.submit(tarpit.profile, "{}")
    assert tarpit.connections == CALLS_AT_ONCE + 1


async def test_who_waits_for_a_turn_at_an_unknown_service_does_not_wait_for_long(
    tarpit: Tarpit, client: GuardedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(other_services, "TURN_SECONDS_UNKNOWN", 0.01)
    relays = RemoteRelays(client)
    first = [asyncio.create_task(relays.submit(tarpit.profile, "{}")) for _ in range(CALLS_AT_ONCE)]

    async def all_under_way() -> bool | None:
        return tarpit.connections == CALLS_AT_ONCE or None

    await until(all_under_way)
    with pytest.raises(LimitExceeded):
        await relays.submit(tarpit.profile, "{}")
    assert not any(task.done() for task in first)
    for task in first:
        task.cancel()
    await asyncio.gather(*first, return_exceptions=True)


async def test_a_service_that_answers_again_is_used_again(house: House, client: GuardedClient) -> None:
    clock = Hands()
    relays = RemoteRelays(client, clock)
    service = ScriptedService()
    async with service.at(house.chain, "back.eth") as name:
        profile = await house.profiles.delivery_service(name)
        await relays.submit(profile, "one")
    with pytest.raises(FetchFailed):
        await relays.submit(profile, "two")
    clock.now += other_services.SILENCE_SECONDS
    async with service.at(house.chain, "again.eth") as name:
        await relays.submit(await house.profiles.delivery_service(name), "three")
    assert service.taken == ["one", "three"]


@pytest.mark.parametrize(
    ("status", "body", "later"),
    [
        (500, refusal(-32603), True),
        (500, refusal(-32010), True),
        (503, "", True),
        (502, "<html>", True),
        (200, refusal(-32603), True),
        (400, refusal(-32603), True),
        (200, refusal(-32005), True),
        (429, refusal(-32010), True),
        (400, refusal(-32010), False),
        (200, refusal(-32010), False),
        (404, "", False),
        (413, "", False),
    ],
)
async def test_only_a_refusal_of_the_envelope_is_final(
    house: House, client: GuardedClient, status: int, body: Any, later: bool
) -> None:
    service = ScriptedService(answers=[(status, body)])
    async with service.at(house.chain, "judge.eth") as name:
        profile = await house.profiles.delivery_service(name)
        with pytest.raises(LimitExceeded if later else RemoteRefused):
            await RemoteRelays(client).submit(profile, "{}")


async def test_a_dead_service_does_not_hold_up_a_live_one(house: House, paper: PaperAdapter, tarpit: Tarpit) -> None:
    """More conversations with the dead one than there are places for outbound lanes."""
    await tarpit.publish(house, "tarpit.eth")
    live = ScriptedService()
    async with live.at(house.chain, "live.eth") as live_name:
        stuck = await person_at(house, "tarpit.eth")
        for number in range(80):
            await paper.write(f"p{number}@example.org", stuck.name, "hello", f"dead-{number}")

        async def being_tried() -> bool | None:
            return tarpit.connections >= CALLS_AT_ONCE or None

        await until(being_tried)
        native = await house.native("lively.eth", "native", service=live_name)
        await paper.write(BOB, native.name, "hello", "n1")
        await live.wait_taken(1)
        assert tarpit.most_open <= CALLS_AT_ONCE

        async def only_the_dead_wait() -> bool | None:
            waiting = await house.gateway.store.read(QueueList(JobState.READY, 200))
            return len([job for job in waiting if job.kind == JobKind.OUTBOUND]) == 80 or None

        await until(only_the_dead_wait)


async def test_a_try_at_slow_services_ends(
    house: House, paper: PaperAdapter, tarpit: Tarpit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "TRY_SECONDS", 0.2)
    await tarpit.publish(house, "tarpit.eth")
    far = await person_at(house, "tarpit.eth")
    await paper.write(BOB, far.name, "hello", "n1")

    async def tried_again() -> bool | None:
        jobs = await house.gateway.store.read(QueueList(JobState.READY, 10))
        return any(job.attempts >= 2 for job in jobs) or None

    await until(tried_again)
    assert paper.reports == []


async def test_what_is_mapped_is_the_envelope_that_was_sent(
    house: House, paper: PaperAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first answer is lost; what would be signed now differs, but the service has the first one."""
    service = ScriptedService(answers=[(503, "")])
    compose = Composer.compose

    async def another_each_time(self: Composer, work: Any, sender: Any) -> Any:
        return await compose(self, replace(work, text=f"{work.text} after {len(service.taken)} tries"), sender)

    monkeypatch.setattr(Composer, "compose", another_each_time)
    async with service.at(house.chain, "doubtful.eth") as name:
        far = await person_at(house, name)
        await paper.write(BOB, far.name, "hello", "n1")
        await service.wait_taken(2)
        assert service.taken[0] == service.taken[1]
        sent = parse_envelope(service.taken[0])

        async def mapped() -> Any:
            return await house.gateway.store.read(NativeOf(Network("paper"), envelope_hashes(sent)[0])) or None

        (link,) = await until(mapped)
        assert link.native_id == "n1"
        assert link.encrypted_hash == hash_of_encrypted(sent.message)


async def test_a_changed_key_of_the_service_means_sealing_again(
    house: House, paper: PaperAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = ScriptedService(answers=[(503, ""), (503, "")])
    async with service.at(house.chain, "rotating.eth") as name:
        far = await person_at(house, name)
        profiles = house.gateway._worker._handlers[JobKind.OUTBOUND]._profiles  # type: ignore[attr-defined]
        look_up = profiles.delivery_service
        other = ServiceKeys.generate()

        async def rotated(name: EnsName, *, fresh: bool = False) -> DeliveryServiceProfile:
            profile = await look_up(name, fresh=fresh)
            return DeliveryServiceProfile.of(other, profile.url) if len(service.taken) >= 2 else profile

        monkeypatch.setattr(profiles, "delivery_service", rotated)
        await paper.write(BOB, far.name, "hello", "n1")
        await service.wait_taken(3)
        first, second, third = service.taken
        assert first == second != third


async def test_only_the_newest_envelope_of_a_service_is_kept(
    house: House, paper: PaperAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = ScriptedService(answers=[(503, "")] * 1000)
    async with service.at(house.chain, "keys.eth") as name:
        far = await person_at(house, name)
        digest = outbound._key_digest
        monkeypatch.setattr(outbound, "_key_digest", lambda *keys: digest(*keys)[:-1] + str(len(service.taken) % 10))
        await paper.write(BOB, far.name, "hello", "n1")
        await service.wait_taken(4)
        (job,) = await house.gateway.store.read(QueueList(JobState.READY, 10))
        assert len(decode_outbound(job.payload).sealed) == 1
    assert len(set(service.taken[:4])) == 4


async def test_a_large_message_arrives(house: House, paper: PaperAdapter) -> None:
    """Beyond the bound it goes through a thread: decoded, signed, sealed, mapped."""
    native = await house.native("large.eth")
    await paper.write(BOB, native.name, "x" * (INLINE_BYTES + 1), "n1")
    (received,) = await mail_of(native)
    assert received.verified
    assert len(received.message.text or "") > INLINE_BYTES


async def test_a_failure_report_follows_a_final_refusal_after_a_server_error(house: House, paper: PaperAdapter) -> None:
    service = ScriptedService(answers=[(500, refusal(-32603)), (400, refusal(-32010))])
    async with service.at(house.chain, "late.eth") as name:
        far = await person_at(house, name)
        await paper.write(BOB, far.name, "hello", "n1")
        assert (await paper.wait_report(DeliveryState.FAILED)).native_id == "n1"
        assert len(service.taken) == 2
