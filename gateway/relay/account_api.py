"""`/api/v1/account`: rules for senders, export, removal, and the end of a session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from gateway.bodies import Bodies
from gateway.dm3.canonical import Json, stringify
from gateway.dm3.eth import parse_address
from gateway.dm3.sender_rules import RecipientRules
from gateway.ens.names import normalise
from gateway.errors import InvalidInput
from gateway.ids import EnsName
from gateway.offload import NAME_BYTES, Offload, outside_ascii
from gateway.rates import Rate, asker_of
from gateway.relay.accounts import Accounts
from gateway.relay.mailbox import Mailbox
from gateway.relay.mailbox_api import entry
from gateway.relay.removal import Removal
from gateway.relay.rulebook import MAX_RULES
from gateway.relay.sessions import Sessions
from gateway.store.mailbox import Folder
from gateway.store.sessions import Session

PATH: Final = "/api/v1/account"
MAX_REMOVAL: Final = 16_384
EXPORT_PAGE: Final = 200


class AccountApi:
    """What the owner of an account decides and takes along."""

    def __init__(
        self,
        *,
        sessions: Sessions,
        accounts: Accounts,
        removal: Removal,
        mailbox: Mailbox,
        stake_contract: str | None,
        bodies: Bodies,
        rate: Rate,
        calls: Rate,
        offload: Offload,
    ) -> None:
        """`stake_contract`: address of the contract whose deposits a rule may ask for; None when there is none.

        `rate` is that of removals, `calls` that of everything anybody may ask.
        """
        self._sessions = sessions
        self._accounts = accounts
        self._removal = removal
        self._mailbox = mailbox
        self._stake_contract = None if stake_contract is None else parse_address(stake_contract)
        self._bodies = bodies
        self._rate = rate
        self._calls = calls
        self._offload = offload

    def router(self) -> APIRouter:
        """All routes."""
        router = APIRouter(tags=["account"])
        router.add_api_route(PATH, self.account, methods=["GET"])
        router.add_api_route(f"{PATH}/rules", self.rules, methods=["GET"])
        router.add_api_route(f"{PATH}/rules", self.set_rules, methods=["PUT"])
        router.add_api_route(f"{PATH}/export", self.export, methods=["GET"])
        router.add_api_route(f"{PATH}/removal/{{address}}", self.removal_text, methods=["GET"])
        router.add_api_route(f"{PATH}/removal", self.remove, methods=["POST"])
        router.add_api_route("/api/v1/session", self.log_out, methods=["DELETE"], tags=["account"])
        return router

    async def account(self, authorization: str | None = Header(None)) -> Response:
        """The account: address, name, profile, rules, and how much mail waits."""
        session = await self._sessions.session(authorization)
        return JSONResponse(await self._accounts.export(session.address))

    async def rules(self, authorization: str | None = Header(None)) -> Response:
        """The rules for senders, those that they can read and those that they cannot."""
        session = await self._sessions.session(authorization)
        return JSONResponse((await self._accounts.export(session.address))["rules"])

    async def set_rules(self, request: Request, authorization: str | None = Header(None)) -> Response:
        """Body: all rules, in the form that GET gives; what is left out is no longer asked."""
        session = await self._sessions.session(authorization)
        body = await self._bodies.json(request, max_bytes=MAX_RULES, max_depth=4)
        given = RecipientRules.from_json(body)
        slow = outside_ascii(given.allow | given.block)
        # Each costs what one costs that is asked for on its own.
        self._calls.take(asker_of(request.scope), slow)
        rules = await self._offload.run(slow * NAME_BYTES, self._checked, given)
        return JSONResponse((await self._accounts.change_rules(session.address, lambda _: rules)).to_json())

    async def export(self, authorization: str | None = Header(None)) -> Response:
        """Everything that is kept: the account, and every envelope that waits, as one JSON document."""
        session = await self._sessions.session(authorization)
        account = await self._accounts.export(session.address)
        return StreamingResponse(
            self._document(session, account),
            media_type="application/json",
            headers={"content-disposition": 'attachment; filename="dm3-account.json"'},
        )

    async def removal_text(self, address: str, request: Request) -> Response:
        """{message}: what the wallet of this address signs to remove the account (ERC-4361); good for ten minutes."""
        self._rate.take(asker_of(request.scope))
        return JSONResponse({"message": await self._removal.text(parse_address(address))})

    async def remove(self, request: Request) -> Response:
        """Body {message, signature}: the account, its sessions and all mail that waits are deleted."""
        self._rate.take(asker_of(request.scope))
        body = await self._bodies.json(request, max_bytes=MAX_REMOVAL, max_depth=2)
        message, signature = _texts(body)
        address = await self._removal.remove(message, signature)
        return JSONResponse({"removed": address})

    async def log_out(self, authorization: str | None = Header(None)) -> Response:
        """The token is worth nothing from now on."""
        await self._sessions.log_out(authorization)
        return Response(status_code=204)

    def _checked(self, rules: RecipientRules) -> RecipientRules:
        """With the names on lists in the form in which senders are known here; raises InvalidName and InvalidInput."""
        stake = rules.public.min_stake
        if stake is not None and stake.contract != self._stake_contract:
            raise InvalidInput(f"minStake.contract must be {self._stake_contract or 'absent: there are no deposits'}")
        allow, block = _normalised(rules.allow), _normalised(rules.block)
        if both := allow & block:
            raise InvalidInput(f"{min(both)} is on both lists")
        return replace(rules, allow=allow, block=block)

    async def _document(self, session: Session, account: Json) -> AsyncIterator[bytes]:
        yield b'{"account":' + stringify(account).encode()
        for folder in Folder:
            yield b',"%s":[' % folder.value.encode()
            after, separator = 0, b""
            while page := await self._mailbox.page(session, after, EXPORT_PAGE, folder):
                for envelope in page:
                    yield separator + entry(envelope)
                    separator = b","
                after = page[-1].seq
            yield b"]"
        yield b"}"


def _normalised(names: frozenset[EnsName]) -> frozenset[EnsName]:
    return frozenset(map(normalise, names))


def _texts(body: Json) -> tuple[str, str]:
    if isinstance(body, dict):
        message, signature = body.get("message"), body.get("signature")
        if isinstance(message, str) and isinstance(signature, str):
            return message, signature
    raise InvalidInput("the body must hold the strings message and signature")
