"""`/api/v1/admin`: names for programs with a key, and for wallets that look after a parent.

A key is for one parent. A wallet that is an admin names the parent by ``?parent=``, else the gateway's own is meant.
Requests that change something take ``Idempotency-Key``.
"""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from gateway.bodies import Bodies
from gateway.dm3.canonical import Json, parse_json
from gateway.dm3.eth import checksum, parse_address
from gateway.ens.names import is_under, normalise
from gateway.errors import GatewayError, NotAllowed, NotFound
from gateway.headers import AUTHORIZATION, authorization_of
from gateway.ids import EnsName
from gateway.lifecycle import Clock
from gateway.rates import Rate, asker_of
from gateway.store import Store
from gateway.store.admins import IsAdmin
from gateway.store.audit import AuditPage
from gateway.store.names import ListNames, NameRow
from gateway.subnames.admin_forms import BulkForm, IssueForm, SetForm
from gateway.subnames.api_keys import ApiKeys, is_key
from gateway.subnames.bulk import Bulk, Import, Mode, Report
from gateway.subnames.callers import Caller, Scope
from gateway.subnames.forms import NameOut, answered, described, read_form
from gateway.subnames.idempotency import HEADER, Answer, Idempotency, request_digest
from gateway.subnames.names_file import FileFormat, FileRow, RowError, read_names
from gateway.subnames.registrar import Registrar, required_name
from gateway.subnames.shown import shown_name
from gateway.subnames.signing_in import SigningIn

PATH: Final = "/api/v1/admin"
MAX_BODY: Final = 2 * 2**20
MAX_PAGE: Final = 500

_PARAMETERS: Final[list[dict[str, Any]]] = [
    AUTHORIZATION,
    {
        "name": "parent",
        "in": "query",
        "schema": {"type": "string"},
        "description": "for wallets: which parent is meant",
    },
    {"name": HEADER, "in": "header", "schema": {"type": "string"}, "description": "for requests that change something"},
]
"""Read by hand: FastAPI would make the same three anew for each route, half a megabyte in all."""


class Callers:
    """Who asks, by key or by a wallet's session, and for which parent."""

    def __init__(self, *, keys: ApiKeys, signing_in: SigningIn, store: Store, parent: EnsName, rate: Rate) -> None:
        """`parent` is meant where a wallet names none; `rate` bounds requests of one address before a key is known."""
        self._keys = keys
        self._signing_in = signing_in
        self._store = store
        self._parent = parent
        self._rate = rate

    async def caller(self, request: Request) -> Caller:
        """Raises Unauthorised, NotAllowed, LimitExceeded, InvalidName."""
        authorization, parent = authorization_of(request), request.query_params.get("parent")
        self._rate.take(asker_of(request.scope))
        if is_key(authorization):
            found = await self._keys.caller(authorization)
            if parent is not None and normalise(parent) != found.parent:
                raise NotAllowed("this key is for another parent")
            return found
        address = await self._signing_in.wallet(authorization)
        meant = self._parent if parent is None else normalise(parent)
        if not await self._store.read(IsAdmin(meant, address)):
            raise NotAllowed(f"{checksum(address)} does not look after {meant}")
        return Caller.admin(address, meant)


def keyed(*, takes: type[BaseModel] | None = None, gives: type[BaseModel] | None = None) -> dict[str, Any]:
    """How OpenAPI is told of a route for callers with a key: body, answer, and what every such route reads."""
    return {**described(takes=takes, gives=gives), "parameters": _PARAMETERS}


def parent_of(caller: Caller) -> EnsName:
    """The parent that a key or an admin is for."""
    assert caller.parent is not None
    return caller.parent


def refusal(error: GatewayError) -> Answer:
    """How the interface tells of an error."""
    return Answer(error.status, {"error": error.sentence, "detail": error.detail})


