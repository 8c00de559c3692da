"""A delivery service under the control of a test, and people who use it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.bridge.jobs import JobKind
from gateway.bridge.outbound import Outbound
from gateway.demo.chain.running import RunningChain
from gateway.dm3.data_uri import data_uri
from gateway.dm3.delivery_information import DeliveryInformation
from gateway.dm3.encryption import decrypt
from gateway.dm3.envelope import Dialect, open_delivery_information, parse_envelope
from gateway.dm3.keys import ServiceKeys
from gateway.dm3.message import Message, parse_message
from gateway.dm3.service_profile import DeliveryServiceProfile
from gateway.dm3.user_profile import UserProfile, sign_profile
from gateway.ids import EnsName
from gateway.operations.dm3_client import Dm3Client
from tests.integration.relay.envelopes import keys_of
from tests.support.asgi import serving
from tests.support.house import House
from tests.support.waiting import until

BOB = "bob@example.org"
BOB_NAME = EnsName("bob.example.org.paper.gw.eth")

UNKNOWN_METHOD = (405, {"error": "Method not allowed"})
"""How the reference answers to what it does not know."""
BAD_SCHEMA = (400, {"error": "invalid schema"})
"""How the reference refuses a spelling that is not its own."""


def refusal(code: int, message: str = "no") -> dict[str, Any]:
    """A JSON-RPC error response."""
    return {"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": message}}


@dataclass
class ScriptedService:
    """A delivery service that answers as a test tells it; what it takes or refuses lies on `taken`.

    `properties` and `extension` are results, which go out as a text in the reference's way, or (status, body) pairs.
    With `knows` it refuses every spelling but this one, as the reference does, before `answers` have a say.
    """

    answers: list[tuple[int, Any]] = field(default_factory=list)
    properties: Any = field(default_factory=lambda: {"sizeLimit": 100_000})
    extension: Any = UNKNOWN_METHOD
    knows: Dialect | None = None
    taken: list[str] = field(default_factory=list)
    asked: list[tuple[str, list[Any]]] = field(default_factory=list)
    keys: ServiceKeys = field(default_factory=ServiceKeys.generate)

    async def handle(self, request: Request) -> Response:
        """One JSON-RPC call."""
        call = await request.json()
        method = call["method"]
        if method in ("dm3_submitMessage", "dm3_forward"):
            return _response(self._submitted(call["params"][0]))
        self.asked.append((method, call["params"]))
        said = self.properties if method == "dm3_getDeliveryServiceProperties" else self.extension
        if not isinstance(said, tuple):
            said = (200, {"jsonrpc": "2.0", "id": call["id"], "result": json.dumps(said)})
        return _response(said)

    def _submitted(self, envelope: str) -> tuple[int, Any]:
        self.taken.append(envelope)
        if self.knows is not None and dialect_of(envelope) is not self.knows:
            return BAD_SCHEMA
        return self.answers.pop(0) if self.answers else (200, "OK")

    async def wait_taken(self, number: int) -> None:
        """Until so many envelopes came."""

        async def look() -> bool | None:
            return len(self.taken) >= number or None

        await until(look)

    @property
    def spellings(self) -> list[Dialect]:
        """Of all that came, in their order."""
        return [dialect_of(envelope) for envelope in self.taken]

    def information(self, number: int) -> DeliveryInformation:
        """What the envelope says to this service."""
        return open_delivery_information(parse_envelope(self.taken[number]), self.keys)

    @asynccontextmanager
    async def at(self, chain: RunningChain, name: str) -> AsyncIterator[EnsName]:
        """Serve, with the profile in ENS under `name`."""
        app = Starlette(routes=[Route("/rpc", self.handle, methods=["POST"])])
        async with serving(app) as port:
            await publish_service(chain, name, f"http://127.0.0.1:{port}", self.keys)
            yield EnsName(name)


async def publish_service(chain: RunningChain, name: str, url: str, keys: ServiceKeys | None = None) -> EnsName:
    """A delivery service's profile in ENS, whether or not somebody serves there."""
    profile = DeliveryServiceProfile.of(keys or ServiceKeys.generate(), url)
    await asyncio.to_thread(chain.ens.register, EnsName(name))
    uri = data_uri(profile.to_text())
    await asyncio.to_thread(chain.ens.set_text, EnsName(name), "network.dm3.deliveryService", uri)
    return EnsName(name)


async def person_at(house: House, *services: str) -> Dm3Client:
    """Carol, whose profile names these services in this order."""
    client = await house.native("far.eth", "carol")
    old = client.signed_profile().profile
    profile = UserProfile(old.public_encryption_key, old.public_signing_key, services)
    signed = sign_profile(profile, house.chain.accounts["carol"].key)
    uri = data_uri(signed.to_text())
    await asyncio.to_thread(house.chain.ens.set_text, client.name, "network.dm3.profile", uri)
    return client


def read_by_carol(house: House, envelope: str) -> Message:
    """The message inside."""
    return parse_message(decrypt(keys_of(house, "carol").encryption, parse_envelope(envelope).message))


def dialect_of(envelope: str) -> Dialect:
    """By the hash in the metadata."""
    metadata = parse_envelope(envelope).metadata
    if metadata.message_hash is not None:
        return Dialect.DEVELOP
    return Dialect.NPM if metadata.encrypted_message_hash is not None else Dialect.SPEC


def outbound_of(house: House) -> Outbound:
    """The part that a test puts something else into."""
    handler = house.gateway._worker._handlers[JobKind.OUTBOUND]
    assert isinstance(handler, Outbound)
    return handler


def _response(said: tuple[int, Any]) -> Response:
    status, body = said
    return JSONResponse(body, status) if not isinstance(body, str) else Response(body, status)
