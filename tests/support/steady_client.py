"""An XMPP client as people have them: it comes back when its stream ends, and sends again what nobody acknowledged.

Stream management (XEP-0198) tells it which of its stanzas the server has taken. What was not taken is sent again with
the same id, whether the stream could be resumed or not; what was taken is never sent twice.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final
from xml.etree.ElementTree import Element, XMLPullParser

from gateway.demo.xmpp_stanza import CLIENT, Stanza, element

SM: Final = "urn:xmpp:sm:3"
MAM: Final = "urn:xmpp:mam:2"
RSM: Final = "http://jabber.org/protocol/rsm"
SASL: Final = "urn:ietf:params:xml:ns:xmpp-sasl"
PAGE: Final = 1000
CHUNK: Final = 1 << 16
LOGIN_SECONDS: Final = 15.0
IQ_SECONDS: Final = 30.0
STANZAS: Final = frozenset(f"{{{CLIENT}}}{name}" for name in ("message", "presence", "iq"))


class SteadyClient:
    """One client of one account; ``run`` keeps it there until cancelled. ``heard`` gets each message, errors too."""

    def __init__(
        self, jid: str, password: str, *, host: str, port: int, heard: Callable[[Stanza], None], resource: str = "phone"
    ) -> None:
        self.jid = jid
        self.resource = resource
        self.ready = asyncio.Event()
        """Set while it is logged in."""
        self.streams = 0
        """How often it logged in."""
        self._password = password
        self._address = (host, port)
        self._heard = heard
        self._stream: _Stream | None = None
        self._token = ""
        self._received = 0
        self._acknowledged = 0
        self._waiting: deque[str] = deque()
        """What the server has not taken yet, as far as it said."""
        self._asked: dict[str, asyncio.Future[Element]] = {}
        self._kept: list[Stanza] = []
        self._numbers = itertools.count(1)

    @property
    def waiting(self) -> int:
        """Stanzas that the server did not say to have taken."""
        return len(self._waiting)

    async def run(self) -> None:
        """Be there, again and again."""
        while True:
            try:
                await self._session()
            except (OSError, EOFError, TimeoutError):
                pass
            finally:
                self.ready.clear()
                if self._stream is not None:
                    self._stream.abort()
                    self._stream = None
            await asyncio.sleep(random.uniform(0.1, 0.3))

    def send(self, *stanzas: str) -> None:
        """Hand over now, or when it is there again."""
        self._waiting.extend(stanzas)
        if self._stream is not None and self.ready.is_set():
            self._stream.write(*stanzas, f"<r xmlns='{SM}'/>")

    async def archived(self) -> list[Stanza]:
        """Everything that the server has kept for the account (XEP-0313), in order; waits for a stream where needed."""
        self._kept.clear()
        after: str | None = None
        while True:
            known = len(self._kept)
            begin = () if after is None else (element("after", text=after),)
            page = element("set", {"xmlns": RSM}, element("max", text=str(PAGE)), *begin)
            answer = await self._iq("set", element("query", {"xmlns": MAM}, page))
            last = answer.findtext(f".//{{{RSM}}}last")
            if last is None or len(self._kept) - known < PAGE:
                return list(self._kept)
            after = last

    # --- one stream -------------------------------------------------------------------------------------------------

    async def _session(self) -> None:
        async with asyncio.timeout(LOGIN_SECONDS):
            stream = self._stream = await _Stream.open(*self._address)
            await self._log_in(stream)
        self.streams += 1
        self.ready.set()
        while True:
            self._take(stream, await stream.next())

    async def _log_in(self, stream: _Stream) -> None:
        local, _, domain = self.jid.partition("@")
        await stream.begin(domain)
        secret = base64.b64encode(f"\0{local}\0{self._password}".encode()).decode()
        stream.write(f"<auth xmlns='{SASL}' mechanism='PLAIN'>{secret}</auth>")
        if (await stream.next()).tag != f"{{{SASL}}}success":
            raise ConnectionError("the server lets nobody in now")
        await stream.begin(domain)
        if self._token:
            stream.write(f"<resume xmlns='{SM}' previd='{self._token}' h='{self._received}'/>")
            answer = await stream.next()
            if (taken := answer.get("h")) is not None:
                self._taken(int(taken))
            if answer.tag == f"{{{SM}}}resumed":
                stream.write(*self._waiting, f"<r xmlns='{SM}'/>")
                return
        await self._bind(stream)

    async def _bind(self, stream: _Stream) -> None:
        resource = element("resource", text=self.resource)
        bind = element("bind", {"xmlns": "urn:ietf:params:xml:ns:xmpp-bind"}, resource)
        stream.write(element("iq", {"type": "set", "id": "bind"}, bind))
        if (await stream.next()).get("type") != "result":
            raise ConnectionError("the server gave no resource")
        stream.write(f"<enable xmlns='{SM}' resume='true'/>")
        self._token = ""
        while (answer := await stream.next()).tag != f"{{{SM}}}enabled":
            self._hear(answer)
        self._token = answer.get("id", "")
        self._received = self._acknowledged = 0
        again = [each for each in self._waiting if each.startswith("<message")]
        self._waiting = deque(("<presence/>", *again))
        stream.write(*self._waiting, f"<r xmlns='{SM}'/>")

    def _take(self, stream: _Stream, xml: Element) -> None:
        if xml.tag in STANZAS:
            self._received += 1
            self._hear(xml)
        elif xml.tag == f"{{{SM}}}r":
            stream.write(f"<a xmlns='{SM}' h='{self._received}'/>")
        elif xml.tag == f"{{{SM}}}a":
            self._taken(int(xml.get("h", "0")))
        elif xml.tag.endswith("}error"):
            raise ConnectionError("the server ends the stream")

    def _hear(self, xml: Element) -> None:
        stanza = Stanza(xml)
        if stanza.name == "message":
            result = xml.find(f"{{{MAM}}}result")
            if result is None:
                self._heard(stanza)
                return
            kept = result.find(f".//{{{CLIENT}}}message")
            if kept is not None:
                self._kept.append(Stanza(kept))
        elif stanza.name == "iq" and stanza.type in ("result", "error"):
            asked = self._asked.pop(stanza.id, None)
            if asked is not None and not asked.done():
                asked.set_result(xml)

    def _taken(self, h: int) -> None:
        for _ in range(min(h - self._acknowledged, len(self._waiting))):
            self._waiting.popleft()
        self._acknowledged = h

    async def _iq(self, kind: str, content: str) -> Element:
        await self.ready.wait()
        key = f"iq{next(self._numbers)}"
        answer = self._asked[key] = asyncio.get_running_loop().create_future()
        self.send(element("iq", {"type": kind, "id": key}, content))
        async with asyncio.timeout(IQ_SECONDS):
            found: Element = await answer
        return found


class _Stream:
    """Elements of one connection, one after the other; EOFError when it ends."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._parser: XMLPullParser[Any] = XMLPullParser(("start", "end"))
        self._root: Element | None = None
        self._depth = 0
        self._found: deque[Element] = deque()

    @classmethod
    async def open(cls, host: str, port: int) -> _Stream:
        return cls(*await asyncio.open_connection(host, port))

    async def begin(self, domain: str) -> Element:
        """Begin the XML stream, or begin it anew; the server's features."""
        self._parser = XMLPullParser(("start", "end"))
        self._root, self._depth = None, 0
        self._found.clear()
        self.write(
            f"<?xml version='1.0'?><stream:stream to='{domain}' version='1.0' xmlns='{CLIENT}' "
            "xmlns:stream='http://etherx.jabber.org/streams'>"
        )
        return await self.next()

    def write(self, *xml: str) -> None:
        self._writer.write("".join(xml).encode())

    async def next(self) -> Element:
        while not self._found:
            data = await self._reader.read(CHUNK)
            if not data:
                raise EOFError
            self._found.extend(self._fed(data))
        return self._found.popleft()

    def abort(self) -> None:
        self._writer.transport.abort()

    def _fed(self, data: bytes) -> Sequence[Element]:
        self._parser.feed(data)
        found = []
        for each in self._parser.read_events():
            event, xml = each[0], each[-1]
            assert isinstance(xml, Element)
            if event == "start":
                self._root = xml if self._root is None else self._root
                self._depth += 1
                continue
            self._depth -= 1
            if self._depth == 1:
                assert self._root is not None
                self._root.clear()
                found.append(xml)
        return found
