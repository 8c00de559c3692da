"""Contact lists of people whose server lets the component write there (XEP-0356): contacts without questions."""

from __future__ import annotations

from typing import Final

import structlog

from adapters.xmpp import namespaces as ns
from adapters.xmpp.asking import Asking
from adapters.xmpp.jids import Jid
from adapters.xmpp.link import LinkDown
from adapters.xmpp.stanzas import Granted, Kind
from adapters.xmpp.xml import attribute, children, cut_text_of, leaf, tag
from gateway.sdk import InvalidInput, Unavailable

log = structlog.get_logger(__name__)

GROUP: Final = "DM3"
BOTH: Final = "both"
MAX_NAME: Final = 200
MAX_GROUPS: Final = 20


class Rosters:
    """Knows what each server grants."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._servers: set[str] = set()

    def granted(self, granted: Granted) -> None:
        """A server says what it grants; only for its own users, and only what comes from the server itself."""
        server = granted.head.sender
        if server.local or server.resource:
            return
        if granted.access.get("roster") == BOTH:
            self._servers.add(server.domain)
        else:
            self._servers.discard(server.domain)

    async def befriend(self, person: Jid, contact: Jid, name: str) -> bool:
        """Put ``contact`` on somebody's list, each seeing the other; False where that is not granted, or fails.

        What the person made of an entry that they have stays as it is.
        """
        if person.domain not in self._servers:
            return False
        try:
            answer = await self._asking.ask(person, tag("query", xmlns=ns.ROSTER))
            items = [] if answer is None else children(answer, ns.ROSTER, "item")
            known = next((each for each in items if attribute(each, "jid").lower() == str(contact)), None)
            if known is not None and attribute(known, "subscription") == BOTH:
                return True
            called, groups = name, [GROUP]
            if known is not None:
                called = attribute(known, "name") or name
                groups = [cut_text_of(each, MAX_NAME) for each in children(known, ns.ROSTER, "group")]
            item = tag(
                "item",
                *(leaf("group", each) for each in groups[:MAX_GROUPS]),
                jid=str(contact),
                name=called[:MAX_NAME],
                subscription=BOTH,
            )
            await self._asking.ask(person, tag("query", item, xmlns=ns.ROSTER), Kind.SET)
        except LinkDown:
            raise
        except (InvalidInput, Unavailable) as error:
            # It may have been taken back while the link was down; what is granted is told anew with each connection.
            self._servers.discard(person.domain)
            log.info("roster.not_written", detail=error.detail)
            return False
        return True
