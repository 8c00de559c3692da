"""The link to the server (XEP-0114): one connection, kept up, that tells what the server has taken.

The protocol acknowledges nothing. But it keeps the order, so a ping that was sent after a stanza and came back answered
means that the server has read the stanza: whoever delivers waits for that, and sends the same stanza again when it does
not come.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Final
from xml.etree.ElementTree import Element

import structlog
from slixmpp import ComponentXMPP

from adapters.xmpp.elements import StreamParser
from gateway.sdk import Unavailable

log = structlog.get_logger(__name__)

CONNECT_SECONDS: Final = 10.0
WATCH_SECONDS: Final = 4.0
"""A server that said nothing for so long is asked whether it is there."""
ANSWER_SECONDS: Final = 6.0
"""For the answer to a ping; the two together are how long a frozen server can go unnoticed."""
SILENT_SECONDS: Final = 60.0
"""The connection to a server that does not answer is kept for so long: what a frozen one has taken is lost with it."""
PAUSES: Final = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds between tries to connect; the last one repeats."""
JITTER: Final = 0.3
LOOK_SECONDS: Final = 0.2
STEADY_SECONDS: Final = 30.0
"""A connection that held for so long is followed by a quick try."""
MAX_STANZA: Final = 200_000
"""Bytes; Prosody takes half a megabyte from a component, and clients' servers less."""
BARRIER_SECONDS: Final = 1.5
"""For the last barrier before the end of the stream."""
CLOSE_SECONDS: Final = 2.0
"""For the server's end of the stream."""
PING_PREFIX: Final = "barrier-"
STANZAS: Final = frozenset(f"{{jabber:component:accept}}{name}" for name in ("message", "presence", "iq"))


class LinkDown(Unavailable):
    """There is no connection to the server, or it does not answer."""

    sentence: ClassVar[str] = "The XMPP server does not answer now."


class Component(ComponentXMPP):
    """slixmpp's component without plugins: stanzas go straight to us, nothing is answered on its own."""

    def __init__(self, domain: str, secret: str, host: str, port: int, take: Callable[[Element], None]) -> None:
        super().__init__(domain, secret, host, port, plugin_whitelist=[], plugin_config={})  # type: ignore[no-untyped-call]
        self.enable_direct_tls = False
        self.enable_starttls = False
        self._take = take

    def init_parser(self) -> None:
        """For each connection anew."""
        super().init_parser()
        self.parser = StreamParser()  # type: ignore[assignment]  # by its two methods the same

    def _spawn_event(self, xml: Element) -> None:
        """Everything but the stream's own elements is ours, before slixmpp makes objects of its own of it."""
        element = self.incoming_filter(xml)  # type: ignore[no-untyped-call]
        if element.tag in STANZAS:
            self._take(element)
        else:
            super()._spawn_event(element)


