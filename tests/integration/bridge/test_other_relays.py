"""Recipients at other delivery services: submission over HTTP, fall-back in the recipient's order, refusals."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.demo.chain.running import RunningChain
from gateway.dm3.data_uri import data_uri
from gateway.dm3.envelope import envelope_hashes, parse_envelope
from gateway.dm3.keys import ServiceKeys
from gateway.dm3.service_profile import DeliveryServiceProfile
from gateway.dm3.user_profile import UserProfile, sign_profile
from gateway.ids import EnsName
from gateway.operations.dm3_client import Dm3Client
from gateway.sdk import DeliveryState
from tests.support.adapters import PaperAdapter
from tests.support.asgi import serving
from tests.support.house import House, running_house
from tests.support.waiting import mail_of, until

BOB = "bob@example.org"


@dataclass
class ScriptedService:
    """A delivery service that answers as a test tells it; what it takes lies on `taken`."""

    answers: list[tuple[int, Any]] = field(default_factory=list)
    properties: dict[str, Any] = field(default_factory=lambda: {"sizeLimit": 100_000})
    taken: list[str] = field(default_factory=list)
    keys: ServiceKeys = field(default_factory=ServiceKeys.generate)

    async def handle(self, request: Request) -> Response:
        call = await request.json()
        if call["method"] == "dm3_getDeliveryServiceProperties":
            return JSONResponse({"jsonrpc": "2.0", "id": call["id"], "result": json.dumps(self.properties)})
        self.taken.append(call["params"][0])
        status, body = self.answers.pop(0) if self.answers else (200, "OK")
        return JSONResponse(body, status) if not isinstance(body, str) else Response(body, status)

    async def wait_taken(self, number: int) -> None:
        """Until so many envelopes came."""

        async def look() -> bool | None:
            return len(self.taken) >= number or None

        await until(look)

    @asynccontextmanager
    async def at(self, chain: RunningChain, name: str) -> AsyncIterator[EnsName]:
        """Serve, with the profile in ENS under `name`."""
        app = Starlette(routes=[Route("/rpc", self.handle, methods=["POST"])])
        async with serving(app) as port:
            profile = DeliveryServiceProfile.of(self.keys, f"http://127.0.0.1:{port}")
            await asyncio.to_thread(chain.ens.register, EnsName(name))
            uri = data_uri(profile.to_text())
            await asyncio.to_thread(chain.ens.set_text, EnsName(name), "network.dm3.deliveryService", uri)
            yield EnsName(name)


async def person_at(house: House, *services: str) -> Dm3Client:
    """A native person whose profile names these services in this order."""
    client = await house.native("far.eth", "carol")
    old = client.signed_profile().profile
    profile = UserProfile(old.public_encryption_key, old.public_signing_key, services)
    signed = sign_profile(profile, house.chain.accounts["carol"].key)
    uri = data_uri(signed.to_text())
    await asyncio.to_thread(house.chain.ens.set_text, client.name, "network.dm3.profile", uri)
    return client


async def test_two_gateways_pass_messages_both_ways(tmp_path: Path) -> None:
    near_paper, far_paper = PaperAdapter(), PaperAdapter()
    async with (
        running_house(tmp_path / "near", adapters={near_paper.name: near_paper}) as near,
        running_house(
            tmp_path / "far", adapters={far_paper.name: far_paper}, chain=near.chain, parent=EnsName("far.eth")
        ) as far,
    ):
        native = await far.native("native.eth")
        await near_paper.write(BOB, native.name, "over the wire", "n1")
        (received,) = await mail_of(native)
        assert received.verified
        assert received.sender == "bob.example.org.paper.gw.eth"
        # From a person of one gateway to a person of the other.
        await far_paper.write("ann@example.net", native.name, "hello", "f1")
        await far_paper.write("ann@example.net", EnsName("bob.example.org.paper.gw.eth"), "to another bridge", "f2")
        (delivery,) = await near_paper.wait_delivered(1)
        assert delivery.sender == "ann.example.net.paper.far.eth"
        assert delivery.recipient == BOB
        report = await far_paper.wait_report(DeliveryState.DELIVERED)
        assert report.native_id == "f2"


async def test_the_next_service_is_tried_when_one_does_not_answer(house: House, paper: PaperAdapter) -> None:
    second = ScriptedService()
    async with second.at(house.chain, "second.eth") as second_name:
        dead = DeliveryServiceProfile.of(ServiceKeys.generate(), "http://127.0.0.1:9")
        await asyncio.to_thread(house.chain.ens.register, EnsName("dead.eth"))
        uri = data_uri(dead.to_text())
        await asyncio.to_thread(house.chain.ens.set_text, EnsName("dead.eth"), "network.dm3.deliveryService", uri)
        far = await person_at(house, "dead.eth", "no-such-service.eth", second_name, house.gateway.service_name)
        await paper.write(BOB, far.name, "hello", "n1")
        await second.wait_taken(1)
        assert len(second.taken) == 1


async def test_an_older_service_gets_the_older_spelling(house: House, paper: PaperAdapter) -> None:
    """The published service refuses a metadata field that it does not know with a bare 400."""
    service = ScriptedService(answers=[(400, "")])
    async with service.at(house.chain, "old.eth") as name:
        far = await person_at(house, name)
        await paper.write(BOB, far.name, "hello", "n1")
        await service.wait_taken(2)
        first, second = map(parse_envelope, service.taken)
        assert first.metadata.message_hash is not None
        assert first.metadata.encrypted_message_hash is None
        assert second.metadata.message_hash is None
        assert second.metadata.encrypted_message_hash is not None


async def test_a_doubtful_answer_is_repeated_with_the_same_envelope(house: House, paper: PaperAdapter) -> None:
    """The service took the envelope, we did not hear it: byte for byte the same comes again, and is a repeat there."""
    service = ScriptedService(answers=[(503, ""), (500, "oops"), (429, "")])
    async with service.at(house.chain, "doubtful.eth") as name:
        far = await person_at(house, name)
        await paper.write(BOB, far.name, "hello", "n1")
        await service.wait_taken(4)
        assert len(set(service.taken)) == 1


async def test_a_refusal_with_a_reason_is_final_and_told(house: House, paper: PaperAdapter) -> None:
    error = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32010, "message": "you look like spam"}}
    service = ScriptedService(answers=[(400, error)])
    async with service.at(house.chain, "strict.eth") as name:
        far = await person_at(house, name)
        await paper.write(BOB, far.name, "hello", "n1")
        report = await paper.wait_report(DeliveryState.FAILED)
        assert report.native_id == "n1"
        assert "refused" in report.reason
        assert len(service.taken) == 1


async def test_an_error_inside_a_200_is_an_error(house: House, paper: PaperAdapter) -> None:
    """A service of the specification says no in the body only."""
    error = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32001, "message": "unknown recipient"}}
    service = ScriptedService(answers=[(200, error)])
    async with service.at(house.chain, "polite.eth") as name:
        far = await person_at(house, name)
        await paper.write(BOB, far.name, "hello", "n1")
        assert (await paper.wait_report(DeliveryState.FAILED)).native_id == "n1"


async def test_what_a_service_is_too_small_for_is_told_before_it_is_sent(house: House, paper: PaperAdapter) -> None:
    service = ScriptedService(properties={"sizeLimit": 10_000})
    async with service.at(house.chain, "small.eth") as name:
        far = await person_at(house, name)
        await paper.write(BOB, far.name, "x" * 20_000, "n1")
        report = await paper.wait_report(DeliveryState.FAILED)
        assert "larger" in report.reason
        assert service.taken == []


async def test_a_profile_without_services_is_told(house: House, paper: PaperAdapter) -> None:
    far = await person_at(house)
    await paper.write(BOB, far.name, "hello", "n1")
    report = await paper.wait_report(DeliveryState.FAILED)
    assert "names no delivery service" in report.reason


async def test_a_service_that_answers_nonsense_is_tried_again(house: House, paper: PaperAdapter) -> None:
    service = ScriptedService(answers=[(502, "<html>"), (200, "<html>")])
    async with service.at(house.chain, "odd.eth") as name:
        far = await person_at(house, name)
        await paper.write(BOB, far.name, "hello", "n1")
        await service.wait_taken(2)
        hashes = {envelope_hashes(parse_envelope(text)) for text in service.taken}
        assert len(hashes) == 1
