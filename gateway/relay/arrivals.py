"""Telling whoever waits on this node that mail has come: long polls and sockets. A hint, never the mail itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from gateway.ids import EthAddress
from gateway.store.mailbox import Folder, StoredEnvelope

log = structlog.get_logger(__name__)

Listener = Callable[[StoredEnvelope], None]
"""Told of each envelope in an inbox after its commit; must not wait."""


class Arrivals:
    """Who waits for which mailbox. Announce only what was committed."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._waiting: dict[EthAddress, set[asyncio.Event]] = {}

    def listen(self, listener: Listener) -> None:
        """Tell `listener` of everything that is announced from now on."""
        self._listeners.append(listener)

    def announce(self, envelope: StoredEnvelope) -> None:
        """An envelope for a native recipient is on disk. What a listener raises is logged: the mail is safe."""
        if envelope.folder is not Folder.INBOX:
            return
        for event in self._waiting.get(envelope.recipient, ()):
            event.set()
        for listener in self._listeners:
            try:
                listener(envelope)
            except Exception:
                log.exception("arrival.listener_failed", envelope=envelope.id)

    async def wait(self, recipient: EthAddress, seconds: float) -> bool:
        """Until mail comes to this mailbox at this node, at most `seconds`; True when it came.

        Mail that another node took is not heard of: look at the store from time to time.
        """
        event = asyncio.Event()
        waiting = self._waiting.setdefault(recipient, set())
        waiting.add(event)
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
            return True
        except TimeoutError:
            return False
        finally:
            waiting.discard(event)
            if not waiting and self._waiting.get(recipient) is waiting:
                del self._waiting[recipient]
