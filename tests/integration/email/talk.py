"""A client that sends exactly the bytes it is told to."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

PATIENCE = 30.0
"""Seconds until a reply that does not come fails the test."""


@dataclass
class Talk:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def reply(self) -> str:
        """The next reply with all its lines; "" when the connection is over."""
        lines = []
        async with asyncio.timeout(PATIENCE):
            while line := (await self.reader.readline()).decode():
                lines.append(line.rstrip("\r\n"))
                if line[3:4] != "-":
                    break
        return "\n".join(lines)

    async def send(self, data: bytes) -> None:
        """Bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def say(self, line: str | bytes) -> str:
        """One command and its reply."""
        await self.send((line.encode() if isinstance(line, str) else line) + b"\r\n")
        return await self.reply()

    async def begin(self, *recipients: str, sender: str = "bob@example.net") -> list[str]:
        """MAIL, RCPT and DATA; their replies."""
        replies = [await self.say(f"MAIL FROM:<{sender}>")]
        replies += [await self.say(f"RCPT TO:<{recipient}>") for recipient in recipients or ("alice.eth@gw.example",)]
        return [*replies, await self.say("DATA")]

    async def mail(self, content: bytes, *recipients: str, sender: str = "bob@example.net") -> str:
        """A whole mail; the reply to its content."""
        replies = await self.begin(*recipients, sender=sender)
        assert replies[-1].startswith("354"), replies
        await self.send(content + b"\r\n.\r\n")
        return await self.reply()

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """STARTTLS and the handshake."""
        assert (await self.say("STARTTLS")).startswith("220")
        await self.writer.start_tls(context, server_hostname="localhost")


@asynccontextmanager
async def talk_to(port: int) -> AsyncIterator[Talk]:
    """Connect to a port on loopback."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Talk(reader, writer)
    finally:
        writer.close()


def letter(text: str = "hello", *headers: str, sender: str = "bob@example.net") -> bytes:
    """A small mail without its last line end."""
    return "\r\n".join([f"From: {sender}", "To: alice.eth@gw.example", *headers, "", text]).encode()
