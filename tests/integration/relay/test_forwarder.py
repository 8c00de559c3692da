"""Layers on their way: handed over byte for byte, repeated while that can help, dropped quietly when it cannot."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from starlette.applications import Starlette
from starlette.routing import Route

from gateway.app import Gateway
from gateway.dm3.data_uri import data_uri
from gateway.dm3.envelope import canonical_envelope
from gateway.dm3.keys import ServiceKeys
from gateway.dm3.layers import LayerMethod, wrap
from gateway.dm3.service_profile import DeliveryServiceProfile
from gateway.ens import relays
from gateway.ids import EnsName
from gateway.lifecycle import now_ms
from gateway.operations.dm3_client import Dm3Client
from gateway.relay import forwarder
from gateway.store.jobs import Job
from gateway.web.server import HttpServer, listen
from gateway.work import results
from tests.integration.relay.envelopes import sealed
from tests.integration.relay.forwarding import (
    FORWARDS,
    ForwardingService,
    Hands,
    forward_jobs,
    forwarding_house,
    hop_of,
    layer_for,
    odd_layer,
)
from tests.support.house import House, rpc
from tests.support.layers import envelope_text, relay
from tests.support.waiting import mail_of, until

FAR = "ds.far.eth"


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shape of waiting without its length."""
    monkeypatch.setattr(results, "BACK_OFF_SECONDS", (0.02,) * 6)
    monkeypatch.setattr(relays, "SILENCE_SECONDS", 0.05)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with forwarding_house(tmp_path / "house", working=True) as running:
        yield running


async def nothing_left(house: House) -> None:
    """Until no forwarding job is there."""

    async def look() -> bool | None:
        return not await forward_jobs(house) or None

    await until(look)


async def tried(house: House, times: int) -> Job:
    """The only forwarding job once it was tried so often."""

    async def look() -> Job | None:
        found = await forward_jobs(house)
        return found[0] if found and found[0].attempts >= times else None

    return await until(look)


async def send(house: House, layer: str) -> None:
    answer = await rpc(house, "dm3_forward", layer)
    assert answer.status_code == 200, answer.text


async def test_the_envelope_arrives_as_it_was_made(house: House) -> None:
    service, envelope = ForwardingService(), envelope_text()
    async with service.at(house.chain, FAR):
        await send(house, layer_for(house, envelope=envelope))
        await service.wait_taken(1)
        await nothing_left(house)
    assert service.taken == [envelope]
    assert service.methods == ["dm3_submitMessage"]


async def test_the_layer_inside_arrives_as_it_was_made(house: House) -> None:
    service, following = ForwardingService(), relay(FAR)
    text = wrap(envelope_text(), [hop_of(house), following.hop], destination="ds.end.eth", now=now_ms())
    async with service.at(house.chain, FAR):
        await send(house, text)
        await service.wait_taken(1)
        await nothing_left(house)
    assert service.methods == ["dm3_forward"]
    assert len(service.taken[0]) < len(text)


async def test_after_it_was_sent_on_a_replay_sends_nothing(house: House) -> None:
    service = ForwardingService()
    async with service.at(house.chain, FAR):
        layer = layer_for(house)
        await send(house, layer)
        await nothing_left(house)
        await send(house, layer)
        assert await forward_jobs(house) == []
    assert len(service.taken) == 1


async def test_doubtful_answers_are_repeated_with_the_same_bytes(house: House) -> None:
    service = ForwardingService(answers=[(503, ""), (500, "oops"), (429, ""), (502, "<html>")])
    async with service.at(house.chain, FAR):
        await send(house, layer_for(house))
        await service.wait_taken(5)
        await nothing_left(house)
    assert len(set(service.taken)) == 1


REFUSAL = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32001, "message": "secret-recipient.eth is not here"}}


@pytest.mark.parametrize("answer", [(404, REFUSAL), (200, REFUSAL), (400, ""), (405, "")])
async def test_a_refusal_ends_it_and_what_was_said_is_not_kept(house: House, answer: tuple[int, Any]) -> None:
    """The next service may name the recipient in its answer."""
    service = ForwardingService(answers=[answer])
    with structlog.testing.capture_logs() as logs:
        async with service.at(house.chain, FAR):
            await send(house, layer_for(house))
            await service.wait_taken(1)
            await nothing_left(house)
    assert len(service.taken) == 1
    [line] = [each for each in logs if each["event"] == "layer.refused"]
    assert line.keys() == {"event", "log_level", "job", "method", "error"}
    assert line["error"] == "RemoteRefused"
    assert "secret" not in json.dumps(logs)
    assert FAR not in json.dumps(logs)


async def test_what_a_busy_service_says_is_not_kept_either(house: House) -> None:
    busy = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32005, "message": "secret-recipient.eth has no room"}}
    service = ForwardingService(answers=[(200, busy)] * 1000)
    with structlog.testing.capture_logs() as logs:
        async with service.at(house.chain, FAR):
            await send(house, layer_for(house))
            job = await tried(house, 2)
    assert "secret" not in job.reason
    assert "secret" not in json.dumps(logs)


