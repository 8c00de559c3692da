"""`/api/v1/names` and `/api/v1/claims`: looking at names, claiming them, and what their owners order."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from gateway.bodies import Bodies
from gateway.dm3.canonical import parse_json
from gateway.dm3.eth import checksum, parse_address
from gateway.ens.names import normalise
from gateway.errors import NotFound
from gateway.ids import EnsName
from gateway.lifecycle import Clock
from gateway.rates import Rate, asker_of
from gateway.store import Store
from gateway.store.names import ListNames, NameNamed, NameRow
from gateway.subnames.forms import (
    AvailabilityOut,
    Claim,
    NameOut,
    OrderForm,
    ResolutionOut,
    SignedOrder,
    WantedName,
    answered,
    described,
    read_form,
)
from gateway.subnames.history import public_history
from gateway.subnames.orders import LIFE_SECONDS, Order, order_json, read_order
from gateway.subnames.primary import primary_help
from gateway.subnames.registrar import Registrar, required_name
from gateway.subnames.resolution import Resolution
from gateway.subnames.shown import shown_availability, shown_name
from gateway.subnames.signing_in import SigningIn

PATH: Final = "/api/v1/names"
CLAIMS: Final = "/api/v1/claims"
MAX_BODY: Final = 128 * 2**10
MAX_PAGE: Final = 500
HISTORY: Final = 100
"""Entries of one name's history."""


