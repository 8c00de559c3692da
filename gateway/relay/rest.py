"""The REST door of the relay: log-in, profiles, pick-up and acknowledgement, in the reference's shapes."""

from __future__ import annotations

import contextlib
from typing import Final

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from gateway.bodies import Bodies
from gateway.custody.directory import Directory
from gateway.dm3.canonical import Json
from gateway.dm3.profile import DeliveryServiceProfile, SignedProfile, parse_signed_profile
from gateway.ens.names import normalise
from gateway.errors import BadProfile, GatewayError, InvalidInput, InvalidName, TooLarge
from gateway.ids import EnsName
from gateway.lifecycle import Clock
from gateway.offload import NAME_BYTES, Offload, outside_ascii
from gateway.rates import Rate, asker_of
from gateway.relay.accounts import Accounts
from gateway.relay.sessions import Sessions
from gateway.relay.turned_away import TurnedAway
from gateway.store import Store
from gateway.store.mailbox import Acknowledge, PickUp, PickUpBodies

PAGE: Final = 1000
"""Envelopes of one pick-up; what is acknowledged makes room for the next."""
MAX_ACKNOWLEDGEMENTS: Final = 5000
MAX_BODY: Final = 1_000_000
REGISTERED: Final = "registered"
"""What registration answers in the place of a token."""


class RestApi:
    """Routes of the reference's delivery service (reference surface, sections of the same names)."""

    def __init__(
        self,
        *,
        sessions: Sessions,
        accounts: Accounts,
        directory: Directory,
        store: Store,
        service_profile: DeliveryServiceProfile,
        clock: Clock,
        bodies: Bodies,
        rate: Rate,
        calls: Rate,
        offload: Offload,
    ) -> None:
        """`rate` is that of log-ins and registrations, `calls` that of everything anybody may ask."""
        self._sessions = sessions
        self._accounts = accounts
        self._directory = directory
        self._store = store
        self._service_profile = service_profile
        self._clock = clock
        self._bodies = bodies
        self._rate = rate
        self._calls = calls
        self._offload = offload

    def router(self) -> APIRouter:
        """All routes, with and without ``/ds`` in front and a slash behind."""
        router = APIRouter(tags=["delivery service"], dependencies=[Depends(TurnedAway(self._rate))])
        for prefix in ("/ds", ""):
            for path, method, endpoint in (
                ("/hello", "GET", self.hello),
                ("/delivery-service-profile", "GET", self.delivery_service_profile),
                ("/profile/{name}", "GET", self.profile),
                ("/profile/{name}", "POST", self.register),
                ("/auth/{name}", "GET", self.challenge),
                ("/auth/{name}", "POST", self.log_in),
                ("/delivery/messages/incoming/{name}", "GET", self.incoming),
                ("/delivery/messages/{name}/contact/{contact}", "GET", self.from_contact),
                ("/delivery/messages/{name}/syncAcknowledgements", "POST", self.acknowledge),
            ):
                documented = prefix == "/ds"
                kind = PlainTextResponse if path == "/hello" else JSONResponse
                router.add_api_route(
                    prefix + path, endpoint, methods=[method], include_in_schema=documented, response_class=kind
                )
                router.add_api_route(prefix + path + "/", endpoint, methods=[method], include_in_schema=False)
        return router

    async def hello(self) -> Response:
        """Says that a delivery service is here."""
        return PlainTextResponse("Hello DM3")

    async def delivery_service_profile(self) -> Response:
        """The JSON that belongs into the text record network.dm3.deliveryService."""
        return JSONResponse(self._service_profile.to_json())

    async def profile(self, name: str, request: Request) -> Response:
        """The signed profile of a name, as ENS (or this gateway) publishes it."""
        self._calls.take(asker_of(request.scope))
        found = await self._directory.user(normalise(name))
        return JSONResponse(found.signed.to_json())

    async def register(self, name: str, request: Request) -> Response:
        """Body: the signed profile that ENS publishes for this name. Makes an account, and gives no right to its mail.

        Answers a JSON string, because clients keep it as their token until they are told to log in (401).
        """
        self._rate.take(asker_of(request.scope))
        try:
            await self._accounts.register(normalise(name), _signed_profile(await self._read(request)))
        except GatewayError as error:
            return _refusal(error)
        return JSONResponse(REGISTERED)

    async def challenge(self, name: str, request: Request) -> Response:
        """A challenge to sign, as a JSON string."""
        self._rate.take(asker_of(request.scope))
        return JSONResponse(await self._sessions.challenge(normalise(name)))

    async def log_in(self, name: str, request: Request) -> Response:
        """Body {signature, challenge}; answers a bearer token as a JSON string."""
        self._rate.take(asker_of(request.scope))
        try:
            body = _object(await self._read(request), ("signature", "challenge"))
            token = await self._sessions.log_in(normalise(name), body["challenge"], body["signature"])
            await self._accounts.logged_in(normalise(name))
        except GatewayError as error:
            return _refusal(error)
        return JSONResponse(token)

    async def incoming(self, name: str, authorization: str | None = Header(None)) -> Response:
        """All waiting envelopes, newest first."""
        return await self._pick_up(name, authorization, None)

    async def from_contact(self, name: str, contact: str, authorization: str | None = Header(None)) -> Response:
        """Waiting envelopes of one sender, newest first."""
        return await self._pick_up(name, authorization, normalise(contact))

    async def _pick_up(self, name: str, authorization: str | None, sender: EnsName | None) -> Response:
        session = await self._sessions.authenticate(authorization, name)
        names = await self._sessions.readable_names(session)
        page = PickUp(session.address, self._clock(), PAGE, sender=sender, names=names)
        # Bodies are JSON already, written once when the envelope came in.
        bodies = await self._store.read(PickUpBodies(page))
        return Response(b"[%b]" % b",".join(reversed(bodies)), media_type="application/json")

    async def acknowledge(self, name: str, request: Request, authorization: str | None = Header(None)) -> Response:
        """Body {acknowledgements: [{contactAddress, messageHash}]}: those envelopes are deleted.

        Pairs that are not there are ignored: the messenger acknowledges every hash with every contact. So is one whose
        contact is no ENS name: no envelope here has such a sender, and the rest of the batch must not suffer.
        """
        session = await self._sessions.authenticate(authorization, name)
        named = _acknowledgements(await self._read(request))
        slow = outside_ascii(contact for contact, _ in named)
        # Each costs what one costs that is asked for on its own.
        self._calls.take(asker_of(request.scope), slow)
        pairs = await self._offload.run(slow * NAME_BYTES, _normalised, named)
        names = await self._sessions.readable_names(session)
        await self._store.commit(Acknowledge(session.address, pairs, names))
        return Response(status_code=200)

    async def _read(self, request: Request) -> Json:
        return await self._bodies.json(request, max_bytes=MAX_BODY, max_depth=4)


