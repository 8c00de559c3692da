"""The server's side of a component, asked by hand (XEP-0114, section 3)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

CONNECT_SECONDS: Final = 3.0
ANSWER_SECONDS: Final = 3.0
MAX_BYTES: Final = 64 * 2**10
"""Of all that is read."""
_COMPONENT: Final = "jabber:component:accept"
_ERRORS: Final = "{urn:ietf:params:xml:ns:xmpp-streams}"


class NoStream(Exception):
    """What answers is no XMPP server; a sentence without a full stop."""


@dataclass(slots=True)
class Stream:
    """A stream that was opened: the server's id, then its elements one by one."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    id: str = ""
    _parser: Any = field(default_factory=lambda: XMLPullParser(("start", "end")))
    _depth: int = 0
    _read: int = 0

    async def open(self, namespace: str, to: str) -> None:
        """Send the head of a stream to a domain, and read the server's. Raises NoStream, OSError, TimeoutError."""
        self.writer.write(
            f"<?xml version='1.0'?><stream:stream xmlns='{namespace}' to='{to}' version='1.0' "
            "xmlns:stream='http://etherx.jabber.org/streams'>".encode()
        )
        head = await self._next("start")
        if not head.tag.endswith("}stream"):
            raise NoStream("it does not begin an XMPP stream")
        self.id = head.get("id", "")

    async def element(self) -> Element:
        """The next whole element below the stream. Raises as `open`."""
        return await self._next("end")

    async def _next(self, wanted: str) -> Element:
        async with asyncio.timeout(ANSWER_SECONDS):
            while True:
                for event, element in self._parser.read_events():
                    self._depth += 1 if event == "start" else -1
                    if isinstance(element, Element) and event == wanted and self._depth == 1:
                        return element
                part = await self.reader.read(4096)
                self._read += len(part)
                if not part or self._read > MAX_BYTES:
                    raise NoStream("it ends the connection without a word" if not part else "it says too much")
                try:
                    self._parser.feed(part)
                except ParseError:
                    raise NoStream("it does not speak XML") from None


@asynccontextmanager
async def connected(host: str, port: int) -> AsyncIterator[Stream]:
    """A connection, broken off at the end. Raises OSError, TimeoutError."""
    async with asyncio.timeout(CONNECT_SECONDS):
        reader, writer = await asyncio.open_connection(host, port)
    try:
        yield Stream(reader, writer)
    finally:
        writer.transport.abort()


async def handshake(host: str, port: int, domain: str, secret: str) -> str:
    """ "" when the server takes us for the component, else its condition, such as ``not-authorized`` or ``conflict``.

    A stream that was taken is ended in the same breath: what the server would send us in between comes back to its
    sender. Raises NoStream, OSError, TimeoutError.
    """
    async with connected(host, port) as stream:
        await stream.open(_COMPONENT, domain)
        if not stream.id:
            return condition(await stream.element())
        digest = hashlib.sha1(f"{stream.id}{secret}".encode()).hexdigest()  # noqa: S324 - the protocol's
        stream.writer.write(f"<handshake>{digest}</handshake>".encode())
        answer = await stream.element()
        if answer.tag == f"{{{_COMPONENT}}}handshake":
            stream.writer.write(b"</stream:stream>")
            await stream.writer.drain()
            return ""
        return condition(answer)


def condition(error: Element) -> str:
    """The defined condition of a stream error (RFC 6120, section 4.9.3)."""
    for child in error:
        if child.tag.startswith(_ERRORS):
            return child.tag.removeprefix(_ERRORS)
    return "undefined-condition"
