"""`/api/v1/mailbox`: pick-up in pages, long polls, acknowledgement by id, message requests, reports of spam.

For clients that are not the reference's. An id names one envelope only, while a hash is what its sender wrote into it.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse

from gateway.bodies import Bodies
from gateway.dm3.canonical import Json, JsonObject, stringify
from gateway.ens.names import normalise
from gateway.errors import InvalidInput
from gateway.ids import EnvelopeId
from gateway.relay.mailbox import Mailbox
from gateway.relay.reports import Reports
from gateway.relay.sessions import Sessions
from gateway.store.mailbox import Folder, StoredEnvelope

PATH: Final = "/api/v1/mailbox"
MAX_PAGE: Final = 1_000
MAX_WAIT_SECONDS: Final = 60
MAX_IDS: Final = 5_000
MAX_BODY: Final = 1_000_000
MAX_REQUESTS: Final = 200
"""Strangers in one listing."""
_ID: Final = re.compile(r"[0-9a-f]{64}\Z")

Authorization = Annotated[str | None, Header()]


class MailboxApi:
    """Routes; the work is done by `Mailbox`."""

    def __init__(self, *, sessions: Sessions, mailbox: Mailbox, reports: Reports, bodies: Bodies) -> None:
        self._sessions = sessions
        self._mailbox = mailbox
        self._reports = reports
        self._bodies = bodies

    def router(self) -> APIRouter:
        """All routes."""
        router = APIRouter(tags=["mailbox"])
        router.add_api_route(PATH, self.pick_up, methods=["GET"])
        router.add_api_route(f"{PATH}/acknowledgements", self.acknowledge, methods=["POST"])
        router.add_api_route(f"{PATH}/requests", self.requests, methods=["GET"])
        router.add_api_route(f"{PATH}/requests/{{sender}}", self.decide, methods=["POST"])
        router.add_api_route(f"{PATH}/reports", self.report, methods=["POST"])
        return router

    async def pick_up(
        self,
        authorization: Authorization = None,
        cursor: Annotated[int, Query(ge=0, le=2**53)] = 0,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
        wait: Annotated[float, Query(ge=0, le=MAX_WAIT_SECONDS)] = 0,
        folder: Folder = Folder.INBOX,
        sender: Annotated[str | None, Query(max_length=255)] = None,
    ) -> Response:
        """{envelopes: [{id, sender, recipient, verified, receivedAt, expiresAt, envelope}], cursor}, oldest first.

        Give `cursor` back for what came after it; without it everything that was not acknowledged comes. With `wait`
        (seconds) the answer to an empty page is held until mail comes. A page ends at `limit` or 8 MiB.
        """
        session = await self._sessions.session(authorization)
        only = None if sender is None else normalise(sender)
        if wait and folder is Folder.INBOX:
            found = await self._mailbox.wait(session, cursor, limit, wait, only)
        else:
            found = await self._mailbox.page(session, cursor, limit, folder, only)
        last = found[-1].seq if found else cursor
        # Bodies are JSON already, written once when the envelope came in.
        body = b'{"envelopes":[%s],"cursor":%d}' % (b",".join(map(entry, found)), last)
        return Response(body, media_type="application/json")

    async def acknowledge(self, request: Request, authorization: Authorization = None) -> Response:
        """Body {ids: [..]}: those envelopes are deleted. {removed}: how many there were."""
        session = await self._sessions.session(authorization)
        body = await self._bodies.json(request, max_bytes=MAX_BODY, max_depth=3)
        return JSONResponse({"removed": await self._mailbox.acknowledge(session, _ids(body))})

    async def requests(self, authorization: Authorization = None) -> Response:
        """{requests: [{sender, verified, messages, since}]}: strangers whose mail waits to be let in.

        Their envelopes are in the folder `requests` of the mailbox.
        """
        session = await self._sessions.session(authorization)
        found = await self._mailbox.requests(session, MAX_REQUESTS)
        listed: list[JsonObject] = [
            {"sender": each.sender, "verified": each.verified, "messages": each.messages, "since": each.since}
            for each in found
        ]
        return JSONResponse({"requests": listed})

    async def decide(self, sender: str, request: Request, authorization: Authorization = None) -> Response:
        """Body {action: accept | refuse | block}; {moved} or {removed}: how many envelopes it was about."""
        session = await self._sessions.session(authorization)
        action = _action(await self._bodies.json(request, max_bytes=MAX_BODY, max_depth=2))
        name = normalise(sender)
        if action is Action.ACCEPT:
            return JSONResponse({"moved": await self._mailbox.accept(session, name)})
        decide = self._mailbox.block if action is Action.BLOCK else self._mailbox.refuse
        return JSONResponse({"removed": await decide(session, name)})

    async def report(self, request: Request, authorization: Authorization = None) -> Response:
        """Body {id}: this envelope is spam. Its sender is blocked, and the operator's stake contract is told."""
        session = await self._sessions.session(authorization)
        body = await self._bodies.json(request, max_bytes=MAX_BODY, max_depth=2)
        (id_,) = _ids({"ids": [body.get("id")]} if isinstance(body, dict) else body)
        envelope = await self._mailbox.envelope(session, id_)
        told = await self._reports.report(session, envelope)
        await self._mailbox.block(session, envelope.sender)
        await self._mailbox.acknowledge(session, (id_,))
        return JSONResponse({"blocked": envelope.sender, "reported": told})


def entry(envelope: StoredEnvelope) -> bytes:
    """One envelope in the form of this interface: JSON with the envelope itself as it is stored."""
    about = stringify(
        {
            "id": envelope.id,
            "sender": envelope.sender,
            "recipient": envelope.recipient_name,
            "verified": envelope.verified,
            "receivedAt": envelope.received_at,
            "expiresAt": envelope.expires_at,
        }
    )
    return b'%s,"envelope":%s}' % (about[:-1].encode(), envelope.body)


def _ids(body: Json) -> tuple[EnvelopeId, ...]:
    ids = body.get("ids") if isinstance(body, dict) else None
    if not isinstance(ids, list) or len(ids) > MAX_IDS:
        raise InvalidInput(f"ids must be an array of at most {MAX_IDS}")
    texts = [each for each in ids if isinstance(each, str) and _ID.match(each)]
    if len(texts) != len(ids):
        raise InvalidInput("an id has 64 lower-case hex digits")
    return tuple(map(EnvelopeId, texts))


class Action(StrEnum):
    """What an owner does with a stranger."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    BLOCK = "block"


def _action(body: Json) -> Action:
    try:
        return Action(str(body.get("action") if isinstance(body, dict) else None))
    except ValueError:
        raise InvalidInput("action must be accept, refuse or block") from None