def _refusal(error: GatewayError) -> Response:
    """400 for whatever the client did wrong: the messenger compares status and text, and then registers again."""
    return JSONResponse({"error": error.sentence}, error.status if error.retry or isinstance(error, TooLarge) else 400)


def _signed_profile(value: Json) -> SignedProfile:
    if not isinstance(value, dict):
        raise BadProfile("the body must be a signed profile")
    return parse_signed_profile(value)


def _object(value: Json, keys: tuple[str, ...]) -> dict[str, str]:
    if not isinstance(value, dict):
        raise InvalidInput("the body must be an object")
    found = {key: value.get(key) for key in keys}
    texts = {key: text for key, text in found.items() if isinstance(text, str)}
    if len(texts) != len(keys):
        raise InvalidInput(f"the body must hold the strings {', '.join(keys)}")
    return texts


def _acknowledgements(value: Json) -> list[tuple[str, str]]:
    """Contacts as they were named, and hashes."""
    entries = value.get("acknowledgements") if isinstance(value, dict) else None
    if not isinstance(entries, list) or len(entries) > MAX_ACKNOWLEDGEMENTS:
        raise InvalidInput(f"acknowledgements must be an array of at most {MAX_ACKNOWLEDGEMENTS}")
    texts = [_object(entry, ("contactAddress", "messageHash")) for entry in entries]
    return [(text["contactAddress"], text["messageHash"].lower()) for text in texts]


def _normalised(named: list[tuple[str, str]]) -> tuple[tuple[EnsName, str], ...]:
    pairs = []
    for contact, digest in named:
        with contextlib.suppress(InvalidName):
            pairs.append((normalise(contact), digest))
    return tuple(pairs)