@dataclass(slots=True)
class _Barrier:
    """A ping on its way, and who waits for its answer."""

    id: str
    answered: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Link:
    """Keeps the connection of one component domain; ``run`` does, until cancelled.

    ``take`` gets every stanza of others, in order, and must not wait. ``up`` is told when a connection is there.
    """

    def __init__(
        self,
        *,
        domain: str,
        secret: str,
        host: str,
        port: int,
        take: Callable[[Element], None],
        up: Callable[[], None] = lambda: None,
    ) -> None:
        self.domain = domain
        self._secret = secret
        self._host = host
        self._port = port
        self._take = take
        self._up = up
        self._component: Component | None = None
        self._lost: asyncio.Event | None = None
        self._flying: _Barrier | None = None
        self._next: _Barrier | None = None
        self._pings = 0
        self._heard_at = 0.0
        self._paused = False
        self._closing = False

    @property
    def _server(self) -> str:
        return self.domain.partition(".")[2] or self.domain

    @property
    def connected(self) -> bool:
        """True between the handshake and the end of a connection, while the server answers."""
        return self._component is not None

    async def run(self) -> None:
        """Connect, watch, connect again; returns after ``close``."""
        tries, self._closing = 0, False
        while not self._closing:
            started = asyncio.get_running_loop().time()
            try:
                await self._session()
            except LinkDown as error:
                log.warning("xmpp.link_down", detail=error.detail)
            if asyncio.get_running_loop().time() - started > STEADY_SECONDS:
                tries = 0
            pause = PAUSES[min(tries, len(PAUSES) - 1)] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
            tries += 1
            if not self._closing:
                await asyncio.sleep(pause)

    def send(self, stanza: str) -> None:
        """Hand a stanza to the connection; whether the server reads it only `barrier` tells. Raises LinkDown."""
        component = self._component
        if component is None or component.transport is None:
            raise LinkDown("there is no connection")
        component.send_raw(stanza)

    async def deliver(self, *stanzas: str) -> None:
        """Send, and return when the server has read all of them. Raises LinkDown: then they may have arrived or not."""
        for stanza in stanzas:
            self.send(stanza)
        await self.barrier()

    async def barrier(self) -> None:
        """Return when everything that was sent until now was read. Raises LinkDown."""
        if self._component is None:
            raise LinkDown("there is no connection")
        # One ping is on its way at a time; what was sent behind it shares the next one.
        if self._next is None:
            self._next = _Barrier("")
        barrier = self._next
        if self._flying is None:
            self._ping()
        await asyncio.shield(barrier.answered)

    async def close(self) -> None:
        """Say goodbye and disconnect; returns when ``take`` has got all that the server had sent until then.

        The server sends back what comes for us once it has read the end of our stream, and ends its own behind what it
        sent before: whoever stops reading earlier loses messages of which nobody is told.
        """
        component, lost = self._component, self._lost
        self._closing = True
        if component is None or lost is None:
            return
        self.pause(False)
        with contextlib.suppress(LinkDown, TimeoutError):
            async with asyncio.timeout(BARRIER_SECONDS):
                await self.barrier()
        if component.transport is not None:
            component.send_raw("</stream:stream>")
        self._component = None
        self._fail_barriers()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await lost.wait()
        component.abort()

    def pause(self, paused: bool) -> None:
        """Take nothing more from the server for now, or go on; at the end everything is taken."""
        transport = None if self._component is None else self._component.transport
        if transport is None:
            return
        if paused and not self._closing and transport.is_reading():
            self._paused = True
            transport.pause_reading()
        elif not paused and not transport.is_reading():
            self._paused = False
            self._heard_at = asyncio.get_running_loop().time()
            transport.resume_reading()

    # --- one connection -------------------------------------------------------------------------------------------

    async def _session(self) -> None:
        component = Component(self.domain, self._secret, self._host, self._port, self._heard)
        started, lost = asyncio.Event(), asyncio.Event()
        failure: list[str] = []

        def failed(reason: object) -> None:
            failure.append(str(reason or "closed")[:200])
            lost.set()

        def begun(_: object) -> None:
            # Before the server's next stanza is read, which may stand right behind the handshake and want an answer.
            self._component = component
            started.set()

        component.add_event_handler("session_start", begun)
        component.add_event_handler("connection_failed", failed)
        component.add_event_handler("disconnected", failed)
        component.add_event_handler("stream_error", lambda error: failure.append(f"stream error {error['condition']}"))
        try:
            component.connect(self._host, self._port)
            await _either(started, lost, CONNECT_SECONDS)
            if not started.is_set():
                raise LinkDown(f"no connection: {failure[0] if failure else 'no answer in time'}")
            self._lost, self._paused = lost, False
            self._heard_at = asyncio.get_running_loop().time()
            while not lost.is_set():
                self._component = component
                log.info("xmpp.link_up", component=self.domain)
                self._up()
                await self._watch(lost)
                if lost.is_set() or not await self._heard_again(lost):
                    break
            raise LinkDown(f"connection lost: {failure[0] if failure else 'no answer to a ping'}")
        finally:
            self._component = self._lost = None
            self._fail_barriers()
            component.cancel_connection_attempt()
            component.abort()
            filters = component._run_out_filters
            if filters is not None:
                filters.cancel()
                await asyncio.gather(filters, return_exceptions=True)

    async def _watch(self, lost: asyncio.Event) -> None:
        """Return when the connection is lost, or the server does not answer any more."""
        loop = asyncio.get_running_loop()
        while not lost.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WATCH_SECONDS / 2):
                    await lost.wait()
            # While we take nothing, nothing can be heard.
            if lost.is_set() or self._paused or loop.time() - self._heard_at < WATCH_SECONDS:
                continue
            barrier = asyncio.ensure_future(self.barrier())
            done, _ = await asyncio.wait(
                {barrier, asyncio.ensure_future(lost.wait())},
                timeout=ANSWER_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if barrier not in done:
                barrier.cancel()
                return

    async def _heard_again(self, lost: asyncio.Event) -> bool:
        """The server does not answer: send nothing more, and see whether it says something in the end."""
        log.warning("xmpp.server_silent", component=self.domain)
        self._component = None
        self._fail_barriers()
        silent_since = self._heard_at
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SILENT_SECONDS):
                while not lost.is_set() and self._heard_at == silent_since:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(LOOK_SECONDS):
                            await lost.wait()
        return self._heard_at != silent_since

    def _ping(self) -> None:
        """Send the ping of the barrier that waits."""
        barrier = self._next
        if barrier is None:
            return
        self._pings += 1
        barrier.id = f"{PING_PREFIX}{self._pings}"
        self._flying, self._next = barrier, None
        ping = (
            f"<iq type='get' id='{barrier.id}' from='{self.domain}' to='{self._server}'>"
            "<ping xmlns='urn:xmpp:ping'/></iq>"
        )
        try:
            self.send(ping)
        except LinkDown as error:
            self._flying = None
            barrier.answered.set_exception(error)
            barrier.answered.exception()

    def _heard(self, stanza: Element) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        flying = self._flying
        # Anybody can send an answer; only the server's own says what the server has read.
        if (
            flying is not None
            and stanza.get("id") == flying.id
            and stanza.get("from") == self._server
            and stanza.get("type") in ("result", "error")
        ):
            self._flying = None
            if not flying.answered.done():
                flying.answered.set_result(None)
            self._ping()
            return
        self._take(stanza)

    def _fail_barriers(self) -> None:
        for barrier in (self._flying, self._next):
            if barrier is not None and not barrier.answered.done():
                barrier.answered.set_exception(LinkDown("the connection was lost before the server answered"))
                # Nobody may wait for it any more.
                barrier.answered.exception()
        self._flying = self._next = None


async def _either(one: asyncio.Event, other: asyncio.Event, seconds: float) -> None:
    """Return when one of two happened, or the time is over."""
    waiting = [asyncio.ensure_future(each.wait()) for each in (one, other)]
    await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
