"""`/api/v1/admin`: keys of programs, receivers of news, names kept back, and wallets that look after a parent."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from gateway.bodies import Bodies
from gateway.dm3.canonical import Json, stringify
from gateway.dm3.eth import checksum, parse_address
from gateway.errors import NotFound
from gateway.lifecycle import Clock
from gateway.store import Store
from gateway.store.admins import AddAdmin, Admin, AdminsOf, DropAdmin
from gateway.store.api_keys import ApiKey
from gateway.store.audit import Audit, AuditEntry
from gateway.store.reservations import DropReservation, Hold, ListReservations, PutReservation, Reservation
from gateway.store.webhooks import Webhook
from gateway.subnames.admin_api import PATH, Callers, keyed, parent_of
from gateway.subnames.admin_forms import KeyForm, ReservationForm, WebhookForm
from gateway.subnames.api_keys import ApiKeys
from gateway.subnames.callers import Caller, Scope
from gateway.subnames.forms import read_form
from gateway.subnames.labels import label_of
from gateway.subnames.registrar import required_name
from gateway.subnames.webhooks import Webhooks, shown_url

MAX_BODY: Final = 16 * 2**10
MAX_PAGE: Final = 500
MAX_ADMINS: Final = 200


class KeepingApi:
    """Routes for callers with the scope ``names:admin``; a key never makes one with more rights than its own."""

    def __init__(
        self, *, callers: Callers, keys: ApiKeys, webhooks: Webhooks, store: Store, bodies: Bodies, clock: Clock
    ) -> None:
        self._callers = callers
        self._keys = keys
        self._webhooks = webhooks
        self._store = store
        self._bodies = bodies
        self._clock = clock

    def router(self) -> APIRouter:
        """All routes."""
        router = APIRouter(tags=["administration"])
        add = router.add_api_route
        add(f"{PATH}/keys", self.keys, methods=["GET"], openapi_extra=keyed())
        add(f"{PATH}/keys", self.make_key, methods=["POST"], openapi_extra=keyed(takes=KeyForm))
        add(f"{PATH}/keys/{{key_id}}", self.revoke_key, methods=["DELETE"], openapi_extra=keyed())
        add(f"{PATH}/webhooks", self.webhooks, methods=["GET"], openapi_extra=keyed())
        add(f"{PATH}/webhooks", self.add_webhook, methods=["POST"], openapi_extra=keyed(takes=WebhookForm))
        add(f"{PATH}/webhooks/{{webhook_id}}", self.drop_webhook, methods=["DELETE"], openapi_extra=keyed())
        add(f"{PATH}/webhooks/{{webhook_id}}/enable", self.enable_webhook, methods=["POST"], openapi_extra=keyed())
        add(f"{PATH}/admins", self.admins, methods=["GET"], openapi_extra=keyed())
        add(f"{PATH}/admins/{{address}}", self.add_admin, methods=["PUT"], openapi_extra=keyed())
        add(f"{PATH}/admins/{{address}}", self.drop_admin, methods=["DELETE"], openapi_extra=keyed())
        add(f"{PATH}/reservations", self.reservations, methods=["GET"], openapi_extra=keyed())
        reservation = f"{PATH}/reservations/{{name}}"
        add(reservation, self.reserve, methods=["PUT"], openapi_extra=keyed(takes=ReservationForm))
        add(reservation, self.unreserve, methods=["DELETE"], openapi_extra=keyed())
        return router

    async def keys(self, request: Request) -> Response:
        """All keys of the parent; their secrets are nowhere."""
        caller = await self._admin(request)
        return JSONResponse({"keys": [_key(each) for each in await self._keys.list(parent_of(caller))]})

    async def make_key(self, request: Request) -> Response:
        """{key, token}: the token is shown this once."""
        caller = await self._admin(request)
        form = await self._form(KeyForm, request)
        scopes = frozenset(map(Scope, form.scopes))
        for scope in scopes:
            caller.require(scope, parent_of(caller))
        made = await self._keys.make(
            parent_of(caller), scopes, label=form.label, actor=caller.actor, expires_at=form.expires_at
        )
        return JSONResponse({"key": _key(made.key), "token": made.token}, 201)

    async def revoke_key(self, key_id: str, request: Request) -> Response:
        """The key is worth nothing from now on."""
        caller = await self._admin(request)
        await self._keys.revoke(parent_of(caller), key_id, actor=caller.actor)
        return Response(status_code=204)

    async def webhooks(self, request: Request) -> Response:
        """Receivers of news; of their URLs only the host is shown, because what follows is often a secret."""
        caller = await self._admin(request)
        return JSONResponse({"webhooks": [_webhook(each) for each in await self._webhooks.list(parent_of(caller))]})

    async def add_webhook(self, request: Request) -> Response:
        """{webhook, secret}: the secret is shown this once."""
        caller = await self._admin(request)
        form = await self._form(WebhookForm, request)
        new = await self._webhooks.register(
            parent_of(caller), form.url, actor=caller.actor, events=frozenset(form.events)
        )
        return JSONResponse({"webhook": _webhook(new.webhook), "secret": new.secret}, 201)

    async def drop_webhook(self, webhook_id: str, request: Request) -> Response:
        """It hears nothing more."""
        caller = await self._admin(request)
        await self._webhooks.remove(parent_of(caller), webhook_id, actor=caller.actor)
        return Response(status_code=204)

    async def enable_webhook(self, webhook_id: str, request: Request) -> Response:
        """One that was disabled after failures hears what happens from now on."""
        caller = await self._admin(request)
        await self._webhooks.enable(parent_of(caller), webhook_id, actor=caller.actor)
        return Response(status_code=204)

    async def admins(self, request: Request) -> Response:
        """Wallets that look after the parent."""
        caller = await self._admin(request)
        found = await self._store.read(AdminsOf(parent_of(caller), MAX_ADMINS))
        shown: list[Json] = [{"address": checksum(each.address), "created_at": each.created_at} for each in found]
        return JSONResponse({"admins": shown})

    async def add_admin(self, address: str, request: Request) -> Response:
        """Lets a wallet look after the parent: with its session it may do here whatever a key may."""
        caller = await self._admin(request)
        wallet, now = parse_address(address), self._clock()
        admin = Admin(parent_of(caller), wallet, now)
        await self._store.commit_all(AddAdmin(admin), self._logged(caller, "admin.added", wallet, now))
        return Response(status_code=204)

    async def drop_admin(self, address: str, request: Request) -> Response:
        """The wallet looks after the parent no longer."""
        caller = await self._admin(request)
        wallet, now = parse_address(address), self._clock()
        known = {each.address for each in await self._store.read(AdminsOf(parent_of(caller), MAX_ADMINS))}
        if wallet not in known:
            raise NotFound(f"{checksum(wallet)} does not look after {caller.parent}")
        drop = DropAdmin(parent_of(caller), wallet)
        await self._store.commit_all(drop, self._logged(caller, "admin.removed", wallet, now))
        return Response(status_code=204)

    async def reservations(
        self,
        request: Request,
        after: Annotated[str | None, Query(max_length=255)] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    ) -> Response:
        """Names that are kept back, in order."""
        caller = await self._admin(request)
        cursor = None if after is None else required_name(after)
        page = await self._store.read(ListReservations(limit, cursor, parent_of(caller)))
        shown: list[Json] = [_reservation(each) for each in page]
        return JSONResponse({"reservations": shown, "next": page[-1].name if len(page) == limit else None})

    async def reserve(self, name: str, request: Request) -> Response:
        """Keeps a name back, from everybody or for one wallet; who has it already keeps it."""
        caller = await self._admin(request)
        form, now = await self._form(ReservationForm, request), self._clock()
        kept = required_name(name)
        label_of(kept, parent_of(caller))
        holder = None if form.holder is None else parse_address(form.holder)
        reservation = Reservation(kept, Hold(form.kind), holder, form.note, now)
        await self._store.commit_all(PutReservation(reservation), self._logged(caller, "name.reserved", kept, now))
        return JSONResponse(_reservation(reservation))

    async def unreserve(self, name: str, request: Request) -> Response:
        """The name is kept back no longer."""
        caller = await self._admin(request)
        kept, now = required_name(name), self._clock()
        label_of(kept, parent_of(caller))
        drop = DropReservation(kept)
        await self._store.commit_all(drop, self._logged(caller, "name.unreserved", kept, now))
        return Response(status_code=204)

    async def _admin(self, request: Request) -> Caller:
        caller = await self._callers.caller(request)
        caller.require(Scope.ADMIN, parent_of(caller))
        return caller

    def _logged(self, caller: Caller, action: str, what: str, now: int) -> Audit:
        subject = what if action.startswith("name.") else parent_of(caller)
        detail: dict[str, Json] = {} if action.startswith("name.") else {"address": what}
        return Audit(AuditEntry(now, caller.actor, action, subject, stringify(detail)))

    async def _form(self, model: type[BaseModel], request: Request) -> Any:
        return read_form(model, await self._bodies.json(request, max_bytes=MAX_BODY, max_depth=4))


def _key(key: ApiKey) -> dict[str, Json]:
    return {
        "id": key.id,
        "label": key.label,
        "scopes": list(key.scopes),
        "created_by": key.created_by,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "used_at": key.used_at,
    }


def _webhook(webhook: Webhook) -> dict[str, Json]:
    return {
        "id": webhook.id,
        "url": shown_url(webhook.url),
        "events": list(webhook.events),
        "created_at": webhook.created_at,
        "disabled_at": webhook.disabled_at,
    }


def _reservation(kept: Reservation) -> dict[str, Json]:
    return {
        "name": kept.name,
        "kind": kept.kind,
        "holder": None if kept.holder is None else checksum(kept.holder),
        "note": kept.note,
        "created_at": kept.created_at,
    }