class NamesApi:
    """Routes that need no session: what changes something is signed by a wallet."""

    def __init__(
        self,
        *,
        registrar: Registrar,
        signing_in: SigningIn,
        resolution: Resolution,
        store: Store,
        parent: EnsName,
        bodies: Bodies,
        looks: Rate,
        orders: Rate,
        resolutions: Rate,
        clock: Clock,
    ) -> None:
        """`parent` is meant where none is named; the rates bound reading, changing and asking the chain per asker."""
        self._registrar = registrar
        self._signing_in = signing_in
        self._resolution = resolution
        self._store = store
        self._parent = parent
        self._bodies = bodies
        self._looks = looks
        self._orders = orders
        self._resolutions = resolutions
        self._clock = clock

    def router(self) -> APIRouter:
        """All routes."""
        router = APIRouter(tags=["names"])
        add = router.add_api_route
        add(PATH, self.directory, methods=["GET"])
        add(f"{PATH}/{{name}}", self.name, methods=["GET"], openapi_extra=described(gives=NameOut))
        available = described(gives=AvailabilityOut)
        add(f"{PATH}/{{name}}/availability", self.availability, methods=["GET"], openapi_extra=available)
        add(f"{PATH}/{{name}}/history", self.history, methods=["GET"])
        add(f"{PATH}/{{name}}/primary", self.primary, methods=["GET"])
        resolved = described(gives=ResolutionOut)
        add(f"{PATH}/{{name}}/resolution", self.resolution, methods=["GET"], openapi_extra=resolved)
        prepare, orders = f"{PATH}/{{name}}/orders/prepare", f"{PATH}/{{name}}/orders"
        add(prepare, self.prepare, methods=["POST"], openapi_extra=described(takes=OrderForm))
        add(orders, self.order, methods=["POST"], openapi_extra=described(takes=SignedOrder, gives=NameOut))
        add(f"{CLAIMS}/message", self.claim_text, methods=["POST"], openapi_extra=described(takes=WantedName))
        add(CLAIMS, self.claim, methods=["POST"], openapi_extra=described(takes=Claim))
        return router

    async def directory(
        self,
        request: Request,
        parent: Annotated[str | None, Query(max_length=255)] = None,
        search: Annotated[str, Query(max_length=64)] = "",
        after: Annotated[str | None, Query(max_length=255)] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    ) -> Response:
        """Names whose owners want to be found, in order; `after` is the last name of the page before."""
        self._looks.take(asker_of(request.scope))
        wanted = self._parent_of(parent)
        cursor = None if after is None else required_name(after)
        rows = await self._store.read(ListNames(wanted, limit, cursor, listed=True, containing=search.lower()))
        shown = [(await self._shown(row)).model_dump() for row in rows]
        return JSONResponse({"names": shown, "next": rows[-1].name if len(rows) == limit else None})

    async def name(self, name: str, request: Request) -> Response:
        """One name: owner, records, level, term."""
        self._looks.take(asker_of(request.scope))
        return answered(await self._shown(await self._registrar.named(required_name(name))))

    async def availability(
        self,
        name: str,
        request: Request,
        parent: Annotated[str | None, Query(max_length=255)] = None,
        address: Annotated[str | None, Query(pattern=r"^0x[0-9a-fA-F]{40}$")] = None,
    ) -> Response:
        """Whether a label or name can be claimed, by `address` or by anybody; reasons and warnings in words."""
        self._looks.take(asker_of(request.scope))
        owner = None if address is None else parse_address(address)
        found = await self._registrar.availability(name, self._parent_of(parent), owner)
        return answered(shown_availability(found))

    async def history(self, name: str, request: Request) -> Response:
        """What was done to a name that somebody has or had, newest first."""
        self._looks.take(asker_of(request.scope))
        asked = required_name(name)
        self._registrar.policy_of(asked)
        if await self._store.read(NameNamed(asked)) is None:
            raise NotFound(f"nobody has {asked}")
        entries = await self._store.read(public_history(asked, HISTORY))
        shown = [
            {
                "at": logged.entry.at,
                "action": logged.entry.action,
                "actor": logged.entry.actor,
                "detail": parse_json(logged.entry.detail, max_bytes=MAX_BODY, max_depth=4),
            }
            for logged in entries
        ]
        return JSONResponse({"entries": shown})

    async def primary(self, name: str, request: Request) -> Response:
        """How the owner makes this the primary name of their address: what to call on which chain (ENSIP-19)."""
        self._looks.take(asker_of(request.scope))
        row = await self._registrar.named(required_name(name))
        return JSONResponse(primary_help(row, self._registrar.chain_id))

    async def resolution(self, name: str, request: Request) -> Response:
        """What the chain says of a name: registry, resolver contract, the gateway it names, and back; asked anew."""
        self._resolutions.take(asker_of(request.scope))
        wanted = required_name(name)
        return answered(await self._resolution.look(wanted, await self._registrar.address_of(wanted)))

    async def prepare(self, name: str, request: Request) -> Response:
        """{order, typedData}: the order with nonce and end of life, and what the wallet signs (EIP-712)."""
        self._looks.take(asker_of(request.scope))
        form = await self._form(OrderForm, request)
        row = await self._registrar.named(required_name(name))
        order = self._order(form, row.name, row.sequence)
        self._registrar.foresee(row, order)
        parent = self._registrar.policy_of(row.name).parent
        typed = order.typed_data(parent, self._registrar.chain_id)
        return JSONResponse({"order": order_json(order), "typedData": typed.to_json()})

    async def order(self, name: str, request: Request) -> Response:
        """Carries out what the owner signed."""
        self._orders.take(asker_of(request.scope))
        form = await self._form(SignedOrder, request)
        order = read_order(form.order.given(), required_name(name))
        return answered(await self._shown(await self._registrar.order(order, form.signature)))

    async def claim_text(self, request: Request) -> Response:
        """{name, message}: what the wallet of `address` signs to claim a free name (ERC-4361); good for ten minutes."""
        self._looks.take(asker_of(request.scope))
        form = await self._form(WantedName, request)
        name, owner = required_name(form.name), parse_address(form.address)
        await self._registrar.admit(self._registrar.policy_of(name), owner)
        await self._registrar.check_free(name, owner)
        message = await self._signing_in.claim_text(owner, name)
        return JSONResponse({"name": name, "address": checksum(owner), "message": message})

    async def claim(self, request: Request) -> Response:
        """{name, session}: the name is the signer's, and they are signed in."""
        self._orders.take(asker_of(request.scope))
        form = await self._form(Claim, request)
        name = required_name(form.name)
        self._registrar.policy_of(name)
        owner = await self._signing_in.check_claim(name, form.message, form.signature)
        row = await self._registrar.claim(name, owner)
        session = await self._signing_in.begin(owner)
        shown = (await self._shown(row)).model_dump()
        return JSONResponse({"name": shown, "session": {"token": session.token, "expires_at": session.expires_at}}, 201)

    def _order(self, form: OrderForm, name: EnsName, sequence: int) -> Order:
        return read_order(form.given(), name, sequence=sequence, expires=self._clock() // 1000 + LIFE_SECONDS)

    def _parent_of(self, text: str | None) -> EnsName:
        parent = self._parent if text is None else normalise(text)
        if parent not in self._registrar.policies:
            raise NotFound(f"no names are issued under {parent}")
        return parent

    async def _shown(self, row: NameRow) -> NameOut:
        linked = await self._registrar.linked(row.name)
        return shown_name(row, self._registrar.policy_of(row.name), linked)

    async def _form(self, model: type[BaseModel], request: Request) -> Any:
        return read_form(model, await self._bodies.json(request, max_bytes=MAX_BODY, max_depth=6))
