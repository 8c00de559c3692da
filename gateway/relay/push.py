"""Push to clients over socket.io: new envelopes as they come, submission, several sessions of one account at once.

The reference's surface: websocket transport at ``/socket.io``, log-in in the handshake, events ``authorized``,
``message`` and ``submitMessage``. With Redis, whatever any node takes is pushed by all. A push is a hint: an envelope
stays in the mailbox until it is acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final

import structlog
from starlette.routing import BaseRoute, Mount
from starlette.types import Receive, Scope, Send

from gateway.dm3.canonical import Json, stringify
from gateway.errors import GatewayError, InvalidParams, LimitExceeded
from gateway.ids import EthAddress
from gateway.offload import Offload
from gateway.rates import Rate
from gateway.relay.sessions import Sessions
from gateway.relay.socket_guard import DROP, LOGGED_IN, SocketGuard
from gateway.relay.submit import Submission
from gateway.store.mailbox import StoredEnvelope

if TYPE_CHECKING:
    from gateway.relay.fan_out import FanOut

log = structlog.get_logger(__name__)

MESSAGE: Final = "message"
"""The event that carries an envelope."""
MAX_PACKET: Final = 2**20
"""Bytes of a packet; larger envelopes are submitted by JSON-RPC."""
SOCKETS_PER_ACCOUNT: Final = 20
WAITING: Final = 1_000
"""Pushes that wait to be sent; more are left out."""
UNREAD: Final = 200
"""Packets that a client may leave unread before it is disconnected."""
PUBLISH_SECONDS: Final = 5.0
PART_SECONDS: Final = 1.0
PING_SECONDS: Final = 25
PONG_SECONDS: Final = 20


class Push:
    """The socket.io server of one node, made when there is something for it to do."""

    def __init__(
        self,
        *,
        sessions: Sessions,
        submission: Submission,
        redis_url: str | None,
        channel: str,
        rate: Rate,
        offload: Offload,
    ) -> None:
        self._sessions = sessions
        self._submission = submission
        self._rate = rate
        self._offload = offload
        self._redis_url = redis_url
        self._channel = channel
        self._opening = asyncio.Lock()
        self._server: Any = None
        self._fan_out: FanOut | None = None
        self._sockets: dict[EthAddress, set[str]] = {}
        self._accounts: dict[str, EthAddress] = {}
        self._drops: dict[str, asyncio.Event] = {}
        self._queue: asyncio.Queue[StoredEnvelope] = asyncio.Queue(WAITING)
        self._greetings: set[asyncio.Task[None]] = set()
        self._closed = False

    def route(self) -> BaseRoute:
        """`/socket.io`."""
        return Mount("/socket.io", SocketGuard(self._serve, max_bytes=MAX_PACKET))

    def arrived(self, envelope: StoredEnvelope) -> None:
        """Push an envelope that is on disk to every socket of its recipient; never waits."""
        if self._redis_url is None and envelope.recipient not in self._sockets:
            return
        try:
            self._queue.put_nowait(envelope)
        except asyncio.QueueFull:
            log.warning("push.left_out", envelope=envelope.id)

    async def run(self) -> None:
        """Send until cancelled."""
        if self._redis_url is not None:
            await self._open()
        while True:
            envelope = await self._queue.get()
            await self._drop_deaf(envelope.recipient)
            try:
                async with asyncio.timeout(PUBLISH_SECONDS):
                    await self._server.emit(MESSAGE, self._as_it_is(envelope.body.decode()), room=envelope.recipient)
            except Exception as error:
                log.warning("push.failed", envelope=envelope.id, error=type(error).__name__)

    async def close(self) -> None:
        """Disconnect every client of this node and stop listening to the others. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        await asyncio.gather(*map(self._part, list(self._accounts)))
        if self._fan_out is not None:
            await self._fan_out.close()
        if self._server is not None:
            await self._server.shutdown()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._open()
        await self._app(scope, receive, send)

    async def _open(self) -> None:
        """Make the server for the first client: its library takes half a second to load, and 9 MB."""
        async with self._opening:
            if self._server is None:
                await asyncio.to_thread(__import__, "socketio")
                self._make_server()

    def _make_server(self) -> None:
        import socketio

        from gateway.relay.packets import JsonText, TextPacket

        if self._redis_url is not None:
            from gateway.relay.fan_out import FanOut

            self._fan_out = FanOut(self._redis_url, self._channel, event=MESSAGE, offload=self._offload)
        server = socketio.AsyncServer(
            async_mode="asgi",
            serializer=TextPacket,
            client_manager=self._fan_out,
            transports=["websocket"],
            cors_allowed_origins="*",
            # One packet of a client after the other: whoever sends too much waits for itself.
            async_handlers=False,
            max_http_buffer_size=MAX_PACKET,
            ping_interval=PING_SECONDS,
            ping_timeout=PONG_SECONDS,
            logger=False,
            engineio_logger=False,
        )
        server.on("connect", self._connect)
        server.on("disconnect", self._disconnect)
        server.on("submitMessage", self._submit)
        if self._fan_out is not None:
            # What other nodes publish is for clients too who come later.
            server.manager_initialized = True
            server.manager.initialize()
        self._as_it_is = JsonText
        self._refused = socketio.exceptions.ConnectionRefusedError
        self._app = socketio.ASGIApp(server)
        self._server = server

    async def _connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        """Log-in in the handshake: {account: {ensName}, token}. Whoever is not let in is not connected at all."""
        try:
            name, token = _credentials(auth)
            session = await self._sessions.authenticate(f"Bearer {token}", name)
            if len(self._sockets.get(session.address, ())) >= SOCKETS_PER_ACCOUNT:
                raise LimitExceeded(f"at most {SOCKETS_PER_ACCOUNT} sockets of one account")
        except GatewayError as error:
            raise self._refused(error.sentence) from None
        except Exception:
            log.exception("push.connect_failed")
            raise self._refused(GatewayError.sentence) from None
        scope = environ["asgi.scope"]
        scope[LOGGED_IN] = True
        self._drops[sid] = scope[DROP]
        self._accounts[sid] = session.address
        self._sockets.setdefault(session.address, set()).add(sid)
        await self._server.enter_room(sid, session.address)
        # The client listens for it once it is told that it is connected, which happens when we return.
        self._later(self._server.emit("authorized", to=sid, ignore_queue=True))

    async def _disconnect(self, sid: str, *_reason: Any) -> None:
        self._drops.pop(sid, None)
        address = self._accounts.pop(sid, None)
        if address is not None:
            sockets = self._sockets.get(address, set())
            sockets.discard(sid)
            if not sockets:
                self._sockets.pop(address, None)

    async def _submit(self, sid: str, data: Any = None, *_more: Any) -> dict[str, str]:
        """Event {envelop, token}; acknowledged with {response: success} or {error}."""
        address = self._accounts.get(sid)
        try:
            if address is None:
                raise InvalidParams("not logged in")
            self._rate.take(address)
            content = data.get("envelop") if isinstance(data, dict) else None
            if not isinstance(content, str | dict):
                raise InvalidParams("the event must hold {envelop, token}")
            size = len(content) if isinstance(content, str) else len(stringify(content))
            await self._submission.submit(content, size=size)
            return {"response": "success"}
        except GatewayError as error:
            log.info("push.refused", error=type(error).__name__, detail=error.detail)
            return {"error": error.sentence}
        except Exception:
            log.exception("push.submit_failed")
            return {"error": GatewayError.sentence}

    async def _drop_deaf(self, address: EthAddress) -> None:
        """A client that leaves everything unread would fill our memory."""
        for sid in list(self._sockets.get(address, ())):
            socket = self._engine_socket(sid)
            if socket is not None and socket.queue.qsize() > UNREAD:
                log.info("push.deaf_client")
                await self._drop(sid)

    async def _part(self, sid: str) -> None:
        """Tell a client that this is the end, if it still listens."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PART_SECONDS):
                await self._server.disconnect(sid, ignore_queue=True)
        await self._drop(sid)

    async def _drop(self, sid: str) -> None:
        """End a connection whatever its peer does."""
        drop, socket = self._drops.get(sid), self._engine_socket(sid)
        if socket is not None:
            await socket.close(wait=False, abort=True)
        await self._disconnect(sid)
        if drop is not None:
            drop.set()

    def _engine_socket(self, sid: str) -> Any:
        """The engine.io side of a session; None when it is gone."""
        return self._server.eio.sockets.get(self._server.manager.eio_sid_from_sid(sid, "/"))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._greetings.add(task)
        task.add_done_callback(self._greetings.discard)


def _credentials(auth: Json) -> tuple[str, str]:
    account = auth.get("account") if isinstance(auth, dict) else None
    name = account.get("ensName") if isinstance(account, dict) else None
    token = auth.get("token") if isinstance(auth, dict) else None
    if not isinstance(name, str) or not isinstance(token, str):
        raise InvalidParams("the handshake must hold {account: {ensName}, token}")
    return name, token
