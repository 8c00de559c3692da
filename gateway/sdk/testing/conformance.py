"""Checks that hold for every adapter; an adapter's tests call `check_conformance` with a live peer of its network.

Each check raises AssertionError with a sentence that says what the gateway relies on.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from gateway.dm3.message import Attachment, MessageType
from gateway.errors import Unavailable
from gateway.ids import CanonicalId, EnsName, MessageHash, NativeId
from gateway.sdk.adapter import Adapter
from gateway.sdk.attachments import file_attachment
from gateway.sdk.degrade import degrade
from gateway.sdk.delivery import Delivered, Delivery, Outgoing, Reference, Rejected, Retry
from gateway.sdk.testing.context import MemoryContext

PATIENCE = 10.0
"""Seconds that a check waits for something to cross the network."""

HOSTILE_TEXTS = (
    "",
    " ",
    "\x00\x01\x1b[31m red",
    "a\r\nb\rc\n.\r\nQUIT\r\n",
    "\u202egnp.exe\u200b\u200d",
    "<script>alert(1)</script><img src=x onerror=y>&amp;]]>",
    "\U0001f469\u200d\U0001f469\u200d\U0001f466" * 50,
    "x" * 70_000,
)


class Peer(Protocol):
    """A user of the foreign network, driven by the adapter's tests over real sockets where there are any."""

    @property
    def canonical_id(self) -> CanonicalId:
        """Whom deliveries are for and from whom `send` comes."""

    async def send(self, recipient: EnsName, text: str, native_id: NativeId) -> None:
        """Write to an ENS name; returns when the network acknowledged. Raises when the gateway refused for now."""

    async def received(self) -> Sequence[str]:
        """Texts that arrived so far, in order."""


def sample_delivery(peer: Peer, number: int, **changes: object) -> Delivery:
    """A delivery with its own key and hash."""
    digest = hashlib.sha256(f"conformance {number}".encode()).hexdigest()
    delivery = Delivery(
        key=digest,
        recipient=peer.canonical_id,
        recipient_name=EnsName("somebody.gw.eth"),
        sender=EnsName("native.eth"),
        verified=True,
        type=MessageType.NEW,
        text=f"conformance message {number}",
        attachments=(),
        message_hash=MessageHash("0x" + digest),
        sent_at=1_727_000_000_123,
    )
    return replace(delivery, **changes)  # type: ignore[arg-type]


async def check_conformance(adapter: Adapter, ctx: MemoryContext, peer: Peer) -> None:
    """Run every check against an adapter that was not opened yet; it is closed at the end."""
    check_declaration(adapter)
    await adapter.close()  # must be harmless before open
    await adapter.open(ctx)
    running = asyncio.create_task(adapter.run())
    try:
        await check_inbound(ctx, peer)
        await check_inbound_fault(ctx, peer)
        await check_outbound(adapter, peer)
        await check_types(adapter, peer)
        await check_hostile_content(adapter, peer)
        await asyncio.sleep(0)  # an adapter without sockets may not have let run() begin
        if running.done():
            raise AssertionError(f"run() ended while the adapter was open: {running.exception()!r}")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await adapter.close()
    await adapter.close()


def check_declaration(adapter: Adapter) -> None:
    """Name and capabilities are usable as a zone label and as data."""
    _require(adapter.name.isascii() and adapter.name.isalnum() and adapter.name.islower(), "name must be a-z0-9")
    capabilities = adapter.capabilities
    _require(MessageType.NEW in capabilities.types, "every network carries NEW")
    _require(capabilities.max_text > 0, "max_text must be positive")
    _require(capabilities.max_attachment_bytes >= 0 <= capabilities.max_attachments, "limits must not be negative")


async def check_inbound(ctx: MemoryContext, peer: Peer) -> None:
    """A native message is submitted once with its sender, recipient and text, however often it is presented."""
    recipient = EnsName("native.eth")
    ctx.known_names.add(recipient)
    await peer.send(recipient, "hello from outside", NativeId("conformance-in-1"))
    await _until(lambda: len(ctx.taken) == 1, "a native message must reach submit")
    first: Outgoing = ctx.taken[0]
    _require(first.sender.canonical_id == peer.canonical_id, "the sender must be the canonical id")
    _require(first.recipient == recipient, "the recipient must be the ENS name that was written to")
    _require("hello from outside" in first.text, "the text must be there")
    _require(first.sent_at > 0, "sent_at must be set")
    await peer.send(recipient, "hello from outside", NativeId("conformance-in-1"))
    await peer.send(recipient, "second", NativeId("conformance-in-2"))
    await _until(
        lambda: any("second" in each.text for each in ctx.taken), "a repeat must not hide the message after it"
    )
    _require(len(ctx.taken) == 2, "the same event must be submitted with the same native_id")


