"""An echo: a native DM3 client that answers whoever writes to it, so that people can try a gateway alone."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from cachetools import LRUCache

from gateway.dm3.message import MessageType
from gateway.ens.names import normalise
from gateway.errors import GatewayError
from gateway.ids import MessageHash
from gateway.operations.dm3_client import Dm3Client, Received
from gateway.sdk.delivery import NOTICE_MARK

log = structlog.get_logger(__name__)

PREFIX: Final = "echo: "
PERIOD_SECONDS: Final = 0.5
SILENT: Final = frozenset({MessageType.READ_OPENED, MessageType.READ_RECEIVED, MessageType.RESEND_REQUEST})
REMEMBERED: Final = 10_000


class Echo:
    """Mirrors text, edits, deletions, reactions, replies and attachments, and confirms what it read."""

    def __init__(self, client: Dm3Client) -> None:
        self._client = client
        self._answers: LRUCache[MessageHash, MessageHash] = LRUCache(REMEMBERED)
        """Their message -> our answer: an edit of theirs becomes an edit of ours."""

    async def run(self) -> None:
        """Answer until cancelled; trouble is logged and tried again."""
        while True:
            try:
                await self.answer_waiting()
            except GatewayError as error:
                log.warning("echo.interrupted", name=self._client.name, detail=error.detail)
            await asyncio.sleep(PERIOD_SECONDS)

    async def answer_waiting(self) -> int:
        """Answer everything that waits now; returns how many messages that were."""
        waiting = await self._client.fetch()
        for received in waiting:
            try:
                await self._answer(received)
            except GatewayError as error:
                # Whoever cannot be answered now gets no answer: the others must not wait behind them.
                log.warning("echo.unanswerable", name=self._client.name, detail=error.detail)
            await self._client.acknowledge(received)
        return len(waiting)

    async def _answer(self, received: Received) -> None:
        message = received.message
        # Its own kind is not answered: two of them would go on for ever.
        if message.type in SILENT or (message.text or "").startswith((NOTICE_MARK, PREFIX)):
            return
        # All names of one wallet share a mailbox: answer as the one who was written to.
        name = normalise(message.to)
        for kind in (MessageType.READ_RECEIVED, MessageType.READ_OPENED):
            await self._client.send(
                received.sender, "", kind=kind, reference=received.message_hash, attachments=(), sender=name
            )
        mirrored = self._answers.get(message.reference) if message.reference is not None else None
        reference: MessageHash | None
        match message.type:
            case MessageType.EDIT | MessageType.DELETE_REQUEST if mirrored is not None:
                kind, reference = message.type, mirrored
            case MessageType.REACTION if message.reference is not None:
                kind, reference = message.type, received.message_hash if mirrored is None else mirrored
            case MessageType.REPLY:
                kind, reference = MessageType.REPLY, received.message_hash
            case _:
                kind, reference = MessageType.NEW, None
        text = message.text or ""
        if kind in (MessageType.NEW, MessageType.REPLY, MessageType.EDIT):
            text = PREFIX + text
        sent = await self._client.send(
            received.sender, text, kind=kind, reference=reference, attachments=message.attachments, sender=name
        )
        self._answers[received.message_hash] = sent.message_hash
