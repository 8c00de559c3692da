"""Telling whoever waits on this node that mail has come: long polls and sockets. A hint, never the mail itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from gateway.errors import LimitExceeded
from gateway.ids import EthAddress
from gateway.store.mailbox import Folder, StoredEnvelope

log = structlog.get_logger(__name__)

WAITING_PER_MAILBOX: Final = 10
"""Long polls for one mailbox at one time."""

Listener = Callable[[StoredEnvelope], None]
"""Told of each envelope in an inbox after its commit; must not wait."""


class Arrivals:
    """Who waits for which mailbox. Announce only what was committed."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._waiting: dict[EthAddress, set[asyncio.Event]] = {}
        self._closed = False

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

    @contextmanager
    def waiting(self, recipient: EthAddress) -> Iterator[asyncio.Event]:
        """An event that is set when mail comes to this mailbox at this node, or the node stops.

        Begin to wait before looking at the store, or what comes between is missed. Mail that another node took is
        not heard of: look from time to time. Raises LimitExceeded when too many wait for one mailbox.
        """
        event = asyncio.Event()
        waiting = self._waiting.setdefault(recipient, set())
        if len(waiting) >= WAITING_PER_MAILBOX:
            raise LimitExceeded("too many requests wait for one mailbox")
        waiting.add(event)
        if self._closed:
            event.set()
        try:
            yield event
        finally:
            waiting.discard(event)
            if not waiting and self._waiting.get(recipient) is waiting:
                del self._waiting[recipient]

    def close(self) -> None:
        """The node stops: nobody waits any longer."""
        self._closed = True
        for waiting in self._waiting.values():
            for event in waiting:
                event.set()

    @property
    def closed(self) -> bool:
        """Whether the node stops."""
        return self._closed
