"""What one node ever held in clear: all requests that reached it, its database row by row and byte by byte, its memory.

For tests of what a party must not learn. A search that finds nothing shows something only where it could have found
it, so each test also looks for what the party does know.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.dm3.eth import checksum
from gateway.ens.names import dns_encode, namehash
from gateway.ids import EnsName, EthAddress
from tests.support.house import House


@dataclass
class Heard:
    """One request as it came in."""

    client: str
    """IP address that it came from."""
    path: str
    head: bytes
    """Method, path, query and all headers."""
    body: bytearray = field(default_factory=bytearray)


@dataclass
class Evidence:
    """Collects; put `around` between socket and application."""

    requests: list[Heard] = field(default_factory=list)
    stored: list[bytes] = field(default_factory=list)

    def around(self, app: ASGIApp) -> ASGIApp:
        """The same application, overheard."""

        async def overheard(scope: Scope, receive: Receive, send: Send) -> None:
            line = f"{scope['method']} {scope['path']} ".encode() + scope["query_string"]
            head = b"\n".join([line, *(name + b": " + value for name, value in scope["headers"])])
            heard = Heard(scope["client"][0], scope["path"], head)
            self.requests.append(heard)

            async def listen() -> Message:
                message = await receive()
                heard.body += message.get("body", b"")
                return message

            await app(scope, listen, send)

        return overheard

    def look(self, house: House) -> None:
        """Keep what is in the house's database and memory now; call it before rows are removed."""
        path = Path(house.settings.store.url.removeprefix("sqlite:///"))
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in tables:
                for row in database.execute(f'SELECT * FROM "{table}"'):
                    self.stored.append(b"|".join(map(_bytes, row)))
        for file in path.parent.glob(path.name + "*"):
            self.stored.append(file.read_bytes())
        profiles = house.gateway.directory._profiles
        for memo in (profiles._users, profiles._services):
            self.stored.append("\n".join(memo._entries).encode())

    def clients(self) -> set[str]:
        """Addresses that requests came from."""
        return {heard.client for heard in self.requests}

    def holds(self, *needles: bytes) -> bool:
        """Whether any of these is anywhere in what the node held."""
        everything = [part for heard in self.requests for part in (heard.head, bytes(heard.body))] + self.stored
        return any(needle in part for needle in needles for part in everything)


def spellings(name: EnsName) -> tuple[bytes, ...]:
    """A name as text, in DNS form and as node, each also in hex as calls of contracts have it."""
    raw = (dns_encode(name), namehash(name))
    return (name.encode(), name.encode().hex().encode(), *raw, *(each.hex().encode() for each in raw))


def address_spellings(address: EthAddress) -> tuple[bytes, ...]:
    """An address in lower case, with checksum, and as bytes."""
    return address.encode(), address[2:].encode(), checksum(address).encode(), bytes.fromhex(address[2:])


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
