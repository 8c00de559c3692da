"""One connection of slixmpp's, reduced to negotiation and login; it answers pings and disco and does nothing else.

Apart from the rest because slixmpp is an extra, and slow to import.
"""

from __future__ import annotations

import asyncio
import copy
import ssl
from collections.abc import Callable, Iterable
from typing import Any, Final
from xml.etree.ElementTree import Element

from slixmpp import ClientXMPP, Message, Presence

from gateway.demo.xmpp_stanza import CLIENT, Stanza, XmppFault

LEAVE_SECONDS: Final = 2.0
PLUGINS: Final = ("xep_0030", "xep_0199")
"""Answers to disco and ping; more of them cost more for each stanza."""


class XmppConnection(ClientXMPP):
    """Without TLS. Stanzas go to `take` as they came, before slixmpp adds to them; `lost` is called once, at the end.

    Made inside the running loop.
    """

    def __init__(
        self,
        full_jid: str,
        password: str,
        features: Iterable[str],
        take: Callable[[Stanza], None],
        lost: Callable[[], None],
    ) -> None:
        super().__init__(
            full_jid,
            password,
            # Never used, and the default one reads all certificates of the system.
            ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            plugin_config={"feature_mechanisms": {"unencrypted_plain": True, "unencrypted_scram": True}},
        )
        self._take = take
        self._lost = lost
        self._begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._closed = asyncio.Event()
        self.enable_starttls = self.enable_direct_tls = False
        self.enable_plaintext = True
        for plugin in PLUGINS:
            self.register_plugin(plugin)
        for feature in features:
            self.plugin["xep_0030"].add_feature(feature)
        self.add_filter("in", _not_for_slixmpp)
        self.add_event_handler("session_start", lambda _: self._started(None))
        self.add_event_handler("failed_all_auth", lambda _: self._started(XmppFault("not-authorized")))
        self.add_event_handler("connection_failed", lambda why: self._started(ConnectionError(str(why))))
        self.add_event_handler("stream_error", lambda error: self._started(XmppFault(error["condition"])))
        self.add_event_handler("disconnected", self._over)

    async def begin(self, host: str, port: int) -> str:
        """Log in; the resource that the server gave. Raises XmppFault or ConnectionError; call ``end`` all the same."""
        self.connect(host, port)
        await self._begun
        return str(self.boundjid.resource)

    async def end(self, orderly: bool) -> None:
        """Close the stream, or only the connection, and leave no task behind, of which slixmpp itself leaves two."""
        attempt, sending = self._current_connection_attempt, self._run_out_filters
        self.cancel_connection_attempt()
        self._started(ConnectionError("given up"))
        if self.transport is not None:
            if orderly:
                await self.disconnect(wait=LEAVE_SECONDS, ignore_send_queue=True)
            # Still there when not orderly, and when the other side reads nothing.
            if self.transport is not None:
                self.transport.abort()
                await self._closed.wait()
        tasks = [task for task in (attempt, sending) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def incoming_filter(self, xml: Element) -> Element:
        """See XMLStream."""
        if xml.tag.startswith(f"{{{CLIENT}}}"):
            self._take(Stanza(copy.deepcopy(xml)))
        return xml

    def _started(self, fault: Exception | None) -> None:
        if self._begun.done():
            return
        if fault is None:
            self._begun.set_result(None)
        else:
            self._begun.set_exception(fault)
            # Nobody may be waiting.
            self._begun.exception()

    def _over(self, reason: Any) -> None:
        self._started(ConnectionError(str(reason or "the server ended the stream")))
        if not self._closed.is_set():
            self._closed.set()
            self._lost()


def _not_for_slixmpp(stanza: Any) -> Any:
    """It would answer requests for subscriptions, among others."""
    return None if isinstance(stanza, (Message, Presence)) else stanza
