"""A network of the tests for gateways in processes of their own: an adapter, and the sink that it delivers to.

The adapter is found as every other is, by an entry point; `installed_sink` makes it be there. It delivers with one
connection and one line each way, and holds one link (`AdapterContext.hold`) as networks with a single connection do.
The sink is in the test's process. It knows the key of everything that it took, as networks with an idempotency key do.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic import BaseModel

from gateway.sdk import (
    AdapterContext,
    CanonicalId,
    Capabilities,
    Delivered,
    Delivery,
    MessageType,
    NativeId,
    Network,
    Outcome,
    Retry,
    TextFormat,
)

SINK: Final = Network("sink")
TAR: Final = Network("tar")
HOST: Final = "127.0.0.1"
LINE_BYTES: Final = 1 << 20
AGAIN_SECONDS: Final = 0.2
"""After a connection that was cut."""
ANSWER_SECONDS: Final = 60.0


class SinkSettings(BaseModel):
    """``[adapters.sink]``."""

    port: int
    """Of the sink."""


class SinkAdapter:
    """Everybody exists there; a connection that ends without an answer is tried again with the same key."""

    name: ClassVar[Network] = SINK
    capabilities: ClassVar[Capabilities] = Capabilities(
        types=frozenset({MessageType.NEW}),
        max_text=100_000,
        max_attachments=0,
        max_attachment_bytes=0,
        text_format=TextFormat.PLAIN,
        idempotent=True,
        ordered=True,
    )
    Settings: ClassVar[type[BaseModel]] = SinkSettings

    def __init__(self, settings: SinkSettings) -> None:
        self._port = settings.port
        self._ctx: AdapterContext

    async def open(self, ctx: AdapterContext) -> None:
        """Keep the context."""
        self._ctx = ctx

    async def run(self) -> None:
        """Hold the link, on one node at a time."""
        await self._ctx.hold("link", self._be_linked)

    async def close(self) -> None:
        """Nothing to close."""

    async def exists(self, _canonical_id: CanonicalId) -> bool:
        """Always."""
        return True

    async def deliver(self, delivery: Delivery) -> Outcome:
        """One connection, one line, one line back."""
        said = {"key": delivery.key, "from": delivery.sender, "to": delivery.recipient, "text": delivery.text}
        said["network"] = self.name
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await self._ask(said)
        except (OSError, EOFError, TimeoutError):
            return Retry("the sink gave no answer", after=AGAIN_SECONDS)
        if "later" in answer:
            return Retry("the sink asked to wait", after=answer["later"])
        return Delivered(NativeId(delivery.key))

    async def _ask(self, said: dict[str, Any]) -> dict[str, Any]:
        reader, writer = await asyncio.open_connection(HOST, self._port)
        try:
            writer.write(_line({**said, "node": os.getpid()}))
            answer: dict[str, Any] = json.loads(await reader.readuntil(b"\n"))
            return answer
        finally:
            writer.transport.abort()

    async def _be_linked(self) -> None:
        reader, writer = await asyncio.open_connection(HOST, self._port)
        try:
            writer.write(_line({"link": self.name, "node": os.getpid()}))
            await reader.read()
        finally:
            writer.transport.abort()


class TarAdapter(SinkAdapter):
    """A second network of the same kind, to be dead while the other lives."""

    name: ClassVar[Network] = TAR


Lane = tuple[str, str]
"""Who writes to whom."""


@dataclass
class Sink:
    """What came, and how it is answered."""

    port: int = 0
    taken: dict[str, Lane] = field(default_factory=dict)
    """Texts in the order in which they came first, each with its conversation."""
    calls: int = 0
    """Deliveries that were asked for, repeats included."""
    keys: dict[str, str] = field(default_factory=dict)
    """Keys that were taken, each with its text."""
    copies: Counter[str] = field(default_factory=Counter)
    """How often each text was taken: more than once is a duplicate that the key did not prevent."""
    nodes: Counter[int] = field(default_factory=Counter)
    """Messages that were taken first from each process."""
    crossed: int = 0
    """Deliveries that began in a conversation while another node's was under way there."""
    dead: set[str] = field(default_factory=set)
    """Networks and people for whom nothing is answered: they take connections and are silent."""
    hanging: int = 0
    """Deliveries that get no answer, at this time."""
    given_up: int = 0
    """Those that were given up."""
    busy: int = 0
    """Deliveries that are being answered, at this time."""
    most_busy: int = 0
    """Of them at one time."""
    closed: bool = False
    """Everybody is told to come again later."""
    pause: float = 0.0
    """Seconds that it takes to take something."""
    together: int = 0
    """Nothing is taken before so many deliveries have been under way at a time."""
    links: dict[str, list[int]] = field(default_factory=dict)
    """Processes that are linked now, by network."""
    most_links: int = 0
    """Of one network at one time."""
    under_way: dict[Lane, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    """Number of deliveries that are being answered, by the process that asks."""
    _more: asyncio.Condition = field(default_factory=asyncio.Condition)

    def held_by(self, node: int) -> list[Lane]:
        """Conversations in which a process has a delivery under way."""
        return [lane for lane, numbers in self.under_way.items() if numbers[node] > 0]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            said = json.loads(await reader.readuntil(b"\n"))
            if "link" in said:
                await self._linked(self.links.setdefault(said["link"], []), said["node"], reader)
            else:
                await self._answer(said, reader, writer)
        except (OSError, EOFError):
            pass
        finally:
            writer.transport.abort()

    async def _linked(self, links: list[int], node: int, reader: asyncio.StreamReader) -> None:
        links.append(node)
        self.most_links = max(self.most_links, len(links))
        try:
            await reader.read()
        finally:
            links.remove(node)

    async def _answer(self, said: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lane = (said["from"], said["to"])
        here = self.under_way[lane]
        if any(number > 0 for node, number in here.items() if node != said["node"]):
            self.crossed += 1
        here[said["node"]] += 1
        try:
            self.calls += 1
            if self.dead & {said["to"], said["network"]}:
                await self._hang(reader)
                return
            if self.closed:
                writer.write(_line({"later": AGAIN_SECONDS}))
                return
            self.busy += 1
            self.most_busy = max(self.most_busy, self.busy)
            try:
                await self._taking()
            finally:
                self.busy -= 1
            self._take(said, lane)
            writer.write(_line({"taken": True}))
        finally:
            here[said["node"]] -= 1
            with suppress(OSError):
                await writer.drain()
                # The end of the answer must not overtake it.
                writer.write_eof()
                await reader.read()

    async def _taking(self) -> None:
        async with self._more:
            self._more.notify_all()
            await self._more.wait_for(lambda: self.most_busy >= self.together)
        await asyncio.sleep(self.pause)

    async def _hang(self, reader: asyncio.StreamReader) -> None:
        self.hanging += 1
        with suppress(OSError):
            await reader.read()
        self.hanging -= 1
        self.given_up += 1

    def _take(self, said: dict[str, Any], lane: Lane) -> None:
        if said["key"] in self.keys:
            return
        self.keys[said["key"]] = said["text"]
        self.copies[said["text"]] += 1
        if self.taken.setdefault(said["text"], lane) == lane:
            self.nodes[said["node"]] += 1


@asynccontextmanager
async def running_sink() -> AsyncIterator[Sink]:
    """A sink on a free port."""
    sink = Sink()
    server = await asyncio.start_server(sink.serve, HOST, 0, limit=LINE_BYTES)
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        server.close()


@contextmanager
def installed_sink(folder: Path) -> Iterator[Path]:
    """Install the adapter in `folder`, for this process and for those that have the folder in PYTHONPATH."""
    made = folder / "dm3_gateway_sink-1.dist-info"
    made.mkdir(parents=True)
    (made / "METADATA").write_text("Metadata-Version: 2.1\nName: dm3-gateway-sink\nVersion: 1\n")
    points = "".join(f"{kind.name} = {__name__}:{kind.__name__}\n" for kind in (SinkAdapter, TarAdapter))
    (made / "entry_points.txt").write_text(f"[dm3_gateway.adapters]\n{points}")
    sys.path.append(str(folder))
    try:
        yield folder
    finally:
        sys.path.remove(str(folder))


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"
