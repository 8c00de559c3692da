"""Pages for people: the front page, claiming, names, and one's own names."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from gateway.dm3.eth import parse_address
from gateway.ens.names import is_under, normalise
from gateway.errors import InvalidName, NameRefused, NotFound
from gateway.ids import EnsName
from gateway.rates import Rate, asker_of
from gateway.store import Store
from gateway.store.identities import IdentityNamed
from gateway.store.names import ListNames
from gateway.subnames.history import public_history
from gateway.subnames.labels import label_of, warnings
from gateway.subnames.policy import DAY_MS
from gateway.subnames.primary import primary_help
from gateway.subnames.registrar import Registrar
from gateway.subnames.shown import shown_name
from gateway.web.name_view import bridged_view, history_of, view_of
from gateway.web.rendering import Renderer
from gateway.web.wanted import full_name, looks_like, wanted_name

PAGES_PER_MINUTE: Final = 600
"""Of one asker; the page for claims asks while somebody types."""
PER_PAGE: Final = 50
HISTORY: Final = 50

NameText = Annotated[str, Query(max_length=255)]
Address = Annotated[str | None, Query(pattern=r"^0x[0-9a-fA-F]{40}$")]


class Pages:
    """Routes; each page says what it has to say without scripts."""

    def __init__(self, renderer: Renderer, *, registrar: Registrar, store: Store) -> None:
        self._renderer = renderer
        self._registrar = registrar
        self._store = store
        self._site = renderer.site
        self._rate = Rate(PAGES_PER_MINUTE)

    def router(self) -> APIRouter:
        """All routes."""
        router = APIRouter(include_in_schema=False)
        for path, endpoint in (
            ("/", self.home),
            ("/claim", self.claim),
            ("/me", self.me),
            ("/names", self.directory),
            ("/names/{name}", self.name),
        ):
            router.add_api_route(path, endpoint, methods=["GET"])
        return router

    async def home(self) -> Response:
        """What this is, and its doors."""
        return await self._renderer.page("home")

    async def claim(self, request: Request, name: NameText = "", address: Address = None) -> Response:
        """Whether a name can be had; claiming itself needs a wallet, and so a script."""
        self._rate.take(asker_of(request.scope))
        owner = None if address is None else parse_address(address)
        wanted = await wanted_name(self._registrar, self._site.parent, name, owner) if name.strip() else None
        policy = self._registrar.policies[self._site.parent]
        term = None if policy.term is None else policy.term // DAY_MS
        return await self._renderer.page("claim", wanted=wanted, policy=policy, term_days=term)

    async def me(self) -> Response:
        """The frame for one's own names."""
        return await self._renderer.page("me")

    async def directory(
        self, request: Request, name: NameText = "", search: NameText = "", after: NameText = ""
    ) -> Response:
        """Names whose owners want to be found; with ``name`` it leads to that name's page, listed or not."""
        self._rate.take(asker_of(request.scope))
        if name.strip():
            return _to_name(full_name(name.strip(), self._site.parent))
        wanted = search.strip().lower()
        cursor = normalise(after) if after else None
        if cursor is not None and not is_under(cursor, self._site.parent):
            raise InvalidName("the page before ended with a name of another parent")
        rows = await self._store.read(
            ListNames(self._site.parent, PER_PAGE + 1, cursor, listed=True, containing=wanted)
        )
        shown, more = rows[:PER_PAGE], len(rows) > PER_PAGE
        following = shown[-1].name if more else None
        return await self._renderer.page("names", rows=shown, search=search.strip(), following=following, after=after)

    async def name(self, name: str, request: Request) -> Response:
        """One name, of whatever level; what nobody has says so."""
        self._rate.take(asker_of(request.scope))
        normal = full_name(name, self._site.parent) if "." not in name else normalise(name)
        if normal != name:
            return _to_name(normal)
        if normal == self._site.service:
            return await self._renderer.page("service")
        return await self._issued(normal) or await self._bridged(normal) or await self._nobodys(normal)

    async def _issued(self, name: EnsName) -> Response | None:
        try:
            row, policy = await self._registrar.named(name), self._registrar.policy_of(name)
        except NotFound:
            return None
        view = view_of(shown_name(row, policy, await self._registrar.linked(name)))
        return await self._renderer.page(
            "name",
            view=view,
            history=history_of(await self._store.read(public_history(name, HISTORY))),
            warnings=warnings(view.label),
            resembles=await self._registrar.alike(name, policy) or looks_like(view.label),
            primary=primary_help(row, self._site.chain_id) if view.owner else None,
        )

    async def _bridged(self, name: EnsName) -> Response | None:
        identity = await self._store.read(IdentityNamed(name))
        # The same is kept from ENS: shredded keys, and networks that are switched off.
        if identity is None or identity.sealed_salt is None or identity.network not in self._site.networks:
            return None
        view = bridged_view(identity, self._site.parent)
        return await self._renderer.page("name", view=view, history=(), warnings=(), resembles=(), primary=None)

    async def _nobodys(self, name: EnsName) -> Response:
        wanted = None
        try:
            label_of(name, self._site.parent)
            wanted = await wanted_name(self._registrar, self._site.parent, name, None)
        except NameRefused:
            pass
        ours = is_under(name, self._site.parent)
        return await self._renderer.page("nobody", 404, name=name, wanted=wanted, ours=ours)


def _to_name(name: EnsName) -> Response:
    return RedirectResponse(f"/names/{quote(name)}", 303)