class AdminApi:
    """Routes about names; those about keys, receivers of news, and who may what are in `KeepingApi`."""

    def __init__(
        self,
        *,
        callers: Callers,
        registrar: Registrar,
        bulk: Callable[[EnsName], Bulk],
        idempotency: Idempotency,
        store: Store,
        bodies: Bodies,
        clock: Clock,
    ) -> None:
        """`bulk` gives what imports names below a parent."""
        self._callers = callers
        self._registrar = registrar
        self._bulk = bulk
        self._idempotency = idempotency
        self._store = store
        self._bodies = bodies
        self._clock = clock

    def router(self) -> APIRouter:
        """All routes."""
        router = APIRouter(tags=["administration"])
        add = router.add_api_route
        name = f"{PATH}/names/{{name}}"
        add(f"{PATH}/names", self.names, methods=["GET"], openapi_extra=keyed())
        add(f"{PATH}/names", self.bulk, methods=["POST"], openapi_extra=keyed(takes=BulkForm))
        add(name, self.name, methods=["GET"], openapi_extra=keyed(gives=NameOut))
        add(name, self.set, methods=["PUT"], openapi_extra=keyed(takes=SetForm, gives=NameOut))
        add(name, self.delete, methods=["DELETE"], openapi_extra=keyed())
        add(f"{name}/issue", self.issue, methods=["POST"], openapi_extra=keyed(takes=IssueForm, gives=NameOut))
        add(f"{PATH}/audit", self.audit, methods=["GET"], openapi_extra=keyed())
        return router

    async def names(
        self,
        request: Request,
        search: Annotated[str, Query(max_length=64)] = "",
        after: Annotated[str | None, Query(max_length=255)] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    ) -> Response:
        """All names below the parent, listed or not, in order; `after` is the last name of the page before."""
        caller = await self._callers.caller(request)
        caller.require(Scope.READ, parent_of(caller))
        cursor = None if after is None else required_name(after)
        given, parents = parent_of(caller), self._registrar.policies
        if given not in parents:
            raise NotFound(f"no names are issued under {given}")
        others = tuple(each for each in parents if is_under(each, given))
        wanted = ListNames(given, limit, cursor, containing=search.lower(), without=others)
        rows = await self._store.read(wanted)
        shown: list[Json] = [(await self._shown(row)).model_dump() for row in rows]
        return JSONResponse({"names": shown, "next": rows[-1].name if len(rows) == limit else None})

    async def name(self, name: str, request: Request) -> Response:
        """One name."""
        caller = await self._callers.caller(request)
        return answered(await self._shown(await self._registrar.named(self._below(name, caller, Scope.READ))))

    async def set(
        self,
        name: str,
        request: Request,
    ) -> Response:
        """Makes a name, or puts these records over its own; an empty value removes one. `owner` makes it theirs."""
        caller = await self._callers.caller(request)
        wanted = self._below(name, caller, Scope.WRITE)
        form, body = await self._form(SetForm, request)

        async def work() -> Answer:
            owner = None if form.owner is None else parse_address(form.owner)
            row = await self._registrar.set(wanted, owner, form.records, actor=caller.actor)
            return Answer(200, (await self._shown(row)).model_dump())

        return await self._once(request, caller, body, work)

    async def issue(
        self,
        name: str,
        request: Request,
    ) -> Response:
        """Gives a free name to an owner, under the rules for labels but whatever the policy says of who may claim."""
        caller = await self._callers.caller(request)
        wanted = self._below(name, caller, Scope.CLAIM)
        form, body = await self._form(IssueForm, request)

        async def work() -> Answer:
            row = await self._registrar.claim(wanted, parse_address(form.owner), actor=caller.actor)
            return Answer(201, (await self._shown(row)).model_dump())

        return await self._once(request, caller, body, work)

    async def delete(
        self,
        name: str,
        request: Request,
    ) -> Response:
        """Takes a name from whoever has it; it rests as if its owner had given it up."""
        caller = await self._callers.caller(request)
        wanted = self._below(name, caller, Scope.DELETE)

        async def work() -> Answer:
            await self._registrar.drop(wanted, actor=caller.actor)
            return Answer(200, {"released": wanted})

        return await self._once(request, caller, b"", work)

    async def bulk(
        self,
        request: Request,
    ) -> Response:
        """Up to 500 names at once: all or nothing (`mode` "all", 422 with a sentence for each wrong row), or each row
        for itself ("each"). `dry_run` writes nothing."""
        caller = await self._callers.caller(request)
        for scope in (Scope.WRITE, Scope.CLAIM):
            caller.require(scope, parent_of(caller))
        form, body = await self._form(BulkForm, request)

        async def work() -> Answer:
            how = Import(caller.actor, Mode(form.mode), overwrite=form.overwrite)
            given, now = parent_of(caller), self._clock()
            lines = "\n".join(each.model_dump_json(exclude_none=True) for each in form.names).encode()
            bulk = self._bulk(given)

            def rows() -> Iterator[FileRow | RowError]:
                return read_names(io.BytesIO(lines), FileFormat.JSON_LINES, given, now)

            done = await (bulk.check if form.dry_run else bulk.apply)(rows, how)
            failed = bool(done.failed) and how.mode is Mode.ALL and not form.dry_run
            return Answer(422 if failed else 200, report_json(done))

        return await self._once(request, caller, body, work)

    async def audit(
        self,
        request: Request,
        after: Annotated[int, Query(ge=0, le=2**53)] = 0,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    ) -> Response:
        """What was done to names below the parent, oldest first; `next` goes into `after`."""
        caller = await self._callers.caller(request)
        given = parent_of(caller)
        caller.require(Scope.ADMIN, given)
        page = await self._store.read(AuditPage(after, limit))
        entries: list[Json] = [
            {
                "number": logged.seq,
                "at": logged.entry.at,
                "actor": logged.entry.actor,
                "action": logged.entry.action,
                "subject": logged.entry.subject,
                "detail": parse_json(logged.entry.detail, max_bytes=MAX_BODY, max_depth=6),
            }
            for logged in page
            if logged.entry.subject == given or self._issued_under(EnsName(logged.entry.subject), caller)
        ]
        return JSONResponse({"entries": entries, "next": page[-1].seq if len(page) == limit else None})

    def _below(self, text: str, caller: Caller, scope: Scope) -> EnsName:
        """A name that is issued under the caller's parent, by a caller who has this right there."""
        caller.require(scope, parent_of(caller))
        name = required_name(text)
        if not self._issued_under(name, caller):
            raise NotFound(f"{name} is not below {caller.parent}")
        return name

    def _issued_under(self, name: EnsName, caller: Caller) -> bool:
        """One parent may be under another: a name belongs to the nearest."""
        if not is_under(name, parent_of(caller)):
            return False
        return self._registrar.policy_of(name).parent == caller.parent

    async def _once(
        self, request: Request, caller: Caller, body: bytes, work: Callable[[], Awaitable[Answer]]
    ) -> Response:
        key = request.headers.get(HEADER)
        digest = request_digest(request.method, request.url.path, body)
        answer = await self._idempotency.run(caller.actor, key, digest, work)
        return JSONResponse(answer.body, answer.status)

    async def _form(self, model: type[BaseModel], request: Request) -> tuple[Any, bytes]:
        async with self._bodies.body(request.scope, request.receive, max_bytes=MAX_BODY) as body:
            return read_form(model, parse_json(body, max_bytes=MAX_BODY, max_depth=6)), body

    async def _shown(self, row: NameRow) -> NameOut:
        linked = await self._registrar.linked(row.name)
        return shown_name(row, self._registrar.policy_of(row.name), linked)


def report_json(report: Report) -> dict[str, Json]:
    """What became of rows; `row` counts from 1."""
    errors: list[Json] = [{"row": each.line, "name": each.name, "error": each.sentence} for each in report.errors]
    return {
        "rows": report.rows,
        "new": report.new,
        "changed": report.changed,
        "same": report.same,
        "failed": report.failed,
        "written": report.written,
        "errors": errors,
    }
