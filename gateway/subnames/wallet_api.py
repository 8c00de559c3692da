"""`/api/v1/wallet`: signing in with a wallet, one's own names, and links to people of other networks."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from gateway.bodies import Bodies
from gateway.dm3.eth import checksum, parse_address
from gateway.headers import authorization_of
from gateway.ids import Network
from gateway.rates import Rate, asker_of
from gateway.store import Store
from gateway.store.names import NamesOf
from gateway.subnames.forms import (
    LinkConfirmation,
    LinkRequest,
    NameOut,
    SignedMessage,
    SignInAs,
    answered,
    described,
    read_form,
)
from gateway.subnames.labels import nearest_parent
from gateway.subnames.linking import Linking
from gateway.subnames.registrar import Registrar, required_name
from gateway.subnames.shown import shown_name
from gateway.subnames.signing_in import SigningIn

PATH: Final = "/api/v1/wallet"
NAMES: Final = "/api/v1/names"
MAX_BODY: Final = 16 * 2**10
MAX_NAMES: Final = 500


class WalletApi:
    """Routes for who has signed in. The token goes into a header and never into a cookie, so no page can lend it."""

    def __init__(
        self,
        *,
        signing_in: SigningIn,
        registrar: Registrar,
        linking: Linking,
        store: Store,
        bodies: Bodies,
        rate: Rate,
    ) -> None:
        self._signing_in = signing_in
        self._registrar = registrar
        self._linking = linking
        self._store = store
        self._bodies = bodies
        self._rate = rate

    def router(self) -> APIRouter:
        """All routes."""
        router = APIRouter(tags=["wallet"])
        add = router.add_api_route
        add(f"{PATH}/message", self.text, methods=["POST"], openapi_extra=described(takes=SignInAs))
        add(f"{PATH}/session", self.sign_in, methods=["POST"], openapi_extra=described(takes=SignedMessage))
        add(f"{PATH}/session", self.sign_out, methods=["DELETE"], openapi_extra=described(session=True))
        add(f"{PATH}/names", self.names, methods=["GET"], openapi_extra=described(session=True))
        link = f"{NAMES}/{{name}}/link"
        add(link, self.request_link, methods=["POST"], openapi_extra=described(takes=LinkRequest, session=True))
        confirm = described(takes=LinkConfirmation, gives=NameOut, session=True)
        add(f"{link}/confirm", self.confirm_link, methods=["POST"], openapi_extra=confirm)
        return router

    async def text(self, request: Request) -> Response:
        """{message}: what the wallet signs to sign in (ERC-4361); good for ten minutes."""
        self._rate.take(asker_of(request.scope))
        form = await self._form(SignInAs, request)
        return JSONResponse({"message": await self._signing_in.session_text(parse_address(form.address))})

    async def sign_in(self, request: Request) -> Response:
        """{address, token, expires_at}: a session of twelve hours."""
        self._rate.take(asker_of(request.scope))
        form = await self._form(SignedMessage, request)
        session = await self._signing_in.sign_in(form.message, form.signature)
        return JSONResponse(
            {"address": checksum(session.address), "token": session.token, "expires_at": session.expires_at}, 201
        )

    async def sign_out(self, request: Request) -> Response:
        """The token is worth nothing from now on."""
        await self._signing_in.wallet(authorization_of(request))
        await self._signing_in.sign_out(authorization_of(request))
        return Response(status_code=204)

    async def names(self, request: Request) -> Response:
        """{address, names, networks}: the wallet's names, each with whom it is linked to, and what can be linked."""
        owner = await self._signing_in.wallet(authorization_of(request))
        shown = []
        for row in await self._store.read(NamesOf(owner, MAX_NAMES)):
            # Whoever runs this no longer issues under every parent that there was.
            if nearest_parent(row.name, self._registrar.policies) is None:
                continue
            linked = await self._registrar.linked(row.name)
            out = shown_name(row, self._registrar.policy_of(row.name), linked).model_dump()
            shown.append(out | {"person": None if linked is None else linked.canonical_id})
        networks = sorted(self._linking.networks)
        return JSONResponse({"address": checksum(owner), "names": shown, "networks": networks})

    async def request_link(self, name: str, request: Request) -> Response:
        """{network, person, message, expires_at}: a code is sent to them; `message` is what the wallet signs then."""
        owner = await self._signing_in.wallet(authorization_of(request))
        self._rate.take(asker_of(request.scope))
        form = await self._form(LinkRequest, request)
        sent = await self._linking.request(owner, required_name(name), Network(form.network), form.person)
        answer = {
            "network": sent.network,
            "person": sent.person,
            "message": sent.message,
            "expires_at": sent.expires_at,
        }
        return JSONResponse(answer, 202)

    async def confirm_link(self, name: str, request: Request) -> Response:
        """The code and the wallet's signature on the profile make the link."""
        owner = await self._signing_in.wallet(authorization_of(request))
        self._rate.take(asker_of(request.scope))
        form = await self._form(LinkConfirmation, request)
        row = await self._linking.confirm(owner, required_name(name), form.code, form.signature)
        linked = await self._registrar.linked(row.name)
        return answered(shown_name(row, self._registrar.policy_of(row.name), linked))

    async def _form(self, model: type[BaseModel], request: Request) -> Any:
        return read_form(model, await self._bodies.json(request, max_bytes=MAX_BODY, max_depth=4))