async def test_a_relay_that_does_not_offer_forwarding_never_gets_the_bytes(house: House) -> None:
    """Anybody can write anybody's URL into a record of their own."""
    service = ForwardingService(properties={"sizeLimit": 1_000_000})
    text = wrap(envelope_text(), [hop_of(house), relay(FAR).hop], destination="ds.end.eth", now=now_ms())
    async with service.at(house.chain, FAR):
        await send(house, text)
        await nothing_left(house)
    assert service.times_asked == 1
    assert service.methods == []


@pytest.mark.parametrize("offer", [{"version": 2}, {"version": True}, {"version": "1"}, {}, [], "yes", True])
async def test_an_offer_that_is_not_understood_is_none(house: House, offer: Any) -> None:
    service = ForwardingService(properties={**FORWARDS, "forward": offer})
    text = wrap(envelope_text(), [hop_of(house), relay(FAR).hop], destination="ds.end.eth", now=now_ms())
    async with service.at(house.chain, FAR):
        await send(house, text)
        await nothing_left(house)
    assert service.methods == []


async def test_a_layer_larger_than_the_next_relay_takes_is_not_sent(house: House) -> None:
    service = ForwardingService(properties={**FORWARDS, "sizeLimit": 10_000})
    text = wrap(envelope_text(), [hop_of(house), relay(FAR).hop], destination="ds.end.eth", now=now_ms())
    async with service.at(house.chain, FAR):
        await send(house, text)
        await nothing_left(house)
    assert service.methods == []


async def test_a_name_that_is_no_service_is_looked_up_some_more_times(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarder, "PROFILE_TRIES", 3)
    with structlog.testing.capture_logs() as logs:
        await send(house, layer_for(house, to="ds.nowhere.eth"))
        await nothing_left(house)
    assert [each["error"] for each in logs if each["event"] == "layer.refused"] == ["UnknownName"]
    assert len([each for each in logs if each["event"] == "job.later"]) == 2
    assert "nowhere" not in json.dumps(logs)


@pytest.mark.weakness(12)
@pytest.mark.attack(13)
async def test_a_service_on_a_forbidden_address_is_not_asked(tmp_path: Path) -> None:
    """What holds for profiles holds for next hops: the guarded client asks."""
    overrides = {"DM3_GATEWAY__CHAIN__ALLOW_PRIVATE_GATEWAYS": "false"}
    service = ForwardingService()
    async with forwarding_house(tmp_path / "house", working=True, overrides=overrides) as house:
        with structlog.testing.capture_logs() as logs:
            async with service.at(house.chain, FAR):
                await send(house, layer_for(house))
                await nothing_left(house)
    assert [each["error"] for each in logs if each["event"] == "layer.refused"] == ["FetchRefused"]
    assert (service.times_asked, service.taken) == (0, [])


async def test_an_endless_answer_is_cut_off(house: House) -> None:
    service = ForwardingService(answers=[(200, "x" * 10_000_000)])
    async with service.at(house.chain, FAR):
        await send(house, layer_for(house))
        await nothing_left(house)
    assert len(service.taken) == 1


async def test_a_layer_whose_time_ends_while_it_waits_is_dropped(tmp_path: Path) -> None:
    clock = Hands()
    service = ForwardingService(answers=[(503, "")] * 1000)
    async with forwarding_house(tmp_path / "house", working=True, clock=clock) as house:
        with structlog.testing.capture_logs() as logs:
            async with service.at(house.chain, FAR):
                await send(house, odd_layer(house, valid_until=clock.now + 1_000, next=FAR))
                await service.wait_taken(1)
                clock.now += 1_000
                await nothing_left(house)
    assert [each["event"] for each in logs if each["event"].startswith("layer.")] == ["layer.accepted", "layer.expired"]


async def test_a_wait_is_kept_by_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Hands()
    service = ForwardingService()
    async with forwarding_house(tmp_path / "house", working=True, clock=clock) as house, service.at(house.chain, FAR):
        monkeypatch.setattr("gateway.relay.forward.Forwarding._delay_ms", lambda *_: 60_000)
        await send(house, layer_for(house, now=clock.now, max_delay_ms=60_000))
        monkeypatch.setattr("gateway.relay.forward.Forwarding._delay_ms", lambda *_: 0)
        await send(house, layer_for(house, now=clock.now, to=FAR))
        await service.wait_taken(1)

        async def one_left() -> Job | None:
            found = await forward_jobs(house)
            return found[0] if len(found) == 1 else None

        waiting = await until(one_left)
        assert (waiting.id, waiting.attempts) == (1, 0)
        clock.now += 60_000
        await service.wait_taken(2)


# --- ourselves as the next hop --------------------------------------------------------------------------------------


async def test_the_last_relay_may_be_the_recipients_own(house: House) -> None:
    alice, bob = await house.native("alice.eth", "alice"), await house.native("bob.eth", "bob")
    envelope = canonical(house, alice, bob)
    own = house.gateway.service_name
    await send(house, layer_for(house, envelope=envelope, to=own))
    (received,) = await mail_of(bob)
    assert received.verified
    assert received.sender == "alice.eth"
    twice = wrap(envelope, [hop_of(house), hop_of(house)], destination=own, now=now_ms())
    await send(house, twice)
    await nothing_left(house)
    assert len(await mail_of(bob)) == 1, "the same envelope again"


