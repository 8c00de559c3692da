"""What the story's native DM3 client hears: one message that a step is about."""

from __future__ import annotations

from gateway.demo.teller import check, until
from gateway.demo.world import World
from gateway.dm3.message import MessageType
from gateway.ids import EnsName, MessageHash
from gateway.operations.dm3_client import Received


async def heard(
    world: World, what: str, kind: MessageType, sender: EnsName, *, about: MessageHash | None = None
) -> Received:
    """The oldest message of this kind that waits for native.eth, or soon will; acknowledged.

    `about` is the message that it must refer to. Raises StepFailed when none comes and when a signature does not hold.
    """

    def wanted(each: Received) -> bool:
        return each.message.type is kind and each.sender == sender and about in (None, each.message.reference)

    async def look() -> Received | None:
        return next(filter(wanted, await world.native.fetch()), None)

    received = await until(what, look)
    check(received.verified, "a signature does not hold")
    await world.native.acknowledge(received)
    return received
