"""An adapter under the control of a test: takes what it is told to take, refuses what it is told to refuse."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import ClassVar

from pydantic import BaseModel

from gateway.sdk import (
    AdapterContext,
    CanonicalId,
    Capabilities,
    Delivered,
    Delivery,
    DeliveryState,
    EnsName,
    MessageType,
    NativeId,
    Network,
    Outcome,
    Outgoing,
    Person,
    SenderAssurance,
    StatusReport,
    Submitted,
    TextFormat,
)


class NoSettings(BaseModel):
    """This adapter has none."""


class PaperAdapter:
    """A network called ``paper``: deliveries lie on `delivered`, reports on `reports`.

    `script` holds outcomes or exceptions for the next deliveries; when it is empty, everything is taken.
    """

    name: ClassVar[Network] = Network("paper")
    capabilities: ClassVar[Capabilities] = Capabilities(
        types=frozenset({MessageType.NEW, MessageType.REPLY}),
        max_text=100_000,
        max_attachments=10,
        max_attachment_bytes=10_000_000,
        text_format=TextFormat.PLAIN,
        idempotent=True,
        ordered=True,
    )
    Settings: ClassVar[type[BaseModel]] = NoSettings

    def __init__(self, settings: NoSettings | None = None) -> None:
        self.ctx: AdapterContext
        self.script: deque[Outcome | Exception] = deque()
        self.tries: list[Delivery] = []
        self.delivered: list[Delivery] = []
        self.reports: list[StatusReport] = []
        self.underway: list[StatusReport] = []
        self._changed = asyncio.Event()

    async def open(self, ctx: AdapterContext) -> None:
        """Keep the context."""
        self.ctx = ctx

    async def run(self) -> None:
        """Nothing by itself."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Nothing to close."""

    async def deliver(self, delivery: Delivery) -> Outcome:
        """By the script."""
        self.tries.append(delivery)
        self._changed.set()
        outcome = self.script.popleft() if self.script else Delivered(NativeId(f"paper-{delivery.key[:16]}"))
        if isinstance(outcome, Exception):
            raise outcome
        if isinstance(outcome, Delivered):
            self.delivered.append(delivery)
        self._changed.set()
        return outcome

    async def report(self, status: StatusReport) -> None:
        """Keep the news; that a message is on its way lies on `underway`."""
        on_its_way = status.state is DeliveryState.WAITING or (status.state is DeliveryState.SENT and not status.reason)
        (self.underway if on_its_way else self.reports).append(status)
        self._changed.set()

    async def write(
        self,
        person: str,
        recipient: EnsName,
        text: str,
        native_id: str,
        *,
        type: MessageType = MessageType.NEW,
        reference: str | None = None,
        automatic: bool = False,
        sent_at: int | None = None,
        assurance: SenderAssurance | None = None,
    ) -> Submitted:
        """Somebody of this network writes."""
        return await self.ctx.submit(
            Outgoing(
                sender=Person(CanonicalId(person), person.partition("@")[0].title()),
                recipient=recipient,
                native_id=NativeId(native_id),
                sent_at=self.ctx.now_ms() if sent_at is None else sent_at,
                type=type,
                text=text,
                reference=NativeId(reference) if reference else None,
                automatic=automatic,
                assurance=assurance,
            )
        )

    async def wait_delivered(self, number: int, seconds: float = 60) -> list[Delivery]:
        """All deliveries once there are `number`; TimeoutError when there never are."""
        async with asyncio.timeout(seconds):
            while len(self.delivered) < number:
                self._changed.clear()
                await self._changed.wait()
        return self.delivered

    async def wait_tries(self, number: int, seconds: float = 60) -> list[Delivery]:
        """All tries once there are `number`."""
        async with asyncio.timeout(seconds):
            while len(self.tries) < number:
                self._changed.clear()
                await self._changed.wait()
        return self.tries

    async def wait_report(self, state: DeliveryState, seconds: float = 60) -> StatusReport:
        """The first report of a state."""
        async with asyncio.timeout(seconds):
            while True:
                for report in self.reports:
                    if report.state is state:
                        return report
                self._changed.clear()
                await self._changed.wait()