async def test_an_envelope_that_our_own_relay_refuses_is_dropped(house: House) -> None:
    with structlog.testing.capture_logs() as logs:
        await send(house, layer_for(house, to=house.gateway.service_name))
        await nothing_left(house)
    assert [each["error"] for each in logs if each["event"] == "layer.refused"] == ["DecryptionFailed"]


async def test_a_relay_that_forwards_no_longer_ends_what_it_took(tmp_path: Path) -> None:
    service, far = ForwardingService(), relay(FAR)
    async with forwarding_house(tmp_path / "house") as house, service.at(house.chain, FAR):
        await send(house, layer_for(house))
        own = [hop_of(house), hop_of(house), far.hop]
        await send(house, wrap(envelope_text(), own, destination="ds.end.eth", now=now_ms()))
        off = house.settings.model_copy(update={"relay": house.settings.relay.model_copy(update={"forward": False})})
        await house.gateway.close()
        with structlog.testing.capture_logs() as logs:
            async with at_work(await Gateway.open(off, {})):
                await service.wait_taken(1)

                async def refused() -> bool | None:
                    return any(each.get("error") == "MethodNotSupported" for each in logs) or None

                await until(refused)


def canonical(house: House, alice: Dm3Client, bob: Dm3Client) -> str:
    return canonical_envelope(sealed(house, alice, bob))


@asynccontextmanager
async def at_work(gateway: Gateway) -> AsyncIterator[str]:
    """A gateway at work on a port of its own; the URL of its JSON-RPC door."""
    server = HttpServer(gateway.app, listen("127.0.0.1", 0))
    try:
        await gateway.start()
        await server.start()
        yield f"http://127.0.0.1:{server.port}/rpc"
    finally:
        await server.stop()
        await gateway.close()


# --- crashes and absence --------------------------------------------------------------------------------------------


@pytest.mark.attack(4)
async def test_what_was_answered_ok_survives_a_restart_and_a_replay_is_still_known(tmp_path: Path) -> None:
    """The node dies between acceptance and forwarding; the next one finds the job and the id."""
    service = ForwardingService()
    async with forwarding_house(tmp_path / "house") as house, service.at(house.chain, FAR):
        layer = layer_for(house)
        await send(house, layer)
        [before] = await forward_jobs(house)
        await house.gateway.close()
        again = await Gateway.open(house.settings, {})
        async with at_work(again) as url:
            call = {"jsonrpc": "2.0", "id": 1, "method": "dm3_forward", "params": [layer]}
            assert (await house.http.post(url, json=call)).status_code == 200
            await service.wait_taken(1)

            async def gone() -> bool | None:
                house.gateway.store = again.store
                return not await forward_jobs(house) or None

            await until(gone)
        assert service.taken == [json.loads(before.payload)["payload"]]


async def test_a_relay_that_is_down_gets_it_later(house: House) -> None:
    """Its port is closed, then it answers at the same address."""
    service = ForwardingService()
    with listen("127.0.0.1", 0) as found:
        port: int = found.getsockname()[1]
    profile = DeliveryServiceProfile.of(ServiceKeys.generate(), f"http://127.0.0.1:{port}")
    await asyncio.to_thread(house.chain.ens.register, EnsName(FAR))
    uri = data_uri(profile.to_text())
    await asyncio.to_thread(house.chain.ens.set_text, EnsName(FAR), "network.dm3.deliveryService", uri)
    await send(house, layer_for(house))
    text = wrap(envelope_text(), [hop_of(house), relay(FAR).hop], destination="ds.end.eth", now=now_ms())
    await send(house, text)
    await tried(house, 3)
    app = Starlette(routes=[Route("/rpc", service.handle, methods=["POST"])])
    server = HttpServer(app, listen("127.0.0.1", port))
    await server.start()
    try:
        await service.wait_taken(2)
        await nothing_left(house)
    finally:
        await server.stop()
    assert sorted(service.methods) == sorted(LayerMethod)


async def test_a_dead_hop_does_not_hold_up_others(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty layers for a port that nobody listens on, and one for somebody who is there."""
    monkeypatch.setattr(results, "BACK_OFF_SECONDS", (3600,) * 6)
    dead = DeliveryServiceProfile.of(ServiceKeys.generate(), "http://127.0.0.1:9")
    await asyncio.to_thread(house.chain.ens.register, EnsName("ds.dead.eth"))
    uri = data_uri(dead.to_text())
    await asyncio.to_thread(house.chain.ens.set_text, EnsName("ds.dead.eth"), "network.dm3.deliveryService", uri)
    for _ in range(60):
        await send(house, layer_for(house, to="ds.dead.eth"))
    service = ForwardingService()
    async with service.at(house.chain, FAR):
        await send(house, layer_for(house))
        await service.wait_taken(1)
    assert len(await forward_jobs(house)) == 60
