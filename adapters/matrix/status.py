"""How far messages of Matrix users came: an event for clients that show it (MSC2153's successor in use,
``com.beeper.message_send_status``), and a notice in words when a message failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import structlog

from adapters.matrix.content import answering, text_content
from adapters.matrix.errors import HomeserverRefused
from adapters.matrix.ids import EventId, event_id
from adapters.matrix.intent import Intent
from adapters.matrix.portals import Portal
from adapters.matrix.world import World, txn
from gateway.sdk import DeliveryState, StatusReport

log = structlog.get_logger(__name__)

STATUS: Final = "com.beeper.message_send_status"
SUCCESS: Final = "SUCCESS"
_STATES: Final[Mapping[DeliveryState, str]] = {
    DeliveryState.WAITING: "PENDING",
    DeliveryState.SENT: SUCCESS,
    DeliveryState.DELIVERED: SUCCESS,
    DeliveryState.FAILED: "FAIL_PERMANENT",
}


class Status:
    """Shows reports in the rooms where the messages were written."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def report(self, status: StatusReport) -> None:
        """Show one; raises HomeserverDown, so that a failure comes again."""
        about = event_id(status.native_id)
        portal = await self._world.portals.of(status.sender, status.recipient)
        if about is None or portal is None or portal.closed:
            # Who left has nobody to tell them, and who else is in that room is not to know.
            return
        ghost = self._world.ghosts.known(status.recipient)
        try:
            await self._show(status, portal, ghost, about)
        except HomeserverRefused as refusal:
            # The person left meanwhile: nobody is there to be told.
            log.info("status.not_shown", state=status.state, errcode=refusal.errcode)

    async def failed(self, portal: Portal, ghost: Intent, about: EventId, reason: str) -> None:
        """A message that never went: marked, and said in words."""
        await self._mark(portal, ghost, about, DeliveryState.FAILED, reason)
        words = f"Your message did not reach {portal.name}: {reason}"
        await ghost.send(
            portal.room,
            "m.room.message",
            answering(text_content(words, kind="m.notice"), about),
            txn("failed", about, portal.name),
        )

    async def _show(self, status: StatusReport, portal: Portal, ghost: Intent, about: EventId) -> None:
        if status.state is DeliveryState.OPENED:
            if self._world.settings.read_receipts:
                await ghost.read(portal.room, about)
            return
        if status.state is DeliveryState.FAILED and not status.automatic:
            await self.failed(portal, ghost, about, status.reason)
            return
        await self._mark(portal, ghost, about, status.state, status.reason)

    async def _mark(self, portal: Portal, ghost: Intent, about: EventId, state: DeliveryState, reason: str) -> None:
        if not self._world.settings.status_events:
            return
        said = _STATES[state]
        content: dict[str, Any] = {
            "m.relates_to": {"rel_type": "m.reference", "event_id": about},
            "network": self._world.ctx.parent,
            "status": said,
        }
        if state is DeliveryState.DELIVERED:
            content["delivered_to_users"] = [ghost.user]
        if reason:
            content |= {"message": reason, "reason": "m.foreign_network_error" if said != SUCCESS else "m.pending"}
        await ghost.send(portal.room, STATUS, content, txn("status", about, portal.name, state))
