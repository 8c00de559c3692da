"""Requests of ours to others, and their answers."""

from __future__ import annotations

import asyncio
import secrets
from typing import Final
from xml.etree.ElementTree import Element

from adapters.xmpp import replies
from adapters.xmpp.errors import ErrorType, Refused
from adapters.xmpp.jids import Ids, Jid
from adapters.xmpp.link import Link
from adapters.xmpp.stanzas import Answer, Kind
from adapters.xmpp.xml import Xml
from gateway.sdk import Unavailable

SECONDS: Final = 10.0
MOST: Final = 500


class Asking:
    """Keeps what was asked until it is answered."""

    def __init__(self, link: Link, ids: Ids) -> None:
        self._link = link
        self._ids = ids
        self._open: dict[tuple[str, str], asyncio.Future[Answer]] = {}

    def is_ours(self, jid: Jid) -> bool:
        """Whether this is an address of ours, which answers nobody but others."""
        return self._ids.is_ours(jid)

    async def ask(self, to: Jid, payload: Xml, kind: Kind = Kind.GET) -> Element | None:
        """The answer's payload.

        Raises Refused for an error, Unavailable for one of type wait (RFC 6120, section 8.3.2) and without an answer.
        """
        if len(self._open) >= MOST:
            raise Unavailable("too many questions wait for an answer")
        key = (secrets.token_hex(8), str(to))
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._open[key] = future
        try:
            self._link.send(replies.ask(self._ids.gateway, to, key[0], kind, payload))
            async with asyncio.timeout(SECONDS):
                answer = await future
        except TimeoutError:
            raise Unavailable(f"{to} does not answer") from None
        finally:
            del self._open[key]
        if answer.error is not None:
            detail = f"{to} answered {answer.error.condition.value}"
            if answer.error.type is ErrorType.WAIT:
                raise Unavailable(detail)
            raise Refused(detail, answer.error.condition)
        return answer.payload

    def answered(self, answer: Answer) -> None:
        """An answer came; one that nobody waits for, or from somebody else, is nothing."""
        future = self._open.get((answer.head.id, str(answer.head.sender)))
        if future is not None and not future.done():
            future.set_result(answer)