async def check_inbound_fault(ctx: MemoryContext, peer: Peer) -> None:
    """While the gateway cannot take messages, the network keeps them: nothing is acknowledged and then lost."""
    before = len(ctx.taken)
    ctx.fault = Unavailable("store is down")
    try:
        acknowledged = True
        try:
            await peer.send(EnsName("native.eth"), "during the fault", NativeId("conformance-in-3"))
        except Exception:  # the network's own way to say "later"
            acknowledged = False
    finally:
        ctx.fault = None
    if not acknowledged:
        await peer.send(EnsName("native.eth"), "during the fault", NativeId("conformance-in-3"))
    await _until(lambda: len(ctx.taken) == before + 1, "a message must survive a fault of the gateway")


async def check_outbound(adapter: Adapter, peer: Peer) -> None:
    """Deliveries arrive in order; the same one twice shows once where the network has an idempotency key."""
    deliveries = [sample_delivery(peer, number) for number in range(3)]
    for delivery in deliveries:
        outcome = await adapter.deliver(delivery)
        _require(isinstance(outcome, Delivered) and bool(outcome.native_id), f"{outcome} is no Delivered with an id")
    if adapter.capabilities.idempotent:
        again = await adapter.deliver(deliveries[0])
        _require(isinstance(again, Delivered), "a repeated delivery must be Delivered again")
    await adapter.deliver(sample_delivery(peer, 3))
    texts = await _received(peer, 4)
    numbers = [number for text in texts for number in range(4) if f"conformance message {number}" in text]
    expected = [0, 1, 2, 3]
    _require(sorted(set(numbers)) == expected, f"every message must arrive, got {numbers}")
    if adapter.capabilities.ordered and adapter.capabilities.idempotent:
        _require(numbers == expected, f"order and number of messages must hold, got {numbers}")


async def check_types(adapter: Adapter, peer: Peer) -> None:
    """Every type that was declared, and every type as the shared table degrades it, has an outcome."""
    reference = Reference(MessageHash("0x" + "ab" * 32), None)
    for number, kind in enumerate(MessageType, start=100):
        delivery = degrade(
            sample_delivery(peer, number, type=kind, text="\U0001f44d", reference=reference), adapter.capabilities
        )
        if delivery is not None:
            outcome = await adapter.deliver(delivery)
            _require(not isinstance(outcome, Retry), f"{kind} about an unknown message must not wait for ever")


async def check_hostile_content(adapter: Adapter, peer: Peer) -> None:
    """Whatever a sender writes ends as Delivered or Rejected: never as an exception, never as endless Retry."""
    attachments: tuple[Attachment, ...] = (
        file_attachment("../../etc/passwd\r\nX: y", "text/plain\r\nX: y", b"\x00\xff"),
        Attachment("data:nonsense", None),
        Attachment("javascript:alert(1)", "x"),
    )
    cases = [dict[str, object](text=text) for text in HOSTILE_TEXTS]
    cases += [dict[str, object](attachments=(each,)) for each in attachments]
    for number, changes in enumerate(cases, start=200):
        outcome = await adapter.deliver(sample_delivery(peer, number, **changes))
        _require(isinstance(outcome, Delivered | Rejected), f"{changes!r:.80} ended as {outcome}")


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise AssertionError(sentence)


async def _until(holds: Callable[[], bool], sentence: str) -> None:
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not holds():
        _require(asyncio.get_running_loop().time() < deadline, sentence)
        await asyncio.sleep(0.01)


async def _received(peer: Peer, number: int) -> Sequence[str]:
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while len(texts := await peer.received()) < number:
        _require(asyncio.get_running_loop().time() < deadline, f"{number} messages must arrive, got {len(texts)}")
        await asyncio.sleep(0.01)
    return texts
