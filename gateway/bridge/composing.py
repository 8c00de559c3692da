"""What a bridged person wrote as a signed DM3 message: what it answers, what is said first, how it is shown."""

from __future__ import annotations

import hashlib
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any, Final

import structlog

from gateway import traces
from gateway.bridge import wording
from gateway.bridge.jobs import OutboundJob, conversation
from gateway.custody.keyring import Keyring
from gateway.dm3.assurance import Confidence
from gateway.dm3.message import Message, MessageType, sign_message
from gateway.ids import EnsName, MessageHash
from gateway.lifecycle import Clock
from gateway.offload import Offload
from gateway.sdk.degrade import stand_in
from gateway.sdk.delivery import NOTICE_MARK
from gateway.store import Store
from gateway.store.identities import Identity
from gateway.store.messagemap import ConversationKnown, HashesOf
from gateway.store.once import Once, OnceUsed
from gateway.store.op import Op

log = structlog.get_logger(__name__)

ABOUT_OWN: Final = frozenset({MessageType.EDIT, MessageType.DELETE_REQUEST})
"""Types that are only about what their sender wrote."""
WITH_NOTICE: Final = frozenset({MessageType.NEW, MessageType.REPLY})
"""Types that can begin a conversation, and then say that it is bridged."""
DOUBT_TOLD_MS: Final = 180 * 24 * 3600 * 1000
"""After this time people are told anew that a sender is only weakly verified."""


@dataclass(frozen=True, slots=True)
class Composed:
    """A signed message, and what its envelope has to say to the delivery service."""

    message: Message
    instruction: str | None = field(default=None, repr=False)
    """Echo of the reply instruction of the message that this one answers (DM3-MTP, deliveryInstruction)."""
    told: tuple[Op[Any], ...] = ()
    """What to remember of it once it is sent."""


class Composer:
    """Makes messages in the names of bridged people of ``parent``."""

    def __init__(self, *, store: Store, keyring: Keyring, parent: EnsName, offload: Offload, clock: Clock) -> None:
        self._store = store
        self._keyring = keyring
        self._parent = parent
        self._clock = clock
        self._offload = offload

    async def compose(self, work: OutboundJob, sender: Identity) -> Composed | None:
        """The message, the same for every retry; None when it is about a message that nobody knows."""
        reference, instruction = await self._answered(work, sender)
        kind, text = work.type, _quotable(work, reference)
        if reference is None and kind is not MessageType.NEW:
            if kind not in (MessageType.REPLY, MessageType.EDIT):
                log.info("outbound.reference_unknown", type=kind, sender=work.sender)
                return None
            kind = MessageType.NEW
        notices, told = await self._notices(work, sender) if kind in WITH_NOTICE else ("", ())
        draft = Message(
            to=work.recipient,
            from_=work.shown_as or sender.shown_name,
            type=kind,
            timestamp=work.sent_at,
            text=text + notices,
            attachments=work.attachments or (() if kind not in WITH_NOTICE else None),
            reference=reference,
            assurance=work.assurance,
        )
        return Composed(await self._signed(draft, sender), instruction, told)

    async def is_early(self, work: OutboundJob, sender: Identity) -> bool:
        """Whether a server answers something that nobody knows, perhaps only not yet.

        It can refuse a message in less time than we need to note under which id we sent it.
        """
        if not work.automatic or work.native_reference is None:
            return False
        reference, _ = await self._answered(work, sender)
        return reference is None

    async def shown(self, composed: Composed, sender: Identity, types: AbstractSet[MessageType]) -> Composed | None:
        """The message for a recipient who takes these types only; None when there is nothing to show.

        A stand-in keeps its reference: threads hold together where the client looks at it.
        """
        message = composed.message
        shown = stand_in(message.type, message.text or "", types)
        if shown is None:
            return None
        if shown.type is message.type:
            return composed
        draft = replace(message, type=shown.type, text=shown.text, attachments=message.attachments or None)
        return replace(composed, message=await self._signed(draft, sender))

    async def _answered(self, work: OutboundJob, sender: Identity) -> tuple[MessageHash | None, str | None]:
        """Hash of the message that this one is about, and the instruction that goes back with it."""
        if work.reference is not None or work.native_reference is None:
            return work.reference, work.instruction
        links = await self._store.look_up(
            HashesOf(work.network, work.native_reference, conversation(sender.name, work.recipient))
        )
        if work.type in ABOUT_OWN:
            links = [link for link in links if link.outbound]
        return (MessageHash(links[0].message_hash), links[0].reply_instruction) if links else (None, None)

    async def _notices(self, work: OutboundJob, sender: Identity) -> tuple[str, tuple[Op[Any], ...]]:
        """What people are told once in a conversation, below its text, and what remembers that they were."""
        if work.native_id is None:
            return "", ()
        first = not await self._has_written(work, sender)
        notice = wording.first_message_notice(work.network, sender.shown_person, self._parent) if first else ""
        assurance = work.assurance
        if assurance is None or assurance.confidence is Confidence.PROVED or not assurance.reason:
            return notice, ()
        scope, key = f"doubt:{work.network}", _doubt_key(work, sender)
        if await self._store.look_up(OnceUsed(scope, key)):
            return notice, ()
        notice += wording.doubt_notice(assurance.reason, alone=not notice)
        return notice, (Once(scope, key, self._clock() + DOUBT_TOLD_MS, ()),)

    async def _has_written(self, work: OutboundJob, sender: Identity) -> bool:
        talk = conversation(sender.name, work.recipient)
        return await self._store.look_up(ConversationKnown(work.network, talk, outbound=True))

    async def _signed(self, draft: Message, sender: Identity) -> Message:
        signing = self._keyring.keys(sender).profile_keys.signing
        return await self._offload.run(_size(draft), lambda: sign_message(draft, signing))


def _quotable(work: OutboundJob, reference: MessageHash | None) -> str:
    """The text; what an adapter says about a message that came back has that message's trace, as our own notices do."""
    says_so = work.automatic and work.native_id is not None and work.text.startswith(NOTICE_MARK)
    if not says_so or reference is None:
        return work.text
    trace = traces.of_envelope(reference)
    log.info("outbound.about", about=trace)
    return f"{work.text} [trace {trace}]"


def _doubt_key(work: OutboundJob, sender: Identity) -> str:
    """Of a conversation; nobody's name stands in it."""
    return hashlib.sha256(conversation(sender.name, work.recipient).encode()).hexdigest()


def _size(message: Message) -> int:
    return len(message.text or "") + sum(len(each.data) for each in message.attachments or ())
